//! The museum: bugs that other systems had, kept as tests on the simulator.

mod clients;
mod clocks;
mod crashes;
mod directories;
mod disk;
mod election;
mod load;
mod log;
mod owners;
mod reads;
mod serving;
mod sessions;
mod snapshot;
mod store;
mod support;
