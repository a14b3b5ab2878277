//! Requests and replies, over a network in memory with a paused clock.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use common::*;
use raft_core::{Address, BoxFuture, CallError, Caller, Service};
use raft_transport::codec::FrameKind;
use raft_transport::{
    CallerConfig, Carrier, MemoryNetwork, NetCaller, NetTransport, Network, Stream,
};
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

/// Answers when it is allowed to, and counts how many requests were begun.
struct Gated {
    begun: AtomicUsize,
    gate: Arc<Semaphore>,
}

impl Gated {
    fn new() -> Arc<Self> {
        Arc::new(Self { begun: AtomicUsize::new(0), gate: Arc::new(Semaphore::new(0)) })
    }
    fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }
}

impl Service for Gated {
    fn call(&self, request: Bytes) -> BoxFuture<'static, Bytes> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let gate = Arc::clone(&self.gate);
        Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            request
        })
    }
}

struct Setup {
    network: Arc<dyn Network>,
    node: NetTransport,
    caller: Arc<NetCaller>,
}

fn caller_config() -> CallerConfig {
    let mut config = CallerConfig::new(1);
    config.frame_bytes_max = MAX;
    config
}

async fn setup(service: Arc<dyn Service>) -> Setup {
    setup_with(service, |_| {}, |_| {}).await
}

async fn setup_with(
    service: Arc<dyn Service>,
    server: impl FnOnce(&mut raft_transport::NetConfig),
    client: impl FnOnce(&mut CallerConfig),
) -> Setup {
    let network: Arc<dyn Network> = Arc::new(MemoryNetwork::default());
    let (mut config, mut calling) = (config(1, "node"), caller_config());
    server(&mut config);
    client(&mut calling);
    let node = start(&network, &Book::default(), config).await;
    node.serve(service);
    let caller = Arc::new(NetCaller::new(calling, Carrier::plaintext(Arc::clone(&network))));
    Setup { network, node, caller }
}

fn node() -> Address {
    Address::from("node")
}

fn body(bytes: usize) -> Bytes {
    Bytes::from(vec![5; bytes])
}

/// Begins a call and lets it get as far as it gets.
async fn begin(caller: &Arc<NetCaller>, request: Bytes) -> JoinHandle<Result<Bytes, CallError>> {
    let caller = Arc::clone(caller);
    let call = tokio::spawn(async move { caller.call(&node(), request).await });
    sleep(Duration::from_millis(1)).await;
    call
}

