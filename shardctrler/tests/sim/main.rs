//! The controller in a simulated world: production nodes, servers and clerks, and every configuration of
//! every replica looked at after every step.

#![allow(unreachable_pub)]

#[path = "../common/mod.rs"]
mod common;

mod faults;
mod judge;
mod lab_4a;
mod model;
mod watches;
mod world;
