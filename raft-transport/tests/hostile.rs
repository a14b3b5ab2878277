//! Bad input over real sockets on the loopback device: each gets an answer or a closed connection, one
//! counter goes up, and a good client and a good peer never notice.

mod common;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::*;
use raft_core::{Address, Caller, ClusterId, NodeId};
use raft_transport::codec::{
    Claim, FrameKind, HEADER_BYTES, Hello, Intent, Protocols, Refusal, encode_envelope,
};
use raft_transport::{
    CallerConfig, Carrier, Counters, NetCaller, NetConfig, NetTransport, Network, Stream,
    TokioNetwork,
};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;

const LOOPBACK: &str = "127.0.0.1:0";

/// Node 2 of a cluster, with node 1 and a client as its good company.
struct Setup {
    network: Arc<dyn Network>,
    good_peer: NetTransport,
    node: NetTransport,
    client: NetCaller,
    term: u64,
}

impl Setup {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut NetConfig)) -> Self {
        let (network, book): (Arc<dyn Network>, _) = (Arc::new(TokioNetwork), Book::default());
        let mut config_two = config(2, LOOPBACK);
        change(&mut config_two);
        let node = start(&network, &book, config_two).await;
        node.serve(Arc::new(Echo));
        let good_peer = start(&network, &book, config(1, LOOPBACK)).await;
        // A third one, which is dialled nowhere: its part is played by the test.
        book.set(0, &Address::from("127.0.0.1:1"));
        let client = NetCaller::new(CallerConfig::new(1), Carrier::plaintext(Arc::clone(&network)));
        let mut setup = Self { network, good_peer, node, client, term: 0 };
        setup.undisturbed().await;
        setup
    }

    async fn dial(&self) -> Raw<Box<dyn Stream>> {
        Raw::new(self.network.connect(self.node.address()).await.unwrap())
    }

    /// The good company is served, over the connections it has always had.
    async fn undisturbed(&mut self) {
        use raft_core::Transport;
        self.term += 1;
        let reply = self.client.call(self.node.address(), Bytes::from("still there?"));
        assert_eq!(soon(reply).await, Ok(Bytes::from("still there?")));
        self.good_peer.send(&mut vec![vote(1, 1, 2, self.term)]);
        assert_eq!(receive(&self.node, 1).await, [vote(1, 1, 2, self.term)]);
    }

    /// `bytes` close the connection, and count where they should; whether a client's or a peer's.
    async fn rejected(&mut self, hello: &[u8], bytes: &[u8], counter: impl Fn(&Counters) -> u64) {
        let before = counter(&self.node.counters());
        let mut raw = self.dial().await;
        if !hello.is_empty() {
            raw.say(hello).await;
            assert_eq!(raw.hear().await.unwrap().kind, FrameKind::Welcome);
        }
        raw.say(bytes).await;
        raw.closed().await;
        assert_eq!(counter(&self.node.counters()), before + 1, "{:?}", self.node.counters());
        self.undisturbed().await;
    }

    async fn refused(&mut self, claim: &[u8], refusal: Refusal, counter: fn(&Counters) -> u64) {
        let before = counter(&self.node.counters());
        let mut raw = self.dial().await;
        raw.say(claim).await;
        let answer = raw.hear().await.unwrap();
        assert_eq!(answer.kind, FrameKind::Refusal);
        assert_eq!(Refusal::decode(&answer.payload), Ok(refusal));
        raw.closed().await;
        assert_eq!(counter(&self.node.counters()), before + 1, "{:?}", self.node.counters());
        self.undisturbed().await;
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        let (node, peer) = (self.node.counters(), self.good_peer.counters());
        if !std::thread::panicking() {
            assert_eq!(peer.peer_connections, 1, "the good peer had to connect again");
            assert!(node.closed_idle == 0 && node.peer_replaced == 0, "{node:?}");
        }
    }
}

