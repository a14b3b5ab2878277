//! A deterministic simulator: the production code of nodes, stores and transports under one seed.

pub mod net;
pub mod world;

pub use world::Sim;