fn not_sent(result: Result<Bytes, CallError>) -> String {
    match result {
        Err(CallError::NotSent { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

fn unknown(result: Result<Bytes, CallError>) -> String {
    match result {
        Err(CallError::Unknown { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn every_call_gets_its_own_reply_over_one_connection() {
    let Setup { node: server, caller, .. } = setup(Arc::new(Echo)).await;
    let mut calls = JoinSet::new();
    for n in 0..1000_u32 {
        let caller = Arc::clone(&caller);
        calls.spawn(async move {
            let request = Bytes::from([&n.to_le_bytes()[..], &[9; 100]].concat());
            assert_eq!(caller.call(&node(), request.clone()).await, Ok(request));
        });
    }
    soon(calls.join_all()).await;
    let counters = server.counters();
    assert_eq!((counters.client_connections, counters.requests, counters.replies), (1, 1000, 1000));
    assert_eq!(caller.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn replies_may_overtake_each_other() {
    struct Backwards;
    impl Service for Backwards {
        fn call(&self, request: Bytes) -> BoxFuture<'static, Bytes> {
            Box::pin(async move {
                sleep(Duration::from_secs(10 - u64::from(request[0]))).await;
                request
            })
        }
    }
    let Setup { caller, node: _server, .. } = setup(Arc::new(Backwards)).await;
    let begun = Instant::now();
    let mut calls = JoinSet::new();
    for n in 0..10 {
        let caller = Arc::clone(&caller);
        calls.spawn(async move { caller.call(&node(), Bytes::from(vec![n])).await.unwrap()[0] });
    }
    assert_eq!(soon(calls.join_all()).await, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn requests_and_replies_of_any_size_up_to_the_limit() {
    let Setup { caller, node: _server, .. } = setup(Arc::new(Echo)).await;
    for bytes in [0, 1, 1000, 100_000, MAX as usize - 8] {
        assert_eq!(soon(caller.call(&node(), body(bytes))).await, Ok(body(bytes)));
    }
    let reason = not_sent(soon(caller.call(&node(), body(MAX as usize - 7))).await);
    assert!(reason.contains("allowed are 1048576"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_fits_no_frame_is_an_error_and_not_silence() {
    struct Big;
    impl Service for Big {
        fn call(&self, _: Bytes) -> BoxFuture<'static, Bytes> {
            Box::pin(async { body(MAX as usize) })
        }
    }
    let Setup { node: server, caller, .. } = setup(Arc::new(Big)).await;
    let reason = unknown(soon(caller.call(&node(), body(1))).await);
    assert!(reason.contains("does not fit"), "{reason}");
    assert_eq!(server.counters().replies_too_long, 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_server_is_not_sent_and_fails_at_once_for_a_while() {
    let network: Arc<dyn Network> = Arc::new(MemoryNetwork::default());
    let caller =
        Arc::new(NetCaller::new(caller_config(), Carrier::plaintext(Arc::clone(&network))));
    not_sent(soon(caller.call(&node(), body(1))).await);
    let server = start(&network, &Book::default(), config(1, "node")).await;
    server.serve(Arc::new(Echo));
    not_sent(soon(caller.call(&node(), body(1))).await);
    sleep(Duration::from_millis(20)).await;
    assert_eq!(soon(caller.call(&node(), body(1))).await, Ok(body(1)));
}

#[tokio::test(start_paused = true)]
async fn a_node_without_a_service_refuses_clients() {
    let network: Arc<dyn Network> = Arc::new(MemoryNetwork::default());
    let server = start(&network, &Book::default(), config(1, "node")).await;
    let caller = NetCaller::new(caller_config(), Carrier::plaintext(network));
    let reason = not_sent(soon(caller.call(&node(), body(1))).await);
    assert!(reason.contains("no requests are answered here"), "{reason}");
    assert_eq!(server.counters().refused_client, 1);
}

/// A connection with one call that was read, one that is written, one that is written in part, one that waits
/// in the buffer, one that fills the buffer, and one that waits for the buffer.
async fn stuck() -> (Raw<Box<dyn Stream>>, Vec<JoinHandle<Result<Bytes, CallError>>>) {
    // A thousand bytes fit the buffer of the network: all of the second request, a part of the third.
    let network: Arc<dyn Network> = Arc::new(MemoryNetwork::new(1000));
    let mut listener = network.bind(&node()).await.unwrap();
    let caller =
        Arc::new(NetCaller::new(caller_config(), Carrier::plaintext(Arc::clone(&network))));
    let mut calls = vec![begin(&caller, body(100)).await];
    let mut raw = Raw::new(listener.accept().await.unwrap().0);
    assert_eq!(raw.hear().await.unwrap().kind, FrameKind::Hello);
    raw.say(&frame(FrameKind::Welcome, &[&[1, 0][..], &[0; 24]].concat())).await;
    assert_eq!(raw.hear().await.unwrap().kind, FrameKind::Request);
    for bytes in [700, 700, 700, 300_000, 700] {
        calls.push(begin(&caller, body(bytes)).await);
    }
    // The caller lives as long as its calls.
    (raw, calls)
}

/// The other side closes, and nothing was in the middle of being written: it is known exactly what left.
#[tokio::test(start_paused = true)]
async fn when_the_connection_ends_each_call_knows_whether_it_was_sent() {
    let (mut raw, mut calls) = stuck().await;
    raw.stream.shutdown().await.unwrap();
    for call in calls.drain(3..) {
        not_sent(soon(call).await.unwrap());
    }
    for call in calls {
        unknown(soon(call).await.unwrap());
    }
}

/// A stream that fails may have taken any part of the buffer; what was not in the buffer was not sent.
#[tokio::test(start_paused = true)]
async fn when_the_stream_fails_what_was_in_its_buffer_is_unknown() {
    let (raw, mut calls) = stuck().await;
    drop(raw);
    not_sent(soon(calls.remove(5)).await.unwrap());
    for call in calls {
        unknown(soon(call).await.unwrap());
    }
}

/// No answer to the hello: no request has left.
#[tokio::test(start_paused = true)]
async fn when_the_handshake_is_late_nothing_was_sent() {
    let network: Arc<dyn Network> = Arc::new(MemoryNetwork::default());
    let mut listener = network.bind(&node()).await.unwrap();
    let mut config = caller_config();
    config.handshake_max = Duration::from_millis(500);
    let caller = Arc::new(NetCaller::new(config, Carrier::plaintext(Arc::clone(&network))));
    let call = begin(&caller, body(100)).await;
    let raw = Raw::new(listener.accept().await.unwrap().0);
    let reason = not_sent(soon(call).await.unwrap());
    assert!(reason.contains("in time"), "{reason}");
    drop(raw);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_leaves_nothing_behind() {
    let gated = Gated::new();
    let Setup { caller, node: _server, .. } =
        setup_with(gated.clone(), |_| {}, |c| c.calls_max = 2).await;
    for _ in 0..10 {
        let call = caller.call(&node(), body(1));
        assert!(timeout(Duration::from_millis(10), call).await.is_err());
        assert_eq!(caller.in_flight(), 0);
    }
    gated.gate.add_permits(11);
    // The replies to the dropped calls do not confuse this one.
    assert_eq!(soon(caller.call(&node(), Bytes::from("x"))).await, Ok(Bytes::from("x")));
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_are_bounded_in_number_and_bytes() {
    let gated = Gated::new();
    let limits = |c: &mut CallerConfig| (c.calls_max, c.call_bytes_max) = (3, 1000);
    let Setup { caller, node: _server, .. } = setup_with(gated.clone(), |_| {}, limits).await;
    let big = begin(&caller, body(990)).await;
    assert!(not_sent(caller.call(&node(), body(11)).await).contains("overloaded"));
    let calls = [begin(&caller, body(1)).await, begin(&caller, body(1)).await];
    assert!(not_sent(caller.call(&node(), body(1)).await).contains("overloaded"));
    gated.gate.add_permits(3);
    soon(big).await.unwrap().unwrap();
    for call in calls {
        soon(call).await.unwrap().unwrap();
    }
}

/// One client with too much in flight waits; another one is served.
#[tokio::test(start_paused = true)]
async fn a_server_bounds_what_one_client_has_in_flight() {
    let gated = Gated::new();
    let limit = |c: &mut raft_transport::NetConfig| c.requests_max = 10;
    let Setup { network, caller, node: _server } = setup_with(gated.clone(), limit, |_| {}).await;
    let mut calls = Vec::new();
    for _ in 0..25 {
        calls.push(begin(&caller, body(1)).await);
    }
    assert_eq!(gated.begun(), 10);
    let other = Arc::new(NetCaller::new(caller_config(), Carrier::plaintext(network)));
    let undisturbed = begin(&other, body(1)).await;
    assert_eq!(gated.begun(), 11);
    gated.gate.add_permits(26);
    soon(undisturbed).await.unwrap().unwrap();
    for call in calls {
        soon(call).await.unwrap().unwrap();
    }
    assert_eq!(gated.begun(), 26);
}

#[tokio::test(start_paused = true)]
async fn a_server_bounds_the_bytes_of_one_client() {
    let gated = Gated::new();
    let limit = |c: &mut raft_transport::NetConfig| c.request_bytes_max = 10_000;
    let Setup { caller, node: _server, .. } = setup_with(gated.clone(), limit, |_| {}).await;
    let mut calls = Vec::new();
    for _ in 0..8 {
        calls.push(begin(&caller, body(3000)).await);
    }
    assert_eq!(gated.begun(), 4);
    gated.gate.add_permits(8);
    for call in calls {
        soon(call).await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_disconnected_and_others_are_served() {
    let Setup { network, node: server, caller } = setup(Arc::new(Echo)).await;
    let mut raw = Raw::new(network.connect(&node()).await.unwrap());
    raw.say(&client_hello()).await;
    assert_eq!(raw.hear().await.unwrap().kind, FrameKind::Welcome);
    let mut sent = 0;
    // Until the server stops reading, for it cannot write.
    let flood = request(1, &[3; 50_000]);
    while timeout(Duration::from_secs(1), raw.say(&flood)).await.is_ok() {
        sent += 1;
        assert!(sent < 100, "the server goes on reading");
    }
    let begun = Instant::now();
    assert_eq!(soon(caller.call(&node(), body(10))).await, Ok(body(10)));
    assert!(begun.elapsed() < Duration::from_millis(10));
    until(&server, |counters| counters.closed_stalled == 1).await;
    assert_eq!(soon(caller.call(&node(), body(10))).await, Ok(body(10)));
}

#[tokio::test(start_paused = true)]
async fn two_hundred_idle_clients_stay_connected_and_disturb_nobody() {
    let Setup { network, node: server, .. } = setup(Arc::new(Echo)).await;
    let mut callers = Vec::new();
    for _ in 0..200 {
        let mut config = caller_config();
        config.unused_max = Duration::from_secs(3600);
        let caller = NetCaller::new(config, Carrier::plaintext(Arc::clone(&network)));
        soon(caller.call(&node(), body(1))).await.unwrap();
        callers.push(caller);
    }
    sleep(Duration::from_secs(600)).await;
    assert_eq!(server.clients(), 200);
    for caller in &callers {
        soon(caller.call(&node(), body(1))).await.unwrap();
    }
    let counters = server.counters();
    assert_eq!((counters.client_connections, counters.closed_idle), (200, 0));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_not_used_is_closed_and_made_again() {
    let Setup { node: server, caller, .. } = setup(Arc::new(Echo)).await;
    soon(caller.call(&node(), body(1))).await.unwrap();
    sleep(Duration::from_secs(150)).await;
    assert_eq!(server.clients(), 0);
    soon(caller.call(&node(), body(1))).await.unwrap();
    assert_eq!(server.counters().client_connections, 2);
}

#[tokio::test(start_paused = true)]
async fn clients_and_addresses_are_bounded() {
    let limit = |c: &mut raft_transport::NetConfig| c.clients_max = 1;
    let few = |c: &mut CallerConfig| c.addresses_max = 1;
    let Setup { network, caller, node: _server } = setup_with(Arc::new(Echo), limit, few).await;
    soon(caller.call(&node(), body(1))).await.unwrap();
    let reason = not_sent(soon(caller.call(&Address::from("elsewhere"), body(1))).await);
    assert!(reason.contains("too many addresses"), "{reason}");
    let other = NetCaller::new(caller_config(), Carrier::plaintext(network));
    let reason = not_sent(soon(other.call(&node(), body(1))).await);
    assert!(reason.contains("too many clients"), "{reason}");
    soon(caller.call(&node(), body(1))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_answers_what_is_in_flight() {
    let gated = Gated::new();
    let Setup { node: server, caller, .. } = setup(gated.clone()).await;
    let mut calls = Vec::new();
    for _ in 0..10 {
        calls.push(begin(&caller, body(1)).await);
    }
    let open = gated.gate.clone();
    tokio::spawn(async move {
        sleep(Duration::from_millis(500)).await;
        open.add_permits(10);
    });
    soon(server.shutdown()).await;
    for call in calls {
        soon(call).await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_ever() {
    let Setup { node: server, caller, .. } = setup(Gated::new()).await;
    let call = begin(&caller, body(1)).await;
    let begun = Instant::now();
    soon(server.shutdown()).await;
    assert_eq!(begun.elapsed().as_secs(), 1);
    unknown(soon(call).await.unwrap());
    soon(caller.shutdown()).await;
    not_sent(soon(caller.call(&node(), body(1))).await);
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
}
