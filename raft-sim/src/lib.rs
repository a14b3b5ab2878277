//! A deterministic simulator: the production code of nodes, stores and transports under one seed.

#![forbid(unsafe_code)]

pub mod conformance;
pub mod disk;

pub use disk::{Keep, Mount, SimDisk};
