//! Connections between nodes, over a network in memory with a paused clock: the transport is the real one,
//! and no test depends on the speed of the machine.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::*;
use raft_core::{Address, NodeId, Transport, TransportClosed};
use raft_transport::codec::{FrameKind, encode_envelope};
use raft_transport::{MemoryNetwork, Network};
use tokio::time::sleep;

fn network() -> Arc<dyn Network> {
    Arc::new(MemoryNetwork::default())
}

#[tokio::test(start_paused = true)]
async fn messages_arrive_both_ways_in_order_for_many_groups() {
    let (network, book) = (network(), Book::default());
    let one = start(&network, &book, config(1, "one")).await;
    let two = start(&network, &book, config(2, "two")).await;
    let there: Vec<_> = (0..500).map(|n| vote(n % 50, 1, 2, n)).collect();
    let back: Vec<_> = (0..500).map(|n| vote(n % 50, 2, 1, n)).collect();
    let mut messages = there.clone();
    one.send(&mut messages);
    assert!(messages.is_empty());
    two.send(&mut back.clone());
    assert_eq!(receive(&two, 500).await, there);
    assert_eq!(receive(&one, 500).await, back);
    assert_eq!((one.counters().peer_connections, two.counters().peer_connections), (1, 1));
    assert_eq!((one.counters().sent, two.counters().received), (500, 500));
}

#[tokio::test(start_paused = true)]
async fn each_pair_has_one_connection() {
    let (network, book) = (network(), Book::default());
    let mut nodes = Vec::new();
    for node in 1..=5 {
        nodes.push(start(&network, &book, config(node, &format!("node {node}"))).await);
    }
    for _ in 0..3 {
        for (from, transport) in (1..).zip(&nodes) {
            let mut messages =
                (1..=5).filter(|to| *to != from).map(|to| vote(1, from, to, 1)).collect();
            transport.send(&mut messages);
        }
        for transport in &nodes {
            receive(transport, 4).await;
        }
        // Long enough for signs of life and for connections that are too many.
        sleep(Duration::from_secs(10)).await;
    }
    for transport in &nodes {
        let counters = transport.counters();
        assert_eq!((counters.peer_connections, counters.closed_idle), (4, 0));
    }
}

