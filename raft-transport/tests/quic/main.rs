//! QUIC, over sockets on the loopback device and the real clock.
#![allow(unreachable_pub)]

#[path = "../tls/certs.rs"]
#[allow(dead_code)]
mod certs;
#[path = "../common/mod.rs"]
mod common;
#[path = "../tls/log.rs"]
mod log;
#[path = "../../../raft-sim/tests/udp_proxy/mod.rs"]
mod proxy;
#[path = "../tls/raw.rs"]
#[allow(dead_code)]
mod raw;

mod bounds;
mod connections;
mod early;
mod refused;
mod setup;
mod storm;
mod traffic;
