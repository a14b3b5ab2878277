//! A deterministic simulator: the production code of nodes, stores and transports under one seed.
#![forbid(unsafe_code)]

pub mod checker;
pub mod cluster;
pub mod disk;
pub mod history;
pub mod invariants;
pub mod net;
pub mod swarm;
pub mod watch;
pub mod world;

pub use cluster::{Cluster, ClusterConfig};
pub use disk::{Keep, Mount, SimDisk};
pub use world::Sim;
