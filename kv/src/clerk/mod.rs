//! [`Clerk`]: the client. Cheap to clone; any number of calls at once.
//!
//! All clones share one session, opened when the first write needs it. A write has a number in the
//! session and keeps it through every attempt, so that it is applied once; reads need no session. Calls
//! follow the servers' hints at the leader, try other endpoints when one fails, pause longer after each
//! failure, and end at their deadline with a [`ClerkError`] that says what is certain.
//!
//! [`ClerkError::NotDone`] rests on what a [`Caller`] promises, that a request arrives at most once: a server's
//! "not the leader" then proves that this attempt has no effect, now or later.
//!
//! A call whose future is dropped gives up: it may still be applied, once.

mod attempts;
mod calls;
mod config;
mod error;
mod line;
mod reply;

/// What the calls of a clerk return, taken from answers, whatever the service refuses.
pub mod outcome {
    pub use super::reply::{append, batch, delete, page, put, read, swap, value, written};
}
mod route;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft_core::{Address, Caller, LogIndex};
use tokio::time::Instant;

pub use calls::{Calls, Protocol, Reading, deadline_after};
pub use config::{CallsConfig, ClerkConfig};
pub use error::{Cause, ClerkError};
pub use reply::{Appended, BatchOutcome, Batched, Deleted, Pages, Swap, SwapOutcome, Versioned};

use crate::codec;
use crate::command;
use crate::limits::Limits;
use crate::op::{Expect, Op, Outcome, Reply, Write};
use crate::status::NodeStatus;
use crate::store::{Page, Scan};
use crate::wire::{self, Answer, Kind, Read};

/// A client of one group. Clones share the session, the route and the bound on calls in flight.
#[derive(Clone)]
pub struct Clerk {
    calls: Arc<Calls<reply::Kv>>,
    limits: Arc<Limits>,
    deadline: Duration,
}

impl Clerk {
    /// A clerk for the group whose nodes are at `endpoints`, any of them, in any order.
    pub fn new(
        caller: Arc<dyn Caller>,
        endpoints: impl IntoIterator<Item = Address>,
        config: ClerkConfig,
    ) -> Self {
        let (calls, limits, deadline) = config.parts();
        let calls = Arc::new(Calls::new(reply::Kv, caller, endpoints, calls));
        Self { calls, limits: Arc::new(limits), deadline }
    }

    /// The same clerk with another deadline for its calls.
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// The key's value and version, or `None`. Linearizable.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Versioned>, ClerkError> {
        self.limits().check_key(key)?;
        self.read(&Read::Get { key }, reply::value).await
    }

    /// A page of a scan: the entries as they are at one moment, linearizable. See
    /// [`pages`](Self::pages) for all of them.
    pub async fn scan(&self, scan: &Scan) -> Result<Page<Bytes>, ClerkError> {
        self.read(&Read::from(scan), reply::page).await
    }

    /// All pages of a scan, one by one. Each is of its own moment: what is written between two of them
    /// shows, or not, by where its key is.
    pub fn pages(&self, scan: Scan) -> Pages {
        Pages::new(self.clone(), scan)
    }

    /// Sets the key. Returns the index at which it took effect, which is the value's version.
    pub async fn put(&self, key: &[u8], value: &[u8]) -> Result<LogIndex, ClerkError> {
        let reply = self.one(Op::Put { key, value }).await?;
        reply::put(reply)
    }

    /// Appends to the key's value; a missing key counts as empty.
    pub async fn append(&self, key: &[u8], value: &[u8]) -> Result<Appended, ClerkError> {
        let reply = self.one(Op::Append { key, value }).await?;
        reply::append(reply)
    }

    /// Removes the key.
    pub async fn delete(&self, key: &[u8]) -> Result<Deleted, ClerkError> {
        let reply = self.one(Op::Delete { key }).await?;
        reply::delete(reply)
    }

    /// Sets the key (`then`), or removes it (`None`), if it is as expected.
    pub async fn compare_and_set(
        &self,
        key: &[u8],
        expect: Expect<'_>,
        then: Option<&[u8]>,
    ) -> Result<Swap, ClerkError> {
        let reply = self.one(Op::CompareAndSet { key, expect, then }).await?;
        reply::swap(reply)
    }

    /// Does all the operations, in order and at one moment, or none of them.
    pub async fn batch(&self, ops: &[Op<'_>]) -> Result<Batched, ClerkError> {
        self.limits().check_batch(ops)?;
        let reply = self.write(&Write::Batch(ops.to_vec())).await?;
        reply::batch(reply)
    }

    /// What the node at `endpoint` says of itself, leader or not, quorum or not. One attempt.
    pub async fn status(&self, endpoint: &Address) -> Result<NodeStatus, ClerkError> {
        let request = wire::request(Kind::Status, 0);
        self.calls.ask(endpoint, request, self.deadline, reply::read(reply::status)).await
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn until(&self) -> Instant {
        deadline_after(self.deadline)
    }

    async fn read<T>(
        &self,
        read: &Read<'_>,
        accept: impl Fn(Answer<'_>, &Bytes) -> Option<T>,
    ) -> Result<T, ClerkError> {
        let request = codec::encode(wire::request(Kind::Read, 32), read);
        self.calls.read(request, self.until(), reply::read(accept)).await
    }

    async fn one(&self, op: Op<'_>) -> Result<Reply, ClerkError> {
        let write = Write::One(op);
        self.limits().check_write(&write)?;
        self.write(&write).await
    }

    async fn write(&self, write: &Write<'_>) -> Result<Reply, ClerkError> {
        let request = |ticket| {
            let head = wire::request(Kind::Write, 64 + write.bytes());
            command::write_body(head, ticket, write)
        };
        let reply = self.calls.write(request, self.until(), reply::read(reply::written)).await?;
        match reply.outcome {
            Outcome::Refused(refusal) => Err(refusal.into()),
            _ => Ok(reply),
        }
    }
}