/// A header with this length, and its checksums right.
fn with_length(kind: FrameKind, length: u32) -> Vec<u8> {
    let mut bytes = frame(kind, b"");
    bytes[4..8].copy_from_slice(&length.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..12]);
    bytes[12..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

#[tokio::test]
async fn lengths_that_are_too_long() {
    let mut setup = Setup::new().await;
    for length in [MAX + 1, 1 << 31, u32::MAX] {
        let bytes = with_length(FrameKind::Request, length);
        setup.rejected(&client_hello(), &bytes, |c| c.rejected_too_long).await;
        let bytes = with_length(FrameKind::Raft, length);
        setup.rejected(&peer_hello(0, 2), &bytes, |c| c.rejected_too_long).await;
    }
    // Before the handshake the limit is far lower.
    let bytes = with_length(FrameKind::Hello, 257);
    setup.rejected(b"", &bytes, |c| c.rejected_too_long).await;
}

#[tokio::test]
async fn a_request_without_a_number() {
    let mut setup = Setup::new().await;
    for bytes in [frame(FrameKind::Request, b""), frame(FrameKind::Request, b"seven b")] {
        setup.rejected(&client_hello(), &bytes, |c| c.rejected_payload).await;
    }
}

#[tokio::test]
async fn damaged_frames() {
    let mut setup = Setup::new().await;
    let whole = request(1, b"hello");
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        let counter = |c: &Counters| c.rejected_format + c.rejected_checksum;
        setup.rejected(&client_hello(), &bytes, counter).await;
    }
}

#[tokio::test]
async fn a_damaged_batch_delivers_nothing() {
    let mut setup = Setup::new().await;
    let mut payload = bytes::BytesMut::new();
    encode_envelope(&vote(1, 0, 2, 1), &mut payload);
    payload.extend_from_slice(&[1, 0, 2, 1, 99]);
    let bytes = frame(FrameKind::Raft, &payload);
    setup.rejected(&peer_hello(0, 2), &bytes, |c| c.rejected_payload).await;
}

#[tokio::test]
async fn half_a_frame_and_the_end() {
    let mut setup = Setup::new().await;
    let whole = request(1, b"hello");
    for (count, length) in (1..).zip([1, HEADER_BYTES - 1, HEADER_BYTES, whole.len() - 1]) {
        let mut raw = setup.dial().await;
        raw.say(&client_hello()).await;
        raw.hear().await.unwrap();
        raw.say(&whole[..length]).await;
        raw.stream.shutdown().await.unwrap();
        raw.closed().await;
        until(&setup.node, |counters| counters.rejected_truncated == count).await;
    }
    setup.undisturbed().await;
}

#[tokio::test]
async fn random_bytes() {
    let mut setup = Setup::new().await;
    let mut random = fastrand::Rng::with_seed(1);
    for round in 0..60 {
        let mut bytes = vec![0; random.usize(20..2000)];
        random.fill(&mut bytes);
        // Far enough in to be taken seriously, every other time.
        let hello = match round % 3 {
            0 => Vec::new(),
            1 => client_hello(),
            _ => peer_hello(0, 2),
        };
        setup.rejected(&hello, &bytes, |c| c.rejected_format).await;
    }
    setup.rejected(b"", b"GET / HTTP/1.1\r\n\r\n", |c| c.rejected_format).await;
}

/// Random payloads in good frames, which is where a decoder is really tried.
#[tokio::test]
async fn random_payloads() {
    let mut setup = Setup::new().await;
    let mut random = fastrand::Rng::with_seed(2);
    for _ in 0..60 {
        let mut bytes = vec![0; random.usize(20..2000)];
        random.fill(&mut bytes);
        // An envelope from the right node to the right node, then anything.
        bytes[..4].copy_from_slice(&[1, 0, 2, 1]);
        bytes[4] = random.u8(9..);
        let bytes = frame(FrameKind::Raft, &bytes);
        setup.rejected(&peer_hello(0, 2), &bytes, |c| c.rejected_payload).await;
    }
}

