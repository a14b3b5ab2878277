//! What somebody can make a node hold.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use quinn::TransportConfig;
use raft_core::{BoxFuture, Service};
use tokio::time::timeout;

use crate::common::*;
use crate::setup::*;

/// Never answers.
struct Silent;

impl Service for Silent {
    fn call(&self, _: Bytes) -> BoxFuture<'static, Bytes> {
        Box::pin(std::future::pending())
    }
}

/// A client that sends without end gets rid of what the node's bounds allow, and no more.
#[tokio::test]
async fn a_client_that_is_not_read() {
    const BYTES: usize = 64 << 10;
    const OWN: usize = 64 << 10;
    let setup = Setup::new();
    let mut bounded = config(2, LOOPBACK);
    bounded.request_bytes_max = 1 << 20;
    let allowed = bounded.request_bytes_max;
    let node = setup.start(bounded).await;
    node.serve(Arc::new(Silent));
    let own = |config: &mut quinn::ClientConfig| {
        let mut transport = TransportConfig::default();
        // What is not sent yet is its own business.
        transport.send_window(OWN as u64);
        config.transport_config(Arc::new(transport));
    };
    let connection = setup.raw(&node, own).await;
    let (mut send, receive) = connection.open_bi().await.unwrap();
    soon(send.write_all(&client_hello())).await.unwrap();
    let mut raw = Raw::new(tokio::io::join(receive, send));
    raw.hear().await.unwrap();
    let (_, mut send) = raw.stream.into_inner();
    let (mut written, request) = (0, request(1, &[7; BYTES]));
    while timeout(Duration::from_secs(2), send.write_all(&request)).await.is_ok() {
        written += request.len();
        assert!(written < 16 << 20, "{written} bytes were taken");
    }
    // The requests, one on top and one that is read, and the stream's window.
    let most = allowed + 2 * request.len() + (1 << 20) + OWN;
    assert!((allowed..most).contains(&written), "{written} bytes were taken, {most} are enough");
}

#[tokio::test]
async fn there_are_two_streams_and_no_datagrams() {
    let setup = Setup::new();
    let node = setup.node(2).await;
    let connection = setup.raw(&node, |_| {}).await;
    let _first = connection.open_bi().await.unwrap();
    let _second = connection.open_bi().await.unwrap();
    assert!(connection.open_bi().now_or_never().is_none(), "there is a third");
    assert!(connection.open_uni().now_or_never().is_none(), "there is one of one direction");
    assert_eq!(connection.max_datagram_size(), None);
}

/// Garbage on the port is not answered, and not felt.
#[tokio::test]
async fn garbage_is_not_felt() {
    let setup = Setup::new();
    let node = setup.node(2).await;
    let client = setup.client();
    undisturbed(&client, &node).await;
    let socket = tokio::net::UdpSocket::bind(LOOPBACK).await.unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    for round in 0..2000_usize {
        let mut garbage: Vec<u8> = (0..random.usize(1..1500)).map(|_| random.u8(..)).collect();
        match round % 4 {
            // The beginning of an Initial packet of version 1.
            0 => garbage.splice(..1, [0xc0, 0, 0, 0, 1, 8]).for_each(drop),
            1 => garbage.fill(0),
            2 => garbage.fill(0xff),
            _ => {}
        }
        let _ = socket.send_to(&garbage, &node.address().0).await;
        if round % 100 == 0 {
            undisturbed(&client, &node).await;
        }
    }
    undisturbed(&client, &node).await;
    assert_eq!(node.counters().client_connections, 1);
}
