//! The network within the process.

mod common;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::*;
use raft_core::{
    Address, BoxFuture, CallError, Caller, NodeId, Service, Transport, TransportClosed,
};
use raft_transport::ChannelNetwork;

#[tokio::test]
async fn messages_arrive_in_order() {
    let network = ChannelNetwork::new();
    let (one, two, three) =
        (network.transport(NodeId(1)), network.transport(NodeId(2)), network.transport(NodeId(3)));
    let mut messages = (0..100).map(|n| vote(n, 1, 2 + n % 2, n)).collect();
    one.send(&mut messages);
    assert!(messages.is_empty());
    let even: Vec<_> = (0..100).step_by(2).map(|n| vote(n, 1, 2, n)).collect();
    assert_eq!(receive(&two, 50).await, even);
    assert_eq!(receive(&three, 50).await.len(), 50);
}

#[tokio::test]
async fn a_full_mailbox_drops_and_counts() {
    let network = ChannelNetwork::with_bounds(10, 50_000);
    let (one, two) = (network.transport(NodeId(1)), network.transport(NodeId(2)));
    one.send(&mut (0..25).map(|n| vote(1, 1, 2, n)).collect());
    assert_eq!(network.traffic(NodeId(2)).dropped_full, 15);
    assert_eq!(receive(&two, 10).await.len(), 10);
    one.send(&mut (0..8).map(|n| append(1, 2, n, 10_000)).collect());
    assert_eq!(network.traffic(NodeId(2)).dropped_full, 19);
    assert_eq!(network.traffic(NodeId(2)).appends, 4);
    assert_eq!(network.traffic(NodeId(2)).entry_bytes, 4 * 10_064);
}

#[tokio::test]
async fn links_are_blocked_one_way_or_both() {
    let network = ChannelNetwork::new();
    let (one, two) = (network.transport(NodeId(1)), network.transport(NodeId(2)));
    network.block(NodeId(1), NodeId(2));
    one.send(&mut vec![vote(1, 1, 2, 1)]);
    two.send(&mut vec![vote(1, 2, 1, 1)]);
    assert_eq!(receive(&one, 1).await.len(), 1);
    assert_eq!(network.traffic(NodeId(2)).dropped_blocked, 1);
    network.unblock(NodeId(1), NodeId(2));
    one.send(&mut vec![vote(1, 1, 2, 2)]);
    assert_eq!(receive(&two, 1).await, [vote(1, 1, 2, 2)]);
    network.isolate(NodeId(1));
    one.send(&mut vec![vote(1, 1, 2, 3)]);
    two.send(&mut vec![vote(1, 2, 1, 3)]);
    assert_eq!(network.traffic(NodeId(1)).dropped_blocked, 1);
    assert_eq!(network.traffic(NodeId(2)).dropped_blocked, 2);
    network.heal();
    one.send(&mut vec![vote(1, 1, 2, 4)]);
    assert_eq!(receive(&two, 1).await, [vote(1, 1, 2, 4)]);
}

#[tokio::test]
async fn a_restarted_node_has_an_empty_mailbox_and_the_old_one_is_closed() {
    let network = ChannelNetwork::new();
    let (one, before) = (network.transport(NodeId(1)), network.transport(NodeId(2)));
    one.send(&mut vec![vote(1, 1, 2, 1)]);
    let after = network.transport(NodeId(2));
    assert_eq!(before.receive(&mut Vec::new()).await, Err(TransportClosed));
    drop(before);
    one.send(&mut vec![vote(1, 1, 2, 2)]);
    assert_eq!(receive(&after, 1).await, [vote(1, 1, 2, 2)]);
    after.shutdown();
    assert_eq!(after.receive(&mut Vec::new()).await, Err(TransportClosed));
}

#[tokio::test]
async fn a_shutdown_wakes_who_receives() {
    let network = ChannelNetwork::new();
    let one = Arc::new(network.transport(NodeId(1)));
    let waiting = Arc::clone(&one);
    let waiting = tokio::spawn(async move { waiting.receive(&mut Vec::new()).await });
    tokio::task::yield_now().await;
    one.shutdown();
    assert_eq!(soon(waiting).await.unwrap(), Err(TransportClosed));
}

#[tokio::test(start_paused = true)]
async fn calls_reach_the_service_at_an_address() {
    struct Never;
    impl Service for Never {
        fn call(&self, _: Bytes) -> BoxFuture<'static, Bytes> {
            Box::pin(std::future::pending())
        }
    }
    let (network, address) = (ChannelNetwork::new(), Address::from("here"));
    let caller = network.caller();
    let result = caller.call(&address, Bytes::from("x")).await;
    assert!(matches!(result, Err(CallError::NotSent { .. })));
    network.serve(address.clone(), Arc::new(Echo));
    assert_eq!(caller.call(&address, Bytes::from("x")).await, Ok(Bytes::from("x")));
    network.serve(address.clone(), Arc::new(Never));
    let (calling, there) = (caller.clone(), address.clone());
    let call = tokio::spawn(async move { calling.call(&there, Bytes::new()).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    network.stop_serving(&address);
    assert!(matches!(soon(call).await.unwrap(), Err(CallError::Unknown { .. })));
}