#[tokio::test]
async fn frames_that_have_no_place() {
    let mut setup = Setup::new().await;
    for kind in [FrameKind::Hello, FrameKind::Raft, FrameKind::Reply, FrameKind::Welcome] {
        let bytes = frame(kind, b"12345678");
        setup.rejected(&client_hello(), &bytes, |c| c.rejected_kind).await;
    }
    for kind in [FrameKind::Hello, FrameKind::Request, FrameKind::Reply, FrameKind::Refusal] {
        let bytes = frame(kind, b"12345678");
        setup.rejected(&peer_hello(0, 2), &bytes, |c| c.rejected_kind).await;
    }
}

#[tokio::test]
async fn wrong_versions_clusters_and_nodes() {
    let mut setup = Setup::new().await;
    let with = |claim| hello(Hello { protocols: Protocols::OURS, claim });
    for claim in [Claim::Client, peer(0, 2)] {
        for (min, max) in [(2, 9), (0, 0), (9, 2)] {
            let bytes = hello(Hello { protocols: Protocols { min, max }, claim });
            let refusal = Refusal::Protocol(Protocols::OURS);
            setup.refused(&bytes, refusal, |c| c.refused_protocol).await;
        }
    }
    let Claim::Peer { from, incarnation, to, .. } = peer(0, 2) else { unreachable!() };
    let cluster = ClusterId(CLUSTER.0 + 1);
    let claim = Claim::Peer { intent: Intent::Connect, cluster, from, incarnation, to };
    setup.refused(&with(claim), Refusal::WrongCluster, |c| c.refused_cluster).await;
    let wrong = Refusal::WrongNode(NodeId(2));
    setup.refused(&peer_hello(0, 3), wrong, |c| c.refused_node).await;
    // Only the lower id dials, and nobody dials himself.
    for from in [2, 3] {
        setup.refused(&peer_hello(from, 2), Refusal::WrongDirection, |c| c.refused_node).await;
    }
    let cluster = CLUSTER;
    let claim = Claim::Peer { intent: Intent::Knock, cluster, from, incarnation, to };
    setup.refused(&with(claim), Refusal::WrongDirection, |c| c.refused_node).await;
    let claim = Claim::Peer { intent: Intent::Knock, cluster, from: NodeId(99), incarnation, to };
    let unknown = Refusal::UnknownNode(NodeId(99));
    setup.refused(&with(claim), unknown, |c| c.refused_node).await;
    for bytes in [request(1, b""), frame(FrameKind::Hello, b"?"), frame(FrameKind::Hello, b"")] {
        setup.refused(&bytes, Refusal::NoHello, |c| c.refused_no_hello).await;
    }
}

#[tokio::test]
async fn slow_handshakes_are_ended_and_bounded() {
    let change = |config: &mut NetConfig| {
        config.handshake_max = Duration::from_secs(1);
        config.handshakes_max = 5;
    };
    let mut setup = Setup::with(change).await;
    let mut slow = Vec::new();
    for _ in 0..5 {
        let mut raw = setup.dial().await;
        // One byte, and never another one.
        raw.say(&client_hello()[..1]).await;
        slow.push(raw);
    }
    // Whoever comes now gets the place of the one that came first.
    slow.push(setup.dial().await);
    slow.remove(0).closed().await;
    assert_eq!(setup.node.counters().handshakes_full, 1);
    assert_eq!(setup.node.counters().handshakes_late, 0);
    setup.undisturbed().await;
    for mut raw in slow {
        raw.closed().await;
    }
    assert_eq!(setup.node.counters().handshakes_late, 5);
    setup.undisturbed().await;
}

