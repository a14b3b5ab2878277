//! This project's sides, each driven as its own users would drive it.

pub(crate) mod client;
pub(crate) mod cluster;
pub(crate) mod core;
pub(crate) mod driver;
pub(crate) mod memory;
pub(crate) mod sharded;
pub(crate) mod transports;
pub(crate) mod wal;
