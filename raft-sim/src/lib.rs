//! A deterministic simulator: the production code of nodes, stores and transports under one seed.

pub mod checker;
pub mod history;
pub mod report;