/// One byte after the other, each in time, is not a handshake in time.
#[tokio::test]
async fn a_handshake_that_drips_is_ended() {
    let mut setup = Setup::with(|config| config.handshake_max = Duration::from_secs(1)).await;
    let mut raw = setup.dial().await;
    for byte in peer_hello(0, 2) {
        // Once it was closed, nobody takes them.
        let _ = raw.stream.write_all(&[byte]).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(setup.node.counters().handshakes_late, 1);
    raw.closed().await;
    setup.undisturbed().await;
}

#[tokio::test]
async fn one_address_does_not_take_all_places() {
    let mut setup = Setup::with(|config| config.connections_per_address_max = 4).await;
    // The good client has a place, and the good peer, whose handshake is over, has none.
    let mut idle = Vec::new();
    for _ in 0..3 {
        let mut raw = setup.dial().await;
        raw.say(&client_hello()).await;
        assert_eq!(raw.hear().await.unwrap().kind, FrameKind::Welcome);
        idle.push(raw);
    }
    setup.dial().await.closed().await;
    assert_eq!(setup.node.counters().refused_address, 1);
    // From elsewhere it is let in.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let node = setup.node.address().0.parse().unwrap();
    let mut elsewhere = Raw::new(socket.connect(node).await.unwrap());
    elsewhere.say(&client_hello()).await;
    assert_eq!(elsewhere.hear().await.unwrap().kind, FrameKind::Welcome);
    setup.undisturbed().await;
    // Who goes makes room.
    drop(idle.pop());
    soon(async {
        while setup.node.clients() > 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let mut next = setup.dial().await;
    next.say(&client_hello()).await;
    assert_eq!(next.hear().await.unwrap().kind, FrameKind::Welcome);
    setup.undisturbed().await;
}

/// They say nothing, and do no harm; what must say something is refused.
#[tokio::test]
async fn frames_without_a_payload() {
    let mut setup = Setup::new().await;
    let mut raw = setup.dial().await;
    raw.say(&peer_hello(0, 2)).await;
    assert_eq!(raw.hear().await.unwrap().kind, FrameKind::Welcome);
    raw.say(&frame(FrameKind::Raft, b"")).await;
    let mut payload = bytes::BytesMut::new();
    encode_envelope(&vote(1, 0, 2, 77), &mut payload);
    raw.say(&frame(FrameKind::Raft, &payload)).await;
    assert_eq!(receive(&setup.node, 1).await, [vote(1, 0, 2, 77)]);
    setup.rejected(&client_hello(), &frame(FrameKind::Request, b""), |c| c.rejected_payload).await;
    let empty = frame(FrameKind::Hello, b"");
    setup.refused(&empty, Refusal::NoHello, |c| c.refused_no_hello).await;
}

#[tokio::test]
async fn a_client_that_goes_while_it_is_answered() {
    let mut setup = Setup::new().await;
    for _ in 0..20 {
        let mut raw = setup.dial().await;
        raw.say(&client_hello()).await;
        raw.hear().await.unwrap();
        for number in 0..100 {
            raw.say(&request(number, &[0; 1000])).await;
        }
        drop(raw);
    }
    setup.undisturbed().await;
    let node = &setup.node;
    soon(async {
        while node.clients() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Hundreds of connections at a time that say nothing: no more of them are held than are allowed, and whoever is honest
/// gets in among them.
#[tokio::test]
async fn a_storm_of_handshakes() {
    let mut setup = Setup::with(|config| config.handshakes_max = 16).await;
    let mut stalled = Vec::new();
    for round in 1..=5 {
        for _ in 0..100 {
            stalled.push(setup.dial().await);
        }
        until(&setup.node, |counters| counters.handshakes_full >= 100 * round - 16).await;
        let client =
            NetCaller::new(CallerConfig::new(1), Carrier::plaintext(Arc::clone(&setup.network)));
        let reply = client.call(setup.node.address(), Bytes::from("let me in"));
        assert_eq!(soon(reply).await, Ok(Bytes::from("let me in")));
        setup.undisturbed().await;
    }
    for mut raw in stalled {
        raw.closed().await;
    }
}
