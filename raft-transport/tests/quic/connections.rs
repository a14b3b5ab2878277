//! Connections that are lost, move, or are forgotten.

use std::time::Duration;

use raft_core::{Address, Transport};

use crate::common::*;
use crate::proxy::{Mangling, Passage, UdpProxy};
use crate::setup::*;

async fn behind(node: &raft_transport::NetTransport) -> (UdpProxy, Address) {
    let proxy = UdpProxy::start(socket_address(node.address()), Mangling::default(), 1).await;
    let address = Address(proxy.address.to_string());
    (proxy, address)
}

/// Nothing arrives any more, and nobody says so: both ends notice, and find each other again.
#[tokio::test]
async fn a_connection_on_which_nothing_is_heard_is_closed() {
    let setup = Setup::new();
    let (one, two) = (setup.start(hasty(1)).await, setup.start(hasty(2)).await);
    let (proxy, address) = behind(&two).await;
    setup.book.set(2, &address);
    one.send(&mut vec![vote(1, 1, 2, 1)]);
    receive(&two, 1).await;
    proxy.set(Passage::Nothing);
    for node in [&one, &two] {
        until(node, |counters| counters.closed_idle == 1).await;
    }
    proxy.set(Passage::Both);
    until(&one, |counters| counters.peer_connections == 2).await;
    one.send(&mut vec![vote(1, 1, 2, 2)]);
    receive(&two, 1).await;
}

/// Signs of life keep a connection on which nothing else is said.
#[tokio::test]
async fn a_connection_without_traffic_stays() {
    let setup = Setup::new();
    let (one, two) = (setup.start(hasty(1)).await, setup.start(hasty(2)).await);
    one.send(&mut vec![vote(1, 1, 2, 1)]);
    receive(&two, 1).await;
    let connections = || (one.counters().peer_connections, two.counters().peer_connections);
    for _ in 0..20 {
        let before = connections();
        tokio::time::sleep(Duration::from_millis(2000)).await;
        if connections() == before {
            return;
        }
        // The machine may have stood still.
    }
    panic!("it never lasted: {:?}", connections());
}

/// The other end appears at another port, as behind a NAT that has forgotten it: the connection goes on.
#[tokio::test]
async fn a_connection_survives_a_change_of_address() {
    let setup = Setup::new();
    let (one, two) = (setup.node(1).await, setup.node(2).await);
    let (proxy, address) = behind(&two).await;
    setup.book.set(2, &address);
    let client = setup.client();
    for round in 1..4 {
        one.send(&mut vec![vote(1, 1, 2, round)]);
        two.send(&mut vec![vote(1, 2, 1, round)]);
        assert_eq!(receive(&two, 1).await, [vote(1, 1, 2, round)]);
        assert_eq!(receive(&one, 1).await, [vote(1, 2, 1, round)]);
        assert!(ask(&client, &address).await.is_ok());
        proxy.rebind();
    }
    let (one, two) = (one.counters(), two.counters());
    assert_eq!((one.peer_connections, two.peer_connections, two.client_connections), (1, 1, 1));
}

/// A node starts anew at its old address: whoever is connected with its old life is told so, by a reset that only the
/// node can make, and does not wait for the silence to be noticed.
#[tokio::test]
async fn a_node_that_starts_anew_is_noticed_at_once() {
    let setup = Setup::new();
    let carrier = setup.carrier(2);
    let one = setup.start(patient(1, LOOPBACK)).await;
    let two = setup.start_on(carrier.clone(), patient(2, LOOPBACK)).await;
    let (proxy, address) = behind(&two).await;
    setup.book.set(2, &address);
    one.send(&mut vec![vote(1, 1, 2, 1)]);
    receive(&two, 1).await;
    // It goes without a farewell.
    proxy.set(Passage::Nothing);
    two.shutdown().await;
    drop(two);
    let two = setup.start_on(carrier, patient(2, LOOPBACK)).await;
    proxy.lead_to(socket_address(two.address()));
    setup.book.set(2, &address);
    proxy.set(Passage::Both);
    until(&one, |counters| counters.peer_connections == 2).await;
    assert_eq!(one.counters().closed_idle, 0);
    one.send(&mut vec![vote(1, 1, 2, 2)]);
    receive(&two, 1).await;
}

/// Whoever shuts down says so.
#[tokio::test]
async fn a_shutdown_is_told() {
    let setup = Setup::new();
    let (one, two) =
        (setup.start(patient(1, LOOPBACK)).await, setup.start(patient(2, LOOPBACK)).await);
    let client = setup.client();
    one.send(&mut vec![vote(1, 1, 2, 1)]);
    receive(&two, 1).await;
    undisturbed(&client, &two).await;
    two.shutdown().await;
    // Its address is free.
    let again = setup.start(patient(2, &two.address().0)).await;
    until(&one, |counters| counters.peer_connections == 2).await;
    undisturbed(&client, &again).await;
    assert_eq!(one.counters().closed_idle, 0);
}
