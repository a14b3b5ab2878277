//! Shard groups, their controller and their clients in a simulated world.

#![allow(unreachable_pub, reason = "the modules of one test")]

mod admin;
mod client;
mod clients;
mod crashes;
mod faults;
mod fleet;
mod lab_4b;
mod lab_4b_hard;
mod lab_newer;
mod load;
mod setup;
mod together;
