//! A sans-IO Raft, and the traits and the driver to run it.
//!
//! # The protocol in one page
//!
//! Some nodes ([`NodeId`]) form a group ([`GroupId`]) that keeps a log: a sequence of [`Entry`] values, each
//! with an index and the term in which it was proposed ([`LogId`]). A state machine that applies the
//! entries in order is thereby replicated. One node per [`Term`] is the leader; it appends commands
//! ([`Raft::propose`]) and sends them to the others ([`AppendEntries`]). An entry that a majority has on its
//! disks is committed: it will never be lost, and may be applied.
//!
//! When a node hears of no leader for an election timeout, it asks whether it would win an election
//! ([`PreVote`]), and if so stands for one ([`RequestVote`]). It gets the votes of those whose log is not
//! more up to date than its own; so whoever wins has every committed entry. A leader that a majority no
//! longer answers, or whose own disk makes no progress, steps down by itself.
//!
//! A log cannot grow for ever: the state machine's state replaces the entries it came from
//! ([`Raft::compact`]), and a peer that needs what is gone gets the state, in chunks ([`InstallSnapshot`]).
//!
//! Who belongs to the group stands in the log, too ([`Membership`]), and is changed while the group runs
//! ([`Raft::change_membership`]): new nodes come as learners, and when they have caught up, the voters change by
//! joint consensus, in which the old ones and the new ones each have to agree. A leader can hand over
//! ([`TimeoutNow`]).
//!
//! A linearizable read needs no entry: the leader notes its commit index, makes sure that it still leads,
//! and answers when the state machine has got there ([`Raft::read_index`]).
//!
//! The sources cite the paper (Ongaro and Ousterhout, *In Search of an Understandable Consensus Algorithm*,
//! extended version) and the thesis (Ongaro, *Consensus: Bridging Theory and Practice*) at each rule.
//!
//! # How the core is used
//!
//! [`Raft`] does no I/O, reads no clock and starts no thread. Its caller feeds it ticks, messages and
//! proposals, and collects [`Effects`]: messages to send, writes to make durable, entries to apply. All of
//! them may be carried out at once and in any order, because the core holds back what must wait: a vote or
//! an acknowledgement leaves only after the write it rests on was reported by [`Raft::on_persisted`].
//!
//! ```
//! use raft_core::{ApplyOp, Config, Effects, GroupId, Membership, NodeId, Payload, Persisted, Raft, Role};
//!
//! // A group of one: it elects itself as soon as its own vote is durable.
//! let (node, group) = (NodeId(1), GroupId(1));
//! let members = Membership::of_voters([node]);
//! let mut raft = Raft::new(Config::new(node, group), Persisted::default(), &members)?;
//! let mut applied = Vec::new();
//! let mut turn = |raft: &mut Raft| {
//!     let mut effects = Effects::default();
//!     raft.drain(&mut effects);
//!     // A real caller sends `effects.messages` and makes `effects.writes` durable before it says so.
//!     if let Some(write) = effects.writes.last() {
//!         raft.on_persisted(write.seq);
//!     }
//!     for apply in effects.applies {
//!         let ApplyOp::Entries(entries) = apply.op else { continue };
//!         raft.on_applied(entries.last().expect("never empty").id.index);
//!         applied.extend(entries.into_iter().filter_map(|entry| match entry.payload {
//!             Payload::Command(command) => Some(command),
//!             _ => None,
//!         }));
//!     }
//! };
//! raft.campaign();
//! turn(&mut raft);
//! assert_eq!(raft.status().role, Role::Leader);
//! raft.propose("hello".into())?;
//! turn(&mut raft);
//! turn(&mut raft);
//! assert_eq!(applied, ["hello"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Most users will not do this: with the feature `node` there is a driver, [`node`], that runs
//! any number of groups over one [`Storage`] and one [`Transport`], and asks of its user a [`StateMachine`].
//!
//! # What it deliberately lacks
//!
//! No clock, no randomness but a seed, no logger, no serialisation, no map whose order is random, no
//! panic that a peer can cause, and no switch that turns a safety rule off: PreVote, CheckQuorum and the
//! entry at the start of a term are always on. Without features it needs `alloc` and the crate `bytes`.

#![cfg_attr(not(feature = "node"), allow(rustdoc::broken_intra_doc_links))]
#![no_std]
extern crate alloc;
#[cfg(planted_bugs)]
extern crate std;

#[macro_use]
mod planted;

mod catch_up;
mod config;
mod effects;
mod entry;
mod error;
mod future;
mod history;
mod id;
mod log;
mod membership;
mod message;
mod progress;
mod quorum;
mod raft;
mod rpc;
mod state_machine;
mod status;
mod storage;
mod timer;
mod transport;
mod writes;

pub use config::*;
pub use effects::*;
pub use entry::*;
pub use error::*;
pub use future::*;
pub use id::*;
pub use membership::*;
pub use message::*;
#[cfg(planted_bugs)]
#[doc(hidden)]
pub use planted::{PlantedBug, Suite};
pub use raft::Raft;
pub use rpc::*;
pub use state_machine::*;
pub use status::*;
pub use storage::*;
pub use transport::*;

#[cfg(feature = "node")]
pub mod node;
