//! This project's sides, each driven as its own users would drive it.

pub(crate) mod core;
pub(crate) mod driver;
pub(crate) mod wal;
