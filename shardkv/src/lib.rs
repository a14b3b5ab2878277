#![doc = include_str!("../README.md")]
//!
//! - [`ShardStore`] is the replicated state machine of a group: its configuration, and what it has of each shard.
//! - [`ShardServer`] answers clients on each node of a group, follows the configurations, and moves shards.
//! - [`Clerk`] is the client: it finds the group of a key, and the leader of the group.
//!
//! # What is promised
//!
//! All that `kv` promises for one group holds for each shard, across moves: operations are linearizable, a write
//! is applied once however often it is repeated, and versions never come back. The index that a write returns is
//! the *shard's*: it grows by one with each command of the shard, wherever the shard is.
//!
//! A batch is atomic within a shard, and refused ([`Refusal::CrossShard`]) when its keys are of several: keys with
//! the same hash tag are of one shard. A scan is of one shard; [`Clerk::pages`] goes over all shards, one by one,
//! in the order of (shard, key), and each page is of its own moment.
//!
//! # How a shard moves
//!
//! 1. Both groups adopt the configuration that gives the shard to its new owner, each by an entry in its log. From
//!    then on the old owner numbers the shard's changes, and serves it as before.
//! 2. The leader of the old owner walks over the shard in bounded chunks, and sends each to the new owner, which
//!    puts it into its log. Then it sends what has changed meanwhile, in rounds.
//! 3. When what is missing is little, an entry *freezes* the shard: the old owner serves it no more. It sends the
//!    rest, and the new owner *installs* the shard by an entry, if its digest, its keys and its sessions are those
//!    of the old owner, and serves it from there on.
//! 4. The old owner lets go of it.
//!
//! Each step is an entry in a log, fenced by the configuration's number, and may be repeated. Whoever comes to lead
//! the old owner asks the new owner how far it is, and goes on from there.

#[macro_use]
mod planted;

mod clerk;
pub mod command;
#[cfg(feature = "decoders")]
#[doc(hidden)]
pub mod decoders;
mod refusal;
mod server;
mod status;
mod store;
mod transfer;
mod wire;

pub use clerk::{Clerk, ClerkConfig, ClerkError, Pages};
pub use refusal::{AdoptRefusal, Output, Refusal};
pub use server::{MoveEvent, MoveStep, Observer, ServerConfig, ShardServer, TransferConfig};
pub use status::NodeStatus;
pub use store::{Outgoing, Phase, Settings, ShardState, ShardStore, free_in_steps};
pub use transfer::{Chunk, Install, Move, Position, TransferRefusal, TransferReply};
