//! What works, works as it does without TLS.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft_core::{Address, Caller, Transport};
use raft_transport::MemoryNetwork;
use raft_transport::codec::FrameKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use crate::common::*;
use crate::log::Log;
use crate::raw;
use crate::setup::*;

#[tokio::test(start_paused = true)]
async fn nodes_and_clients_talk() {
    let setup = Setup::new();
    let (one, two) = (setup.node(1).await, setup.node(2).await);
    let there: Vec<_> = (0..500).map(|n| vote(n % 50, 1, 2, n)).collect();
    let back: Vec<_> = (0..500).map(|n| vote(n % 50, 2, 1, n)).collect();
    one.send(&mut there.clone());
    two.send(&mut back.clone());
    assert_eq!(receive(&two, 500).await, there);
    assert_eq!(receive(&one, 500).await, back);
    // A node calls services as a client does.
    let node = setup.caller(setup.authority.security(&setup.authority.node(3)));
    for caller in [setup.client(), node] {
        undisturbed(&caller, 1).await;
        undisturbed(&caller, 2).await;
    }
    // Long enough for signs of life.
    sleep(Duration::from_secs(30)).await;
    one.send(&mut vec![vote(1, 1, 2, 1)]);
    receive(&two, 1).await;
    for node in [one, two] {
        let counters = node.counters();
        assert_eq!((counters.peer_connections, tls_faults(&counters)), (1, 0), "{counters:?}");
    }
}

/// TLS holds back what the stream beneath does not take: without a flush the end of a message stays there.
#[tokio::test(start_paused = true)]
async fn long_messages_go_through_a_narrow_stream() {
    let mut setup = Setup::new();
    setup.network = Arc::new(MemoryNetwork::new(100));
    let (one, two) = (setup.node(1).await, setup.node(2).await);
    let client = setup.client();
    for bytes in [1, 16 << 10, 70_000, 900_000] {
        one.send(&mut vec![append(1, 2, bytes as u64, bytes)]);
        assert_eq!(receive(&two, 1).await, [append(1, 2, bytes as u64, bytes)]);
        let request = Bytes::from(vec![3; bytes]);
        let reply = client.call(&Address::from("2"), request.clone());
        assert_eq!(soon(reply).await, Ok(request));
    }
    assert_eq!((one.counters().peer_connections, two.counters().closed_stalled), (1, 0));
}

/// The few bytes that TLS takes at once are watched over as well as those that it does not take.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_cut_off() {
    let mut setup = Setup::new();
    setup.network = Arc::new(MemoryNetwork::new(4096));
    let node = setup.node(1).await;
    let shown = setup.authority.client();
    let stream = setup.dial(1).await;
    let mut raw = Raw::new(raw::connect(stream, raw::client_config(Some(&shown))).await.unwrap());
    raw.say(&client_hello()).await;
    assert_eq!(raw.hear().await.unwrap().kind, FrameKind::Welcome);
    // A reply of more than the stream holds, and less than TLS does.
    raw.say(&request(1, &[0; 10_000])).await;
    until(&node, |counters| counters.closed_stalled == 1).await;
    let mut rest = Vec::new();
    let _ = soon(raw.stream.read_to_end(&mut rest)).await;
    assert!(rest.len() < 10_000);
}

/// With TLS' own farewell or without it: a client that goes is no reason to complain.
#[tokio::test(start_paused = true)]
async fn clients_come_and_go() {
    let setup = Setup::new();
    let (log, _guard) = Log::start();
    let node = setup.node(1).await;
    let config = raw::client_config(Some(&setup.authority.client()));
    for round in 0..4 {
        let stream = raw::connect(setup.dial(1).await, config.clone()).await.unwrap();
        let mut raw = Raw::new(stream);
        raw.say(&client_hello()).await;
        assert_eq!(raw.hear().await.unwrap().kind, FrameKind::Welcome);
        if round % 2 == 0 {
            raw.stream.shutdown().await.unwrap();
        }
        drop(raw);
        sleep(Duration::from_secs(2)).await;
        assert_eq!(node.clients(), 0);
    }
    assert_eq!((log.take(), tls_faults(&node.counters())), (String::new(), 0));
}

/// Each connection is judged anew: there is nothing to resume one by.
#[tokio::test(start_paused = true)]
async fn no_handshake_is_resumed() {
    let setup = Setup::new();
    let _node = setup.node(1).await;
    let shown = setup.authority.client();
    let config = raw::client_config(Some(&shown));
    for _ in 0..3 {
        let stream = raw::connect(setup.dial(1).await, config.clone()).await.unwrap();
        let mut raw = Raw::new(stream);
        raw.say(&client_hello()).await;
        assert_eq!(raw.hear().await.unwrap().kind, FrameKind::Welcome);
        let (_, session) = raw.stream.get_ref();
        assert_eq!(session.handshake_kind(), Some(rustls::HandshakeKind::Full));
        assert_eq!(session.tls13_tickets_received(), 0);
        raw.stream.shutdown().await.unwrap();
    }
}