/// The node with the higher id cannot dial; it knocks.
#[tokio::test(start_paused = true)]
async fn the_higher_id_reaches_a_node_that_has_nothing_to_say() {
    let (network, book) = (network(), Book::default());
    let one = start(&network, &book, config(1, "one")).await;
    let two = start(&network, &book, config(2, "two")).await;
    let begun = tokio::time::Instant::now();
    two.send(&mut vec![vote(1, 2, 1, 5)]);
    assert_eq!(receive(&one, 1).await, [vote(1, 2, 1, 5)]);
    assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
    assert_eq!(two.counters().peer_connections, 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_drops_the_newest_and_counts() {
    let (network, book) = (network(), Book::default());
    let mut config_one = config(1, "one");
    config_one.peer_messages_max = 100;
    let one = start(&network, &book, config_one).await;
    let two = start(&network, &book, config(2, "two")).await;
    one.send(&mut vec![vote(1, 1, 2, 0)]);
    receive(&two, 1).await;
    one.send(&mut (1..=250).map(|n| vote(1, 1, 2, n)).collect());
    assert_eq!(one.counters().dropped_full, 150);
    let arrived = receive(&two, 100).await;
    assert_eq!(arrived.last(), Some(&vote(1, 1, 2, 100)));
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_bounded_in_bytes() {
    let (network, book) = (network(), Book::default());
    let mut config_one = config(1, "one");
    config_one.peer_bytes_max = 100_000;
    let one = start(&network, &book, config_one).await;
    let two = start(&network, &book, config(2, "two")).await;
    one.send(&mut vec![vote(1, 1, 2, 0)]);
    receive(&two, 1).await;
    one.send(&mut (1..=50).map(|n| append(1, 2, n, 10_000)).collect());
    assert_eq!(one.counters().dropped_full, 41);
    assert_eq!(receive(&two, 9).await.len(), 9);
}

#[tokio::test(start_paused = true)]
async fn for_an_absent_peer_only_the_newest_messages_wait() {
    let (network, book) = (network(), Book::default());
    book.set(2, &Address::from("two"));
    let mut config_one = config(1, "one");
    config_one.offline_messages_max = 10;
    let one = start(&network, &book, config_one).await;
    for n in 0..1003 {
        one.send(&mut vec![vote(1, 1, 2, n)]);
    }
    assert_eq!(one.counters().dropped_offline, 1000);
    let two = start(&network, &book, config(2, "two")).await;
    let arrived = receive(&two, 3).await;
    assert_eq!(arrived, [1000, 1001, 1002].map(|n| vote(1, 1, 2, n)));
}

#[tokio::test(start_paused = true)]
async fn messages_to_nobody_are_dropped_and_counted() {
    let (network, book) = (network(), Book::default());
    let one = start(&network, &book, config(1, "one")).await;
    one.send(&mut vec![vote(1, 1, 9, 1), vote(1, 1, 1, 1)]);
    assert_eq!(one.counters().dropped_unknown, 2);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_fits_no_frame_is_dropped_and_the_others_arrive() {
    let (network, book) = (network(), Book::default());
    let one = start(&network, &book, config(1, "one")).await;
    let two = start(&network, &book, config(2, "two")).await;
    let fits = MAX as usize - 100;
    one.send(&mut vec![
        append(1, 2, 1, 10),
        append(1, 2, 2, MAX as usize),
        append(1, 2, 3, fits),
        append(1, 2, 4, fits),
    ]);
    let arrived = receive(&two, 3).await;
    assert_eq!(arrived, [append(1, 2, 1, 10), append(1, 2, 3, fits), append(1, 2, 4, fits)]);
    assert_eq!(one.counters().dropped_too_long, 1);
}

/// Both ways round: the one that dials restarts, and the one that is dialled.
#[tokio::test(start_paused = true)]
async fn a_peer_that_restarts_elsewhere_is_found_again() {
    for restarted in [1, 2] {
        let (network, book) = (network(), Book::default());
        let other = 3 - restarted;
        let stays = start(&network, &book, config(other, "stays")).await;
        let before = start(&network, &book, config(restarted, "before")).await;
        stays.send(&mut vec![vote(1, other, restarted, 1)]);
        receive(&before, 1).await;
        before.shutdown().await;
        sleep(Duration::from_secs(30)).await;
        let after = start(&network, &book, config(restarted, "after")).await;
        let begun = tokio::time::Instant::now();
        let found = async {
            let mut inbox = Vec::new();
            after.receive(&mut inbox).await.unwrap();
        };
        tokio::pin!(found);
        // As Raft does: say it again until it is heard.
        loop {
            stays.send(&mut vec![vote(1, other, restarted, 2)]);
            tokio::select! {
                biased;
                () = &mut found => break,
                () = sleep(Duration::from_millis(50)) => {}
            }
        }
        assert!(begun.elapsed() < Duration::from_millis(700), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_driver_is_slow_the_peer_waits_and_nothing_is_lost() {
    let (network, book) = (network(), Book::default());
    let mut config_two = config(2, "two");
    config_two.inbox_bytes_max = 50_000;
    let one = start(&network, &book, config(1, "one")).await;
    let two = start(&network, &book, config_two).await;
    let mut messages = (1..=200).map(|n| append(1, 2, n, 10_000)).collect();
    one.send(&mut messages);
    // Shorter than the time after which a peer that does not read is given up.
    sleep(Duration::from_secs(2)).await;
    let read = two.counters().received;
    assert!((5..60).contains(&read), "{read} messages were taken in");
    let arrived = receive(&two, 200).await;
    assert_eq!(arrived, (1..=200).map(|n| append(1, 2, n, 10_000)).collect::<Vec<_>>());
}

/// The connection to a peer that does not read is closed, and memory stays bounded.
#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_disconnected() {
    let (network, book) = (network(), Book::default());
    let one = start(&network, &book, config(2, "node")).await;
    book.set(1, &Address::from("nowhere"));
    let mut raw = Raw::new(network.connect(&Address::from("node")).await.unwrap());
    raw.say(&peer_hello(1, 2)).await;
    assert_eq!(raw.hear().await.unwrap().kind, FrameKind::Welcome);
    one.send(&mut (1..=100).map(|n| append(2, 1, n, 10_000)).collect());
    for _ in 0..20 {
        // It goes on sending: it is not silence that ends it.
        sleep(Duration::from_millis(500)).await;
        if one.counters().closed_stalled > 0 {
            break;
        }
        raw.say(&frame(FrameKind::Ping, b"")).await;
    }
    assert_eq!((one.counters().closed_stalled, one.counters().closed_idle), (1, 0));
    // What waited is stale by now, and gone.
    assert!(one.counters().dropped_offline > 50, "{:?}", one.counters());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_silent_is_disconnected() {
    let (network, book) = (network(), Book::default());
    let node = start(&network, &book, config(2, "node")).await;
    book.set(1, &Address::from("nowhere"));
    let mut raw = Raw::new(network.connect(&Address::from("node")).await.unwrap());
    raw.say(&peer_hello(1, 2)).await;
    assert_eq!(raw.hear().await.unwrap().kind, FrameKind::Welcome);
    let begun = tokio::time::Instant::now();
    raw.closed().await;
    assert_eq!(begun.elapsed().as_secs(), 4);
    assert_eq!(node.counters().closed_idle, 1);
}

/// A half-open connection does not keep its peer out.
#[tokio::test(start_paused = true)]
async fn of_two_connections_the_newer_one_counts() {
    let (network, book) = (network(), Book::default());
    let node = start(&network, &book, config(2, "node")).await;
    book.set(1, &Address::from("nowhere"));
    let mut older = Raw::new(network.connect(&Address::from("node")).await.unwrap());
    older.say(&peer_hello(1, 2)).await;
    assert_eq!(older.hear().await.unwrap().kind, FrameKind::Welcome);
    until(&node, |counters| counters.peer_connections == 1).await;
    let mut newer = Raw::new(network.connect(&Address::from("node")).await.unwrap());
    newer.say(&peer_hello(1, 2)).await;
    assert_eq!(newer.hear().await.unwrap().kind, FrameKind::Welcome);
    older.closed().await;
    assert_eq!(node.counters().peer_replaced, 1);
    node.send(&mut vec![vote(1, 2, 1, 1)]);
    assert_eq!(newer.hear().await.unwrap().kind, FrameKind::Raft);
}

#[tokio::test(start_paused = true)]
async fn a_message_between_other_nodes_ends_the_connection_and_is_not_delivered() {
    for wrong in [vote(1, 1, 3, 1), vote(1, 3, 2, 1)] {
        let (network, book) = (network(), Book::default());
        let node = start(&network, &book, config(2, "node")).await;
        book.set(1, &Address::from("nowhere"));
        let mut raw = Raw::new(network.connect(&Address::from("node")).await.unwrap());
        raw.say(&peer_hello(1, 2)).await;
        raw.hear().await.unwrap();
        let mut payload = bytes::BytesMut::new();
        encode_envelope(&vote(1, 1, 2, 1), &mut payload);
        encode_envelope(&wrong, &mut payload);
        raw.say(&frame(FrameKind::Raft, &payload)).await;
        raw.closed().await;
        assert_eq!((node.counters().rejected_misaddressed, node.counters().received), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn dialling_backs_off() {
    let (network, book) = (network(), Book::default());
    book.set(2, &Address::from("nowhere"));
    let one = start(&network, &book, config(1, "one")).await;
    one.send(&mut vec![vote(1, 1, 2, 1)]);
    sleep(Duration::from_secs(60)).await;
    let dialled = one.counters().dial_errors;
    // Between every half second and every quarter, after a few faster ones.
    assert!((120..=250).contains(&dialled), "{dialled}");
}

#[tokio::test(start_paused = true)]
async fn receiving_may_be_given_up_and_loses_nothing() {
    let (network, book) = (network(), Book::default());
    let one = start(&network, &book, config(1, "one")).await;
    let two = start(&network, &book, config(2, "two")).await;
    let mut arrived = Vec::new();
    for n in 0..100 {
        one.send(&mut vec![vote(1, 1, 2, n)]);
        let _ = tokio::time::timeout(Duration::from_micros(n), two.receive(&mut arrived)).await;
    }
    while arrived.len() < 100 {
        soon(two.receive(&mut arrived)).await.unwrap();
    }
    assert_eq!(arrived, (0..100).map(|n| vote(1, 1, 2, n)).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn after_the_shutdown_nothing_runs() {
    let (network, book) = (network(), Book::default());
    let one = start(&network, &book, config(1, "one")).await;
    let two = start(&network, &book, config(2, "two")).await;
    one.send(&mut vec![vote(1, 1, 2, 1)]);
    receive(&two, 1).await;
    soon(one.shutdown()).await;
    soon(two.shutdown()).await;
    assert_eq!(two.receive(&mut Vec::new()).await, Err(TransportClosed));
    assert_eq!(two.receive(&mut Vec::new()).await, Err(TransportClosed));
    one.send(&mut vec![vote(1, 1, 2, 1)]);
    tokio::task::yield_now().await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
    // The addresses are free again.
    start(&network, &book, config(1, "one")).await;
}

#[tokio::test(start_paused = true)]
async fn dropping_the_transport_ends_its_tasks() {
    let (network, book) = (network(), Book::default());
    let one = start(&network, &book, config(1, "one")).await;
    let two = start(&network, &book, config(2, "two")).await;
    one.send(&mut vec![vote(1, 1, 2, 1)]);
    receive(&two, 1).await;
    drop((one, two));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_wiped_node_is_refused() {
    struct Strict(Book);
    impl raft_transport::Peers for Strict {
        fn address(&self, node: NodeId) -> Option<Address> {
            self.0.peers().address(node)
        }
        fn admit(
            &self,
            node: NodeId,
            incarnation: raft_core::Incarnation,
        ) -> raft_transport::Admission {
            match incarnation.0 == node.0 {
                true => raft_transport::Admission::Admitted,
                false => raft_transport::Admission::WrongIncarnation,
            }
        }
    }
    let (network, book) = (network(), Book::default());
    let mut wiped = config(1, "one");
    wiped.incarnation = raft_core::Incarnation(1000);
    let one = start(&network, &book, wiped).await;
    let two = raft_transport::NetTransport::bind(
        config(2, "two"),
        raft_transport::Carrier::plaintext(Arc::clone(&network)),
        Arc::new(Strict(book.clone())),
    )
    .await
    .unwrap();
    book.set(2, two.address());
    one.send(&mut vec![vote(1, 1, 2, 1)]);
    until(&one, |counters| counters.refused_by_peer > 0).await;
    assert!(two.counters().refused_incarnation > 0);
    assert_eq!(two.counters().peer_connections, 0);
}

/// A network whose first accepts fail, as they do when there are too many open files.
struct OutOfFiles(Arc<dyn Network>);
struct FailingListener(Box<dyn raft_transport::Listener>, u32);

impl Network for OutOfFiles {
    fn bind(
        &self,
        address: &Address,
    ) -> raft_core::BoxFuture<'_, std::io::Result<Box<dyn raft_transport::Listener>>> {
        let bound = self.0.bind(address);
        Box::pin(async move { Ok(Box::new(FailingListener(bound.await?, 0)) as Box<_>) })
    }
    fn connect(
        &self,
        address: &Address,
    ) -> raft_core::BoxFuture<'_, std::io::Result<Box<dyn raft_transport::Stream>>> {
        self.0.connect(address)
    }
}

impl raft_transport::Listener for FailingListener {
    fn address(&self) -> &Address {
        self.0.address()
    }
    fn accept(
        &mut self,
    ) -> raft_core::BoxFuture<'_, std::io::Result<(Box<dyn raft_transport::Stream>, Address)>> {
        self.1 += 1;
        match self.1 {
            // Twenty-four: too many open files.
            ..=10 => Box::pin(async { Err(std::io::Error::from_raw_os_error(24)) }),
            _ => self.0.accept(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_to_accept_is_followed_by_a_pause_and_not_by_the_end() {
    let (plain, book) = (network(), Book::default());
    let failing: Arc<dyn Network> = Arc::new(OutOfFiles(Arc::clone(&plain)));
    let one = start(&plain, &book, config(1, "one")).await;
    let two = start(&failing, &book, config(2, "two")).await;
    let begun = tokio::time::Instant::now();
    one.send(&mut vec![vote(1, 1, 2, 1)]);
    receive(&two, 1).await;
    assert_eq!((two.counters().accept_errors, begun.elapsed().as_millis() / 100), (10, 10));
}
