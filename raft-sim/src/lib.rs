//! A deterministic simulator: the production code of nodes, stores and transports under one seed.

pub mod invariants;
pub mod net;
pub mod watch;
pub mod world;

pub use world::Sim;
