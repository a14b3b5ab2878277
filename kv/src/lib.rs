//! A linearizable key/value service on `raft-core`.
//!
//! - [`Store`] is the replicated state machine: ordered keys, and the sessions that make every write
//!   happen exactly once.
//! - [`KvServer`] answers clients on each node, over a group of `raft-core`'s driver.
//! - [`Clerk`] is the client: many calls at once, one session, one deadline per call.
//!
//! Keys and values are bytes, any bytes; both may be empty. Every write returns the log index at which it
//! took effect, and a value's *version* is the index of the write that made it: a
//! [`CompareAndSet`](Op::CompareAndSet) may expect a version, which never comes back as values do.
//!
//! What a write's client sees is one of: done, with the reply (the same one however often it was
//! repeated); refused, with no effect; not done, with no effect; or unknown, which is applied at most once.
//!
//! ```
//! use kv::command::{self, SessionId, Ticket};
//! use kv::{Op, OpOutcome, Outcome, Store};
//! use raft_core::{Command, LogId, LogIndex, StateMachine, Term};
//!
//! let mut store = Store::default();
//! let mut log = 0;
//! let mut apply = |store: &mut Store, data| {
//!     log += 1;
//!     store.apply(&[Command { id: LogId::new(Term(1), LogIndex(log)), data }]).remove(0)
//! };
//! let session = SessionId(apply(&mut store, command::open_session(0, 60_000))?.index);
//! let ticket = Ticket { session, seq: 1, acked: 1 };
//! let append = command::write(5, ticket, Op::Append { key: b"k", value: b"v" });
//! let first = apply(&mut store, append.clone())?;
//! assert_eq!(first.outcome, Outcome::One(OpOutcome::Append { length: 1 }));
//! assert_eq!(apply(&mut store, append)?, first); // repeated, not applied
//! assert_eq!(store.get(b"k").map(|item| item.value.as_slice()), Some(&b"v"[..]));
//! # Ok::<(), kv::CommandError>(())
//! ```

#[macro_use]
mod planted;

mod blob;
mod clerk;
mod codec;
pub mod command;
mod digest;
mod envelope;
mod fault;
mod limits;
mod op;
pub mod raw;
pub mod rpc;
mod server;
mod status;
mod store;
mod wire;

pub use blob::Blob;
pub use clerk::{
    Appended, BatchOutcome, Batched, Cause, Clerk, ClerkConfig, ClerkError, Deleted, Pages, Swap,
    SwapOutcome, Versioned,
};
pub use limits::{Limits, Refusal};
pub use op::{CommandError, Expect, Op, OpOutcome, Outcome, Output, Reply};
pub use server::{KvServer, Replica, ServerConfig};
pub use status::NodeStatus;
pub use store::{
    Changes, Cursor, Item, Page, Remains, SESSION_WINDOW, Scan, Store, StoreConfig, Touched,
};
