//! Which group owns which shard: a replicated service on `raft-core`.
//!
//! Keys are spread over [slots](Slot), and slots over *shards*, whose number is fixed when a cluster is made
//! ([`ShardCount`]). Groups of servers own shards. Who owns what, and where the servers are, is a
//! [`Configuration`]; configurations are numbered, and each [`Change`] makes the next one. Number 0 is
//! empty: nobody owns anything.
//!
//! - [`Controller`] is the replicated state machine: all configurations, and the sessions that make every
//!   change happen exactly once.
//! - [`ControllerServer`] answers clients on each node, over a group of `raft-core`'s driver.
//! - [`Clerk`] is the client: it changes configurations, asks for them by number, and watches for the next.
//! - [`rebalance`] is the rule by which shards are given to groups: balanced by weight, with the fewest
//!   moves, and nothing but a function of its arguments.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use raft_core::{ClusterId, GroupId, NodeId};
//! use shardctrler::{Change, Configuration, Group, Limits, ShardCount, ShardId};
//!
//! let limits = Limits::default();
//! let group = |n: u64| (GroupId(n), Group::new([(NodeId(n), format!("10.0.0.{n}:7100").into())]));
//! let empty = Configuration::empty(ClusterId(1), ShardCount::default());
//! let one = Change::Join([group(1), group(2)].into()).apply(&empty, &limits)?;
//! let two = Change::Join([group(3)].into()).apply(&one, &limits)?;
//! assert_eq!(two.moves_since(&one).count(), 5); // of 16 shards, no more than the new group's
//! assert!(two.is_balanced());
//! assert_eq!(two.shard_of(b"{user1000}.following"), two.shard_of(b"{user1000}.followers"));
//!
//! let three = Change::Move { shard: ShardId(0), to: GroupId(3) }.apply(&two, &limits)?;
//! assert_eq!(three.owner(ShardId(0)), Some(GroupId(3))); // until a group joins or leaves
//! # Ok::<(), shardctrler::Refusal>(())
//! ```

mod change;
mod clerk;
mod codec;
pub mod command;
mod config;
mod controller;
#[cfg(feature = "decoders")]
#[doc(hidden)]
pub mod decoders;
mod raw;
pub mod rebalance;
mod refusal;
mod reply;
mod server;
mod settings;
mod shard;
mod slot;
mod status;
mod wire;

pub use change::Change;
pub use clerk::{Clerk, ClerkConfig, ClerkError};
pub use config::{ConfigNumber, Configuration, Group, Moved};
pub use controller::{Controller, SESSION_WINDOW};
pub use refusal::Refusal;
pub use reply::{Outcome, Output, Reply};
pub use server::{ControllerServer, ServerConfig};
pub use settings::{Limits, Settings};
pub use shard::{ShardCount, ShardId};
pub use slot::Slot;
pub use status::NodeStatus;
