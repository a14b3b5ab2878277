#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod checker;
pub mod cluster;
pub mod conformance;
pub mod disk;
pub mod history;
pub mod invariants;
#[cfg(feature = "kv")]
pub mod kv;
pub mod net;
#[cfg(feature = "proxy")]
pub mod proxy;
pub mod report;
#[cfg(feature = "shardkv")]
pub mod shardkv;
pub mod swarm;
pub mod watch;
pub mod world;

pub use cluster::{Cluster, ClusterConfig};
pub use disk::{Keep, Mount, SimDisk};
pub use world::Sim;
