//! The key/value service of the crate `kv` under the simulator.
//!
//! A [`KvCluster`] has production servers on production nodes, and clients, each a process of its own with a
//! production `Clerk`. Every call that a client makes through its [`SimClerk`] goes into a history, which
//! [`KvCluster::judge`] has checked for linearizability. More is checked from the inside:
//!
//! - after every step of a node: replicas that have applied as much have equal states, sessions included
//!   (`equal-replicas`); what the store has become is what an independent model of it becomes, which is given
//!   the same commands and applies each request of a session once (`store-is-its-model`);
//! - now and then: the digest is that of the state, and a snapshot that is restored gives the same snapshot
//!   (`digest-is-of-the-state`, `snapshot-round-trip`);
//! - at the end: every acknowledged write stands in the log where its client was told, as it was told; every
//!   value that was read was written at the version it was read with; nothing took effect that nobody asked
//!   for, that was certainly not done, or more often than it was asked for; and each page of a scan shows one
//!   moment.
//!
//! ```
//! use std::time::Duration;
//! use raft_sim::kv::{KvCluster, KvConfig};
//!
//! let mut kv = KvCluster::start(KvConfig::new(7, 3));
//! let client = kv.client();
//! let job = kv.spawn(client, |mut clerk| async move {
//!     clerk.append("k", "x").await?;
//!     clerk.get("k").await
//! });
//! kv.nodes_mut().kill(0);
//! let read = kv.finish(Duration::from_secs(20), &job).expect("done in time")?;
//! assert_eq!(read.expect("a value").value, "x");
//! kv.judge()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod calls;
mod clerk;
mod client;
mod cluster;
mod effects;
mod journal;
mod judge;
mod load;
mod model;
mod replicas;
mod resolve;
mod sessions;
mod swarm;

pub use calls::{Calls, Part};
pub use clerk::SimClerk;
pub use client::{Clients, Job, KvClient, KvClients};
pub use cluster::{KvCluster, KvConfig};
pub use judge::{Judged, Wrong};
pub use load::{Crew, KvLoad, Patience};
pub use swarm::{KvPlan, KvSuite};

#[cfg(feature = "shardkv")]
pub(crate) use calls::calls;
#[cfg(feature = "shardkv")]
pub(crate) use client::{Connection, Open, caller};
#[cfg(feature = "shardkv")]
pub(crate) use journal::Journal;
#[cfg(feature = "shardkv")]
pub(crate) use judge::check_history;
#[cfg(feature = "shardkv")]
pub(crate) use model::{StoreModel, Truth};
#[cfg(feature = "shardkv")]
pub(crate) use replicas::{check_whole, same};
