//! The museum: bugs that other systems had, kept as tests on the simulator.

mod disk;
mod election;
mod log;
mod reads;
mod snapshot;
mod store;
mod support;
