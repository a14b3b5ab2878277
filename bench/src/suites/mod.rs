//! What is measured, one file a suite.

mod cluster;
mod core;
mod driver;
mod failover;
mod idle;
mod latency;
mod memory;
mod sharded;
mod transports;
pub(crate) mod wal;

use crate::suite::Suite;

/// All suites, in the order of the table.
pub(crate) fn all() -> Vec<Box<dyn Suite>> {
    vec![
        Box::new(core::Core),
        Box::new(driver::Driver),
        Box::new(wal::Wal),
        Box::new(latency::Latency),
        Box::new(cluster::Cluster),
        Box::new(failover::Failover),
        Box::new(memory::Memory),
        Box::new(sharded::Sharded),
        Box::new(idle::Idle),
        Box::new(transports::Transports),
        Box::new(transports::Held),
        Box::new(transports::Snapshot),
    ]
}
