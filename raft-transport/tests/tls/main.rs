//! TLS: who is let in and who is not, over a network in memory with a paused clock.
#![allow(unreachable_pub)]

mod certs;
#[path = "../common/mod.rs"]
mod common;
mod credentials;
mod dialled;
mod dialling;
mod handshake;
mod log;
#[allow(dead_code)]
mod raw;
mod reload;
mod setup;
mod traffic;
