//! The sharded service of the crates `shardctrler` and `shardkv` under the simulator.
//!
//! A [`ShardCluster`] has a controller, groups of shards, an operator who changes the configuration, and clients,
//! each a process of its own with a production `Clerk`; the groups have processes of their own, or share them
//! ([`Layout`]). Every call that a client makes through its [`ShardClerk`] goes into a history, which
//! [`ShardCluster::judge`] has checked for linearizability. More is checked from the inside:
//!
//! - of the configurations: they never change (`configurations-stay`), and are numbered without a gap, whole, balanced,
//!   and made by as few moves as can be (`configurations-follow`);
//! - with every entry that a group applies, by an independent model of all groups and shards: one group at most serves
//!   a shard, until the freeze in one log and from the install in another (`one-group-serves`); a shard arrives with
//!   all keys and sessions (`shards-arrive-whole`); the old owner keeps it until the new one has it
//!   (`kept-until-confirmed`); somebody has it (`no-shard-is-lost`); a request of a session is done once, wherever the
//!   shard is (`exactly-once`);
//! - after every step of a node: replicas that have applied as much have equal states (`equal-replicas`), and are what
//!   the model is: the number of the configuration, what the group has of each shard, each shard's revision, and
//!   the values that have changed (`group-is-its-model`); now and then, and at the end, all of it;
//! - at the end: what `kv` has checked of one store, of each shard.
//!
//! ```
//! use std::time::Duration;
//! use raft_core::GroupId;
//! use raft_sim::shardkv::{ShardCluster, ShardConfig};
//!
//! let limit = Duration::from_secs(20);
//! let mut cluster = ShardCluster::start(ShardConfig::new(7, 2, 3));
//! let (first, second) = (GroupId(1), GroupId(2));
//! let joined = cluster.change(cluster.joining([first]));
//! cluster.finish(limit, &joined).expect("done in time")?;
//! let client = cluster.client();
//! let written = cluster.call(limit, client, |mut clerk| async move { clerk.put("k", "v").await });
//! written.expect("done in time")?;
//! // All shards go to the other group.
//! let joined = cluster.change(cluster.joining([second]));
//! cluster.finish(limit, &joined).expect("done in time")?;
//! let left = cluster.change(cluster.leaving([first]));
//! let number = cluster.finish(limit, &left).expect("done in time")?;
//! cluster.settle(limit, &[first, second], number)?;
//! let read = cluster.call(limit, client, |mut clerk| async move { clerk.get("k").await });
//! assert_eq!(read.expect("done in time")?.expect("a value").value, "v");
//! // Half of them with the join, the others with the leave.
//! assert_eq!(cluster.happened().count("shards moved"), 5 + 5);
//! cluster.judge()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod admin;
mod boot;
mod clerk;
mod cluster;
mod config;
mod configurations;
mod judge;
mod model;
mod nodes;
mod swarm;

pub use admin::Unsettled;
pub use boot::CONTROLLER;
pub use cluster::{ShardClerk, ShardCluster, ShardJudged};
pub use config::{Layout, ShardConfig};
pub use swarm::{
    Changes, GroupFaults, GroupOutages, LostDisks, Rifts, ShardPlan, ShardSuite, Sharding,
};
