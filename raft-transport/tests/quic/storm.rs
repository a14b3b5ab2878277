//! Many handshakes at once that stall: bounded, and honest ones get through.

use std::time::Duration;

use raft_core::Transport;

use crate::common::*;
use crate::proxy::{Mangling, Passage, UdpProxy};
use crate::setup::*;

const STALLED: usize = 300;

/// Of those who begin and hear nothing, as of those who give a false address, no more than half of the places are
/// taken: beyond that an answer goes to an address, and whoever does not receive it gets no further.
#[tokio::test]
async fn spoofed_handshakes() {
    let setup = Setup::new();
    let mut config = config(2, LOOPBACK);
    config.handshakes_max = 16;
    let node = setup.start(config).await;
    let proxy = UdpProxy::start(socket_address(node.address()), Mangling::default(), 1).await;
    proxy.set(Passage::There);
    let stalled = begin_many(&setup, proxy.address).await;
    let (client, one) = (setup.client(), setup.node(1).await);
    undisturbed(&client, &node).await;
    one.send(&mut vec![vote(1, 1, 2, 1)]);
    receive(&node, 1).await;
    let counters = node.counters();
    assert_eq!((counters.handshakes_full, counters.dial_errors), (0, 0), "{counters:?}");
    until(&node, |counters| counters.handshakes_late >= 8).await;
    drop(stalled);
}

/// Those who show a right address and then say nothing give way to others.
#[tokio::test]
async fn handshakes_that_say_no_hello() {
    let setup = Setup::new();
    let mut config = config(2, LOOPBACK);
    config.handshakes_max = 16;
    let node = setup.start(config).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(setup.raw(&node, |_| {}).await);
    }
    let (client, one) = (setup.client(), setup.node(1).await);
    undisturbed(&client, &node).await;
    one.send(&mut vec![vote(1, 1, 2, 1)]);
    receive(&node, 1).await;
    until(&node, |counters| counters.handshakes_full >= 84).await;
    until(&node, |counters| counters.handshakes_full + counters.handshakes_late >= 100).await;
    drop(silent);
}

async fn begin_many(setup: &Setup, to: std::net::SocketAddr) -> Vec<quinn::Connecting> {
    let tls = crate::raw::client_config(Some(&setup.authority.client()));
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
    let config = quinn::ClientConfig::new(std::sync::Arc::new(crypto));
    let socket = raw_endpoint();
    let begin = |_| socket.connect_with(config.clone(), to, "x.invalid").unwrap();
    let begun = (0..STALLED).map(begin).collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    begun
}
