//! Bounds and deadlines, with their defaults.

use std::time::Duration;

use raft_core::{Address, ClusterId, Incarnation, NodeId};

use crate::tls::Tls;

/// How a connection is kept from hanging.
///
/// Both ends send a sign of life when they have had nothing to say for `ping_every`, so `silence_max` has to
/// be longer than the other end's `ping_every`, by a good deal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Liveness {
    /// Say something at least this often.
    pub ping_every: Duration,
    /// Close when nothing was heard for this long: the other end is gone, and nobody said so.
    pub silence_max: Duration,
    /// Close when bytes wait to be written and none could be for this long: the other end does not read. With
    /// TLS these are the bytes that it holds, at most 64 KiB at a time; over QUIC those for which the other side has
    /// no room.
    pub stall_max: Duration,
}

/// How long to wait between attempts: from `first` on twice as long each time, up to `longest`, and of that
/// a random part between a half and the whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// At most.
    pub longest: Duration,
}

impl Backoff {
    /// How long to wait after this many failures in a row.
    pub(crate) fn after(self, failures: u32, random: &mut fastrand::Rng) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.saturating_sub(1).min(20));
        doubled.min(self.longest).mul_f64(0.5 + random.f64() / 2.0)
    }
}

/// How the byte streams of a [`Carrier`](crate::Carrier) are secured.
#[derive(Clone, Debug)]
pub enum Security {
    /// Not at all: whoever reaches the port can pretend to be a node, and reads and alters what is on its way.
    /// For tests, and for nodes of one machine: see [`LoopbackNetwork`](crate::LoopbackNetwork).
    Plaintext,
    /// By TLS, with certificates on both sides.
    MutualTls(Tls),
}

/// The configuration of a [`NetTransport`](crate::NetTransport).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NetConfig {
    /// The cluster; others are refused.
    pub cluster: ClusterId,
    /// This node.
    pub node: NodeId,
    /// Which life of its data directory this is.
    pub incarnation: Incarnation,
    /// Where to listen, for peers and clients.
    pub listen: Address,
    /// For the jitter of dialling.
    pub seed: u64,
    /// The longest payload of a frame. Default 16 MiB. The same on all nodes, and on clients.
    pub frame_bytes_max: u32,
    /// How many messages may wait for one peer. Default 65,536.
    pub peer_messages_max: usize,
    /// How many bytes may wait for one peer. Default 64 MiB.
    pub peer_bytes_max: u64,
    /// How many messages may wait for a peer that is not connected; older ones give way. Default 1024.
    pub offline_messages_max: usize,
    /// How many bytes of messages may wait for [`receive`](raft_core::Transport::receive) before peers are
    /// not read any more. One frame of each peer may come on top. Default 64 MiB.
    pub inbox_bytes_max: u64,
    /// How many clients may be connected. Default 10,000.
    pub clients_max: usize,
    /// How many connections there may be from one address, of clients and of those that are in their handshake;
    /// others are closed. Where the [`Network`](crate::Network) does not tell where they come from, there is no
    /// such limit. Default 2,000.
    pub connections_per_address_max: usize,
    /// How many connections may be in their handshake; the oldest gives way to a newer one. Default 256.
    pub handshakes_max: usize,
    /// How many requests of one client may be in flight before it is not read any more. Default 1024.
    pub requests_max: usize,
    /// How many bytes of requests of one client may be in flight before it is not read any more.
    /// Default 16 MiB. One request may come on top.
    pub request_bytes_max: usize,
    /// How long a handshake may take, that of TLS included. Default 3 s.
    pub handshake_max: Duration,
    /// How long dialling may take; over QUIC, until somebody answers. Default 1 s.
    pub dial_max: Duration,
    /// How long to pause after a failure to accept, which often means that there are too many open files.
    /// Default 100 ms.
    pub accept_pause: Duration,
    /// How long requests in flight may take when the transport is shut down. Default 1 s.
    pub drain_max: Duration,
    /// Of connections with peers. Default 1 s, 4 s, 4 s.
    pub peer_liveness: Liveness,
    /// Of connections with clients. Default 5 s, 20 s, 10 s.
    pub client_liveness: Liveness,
    /// Between attempts to dial a peer. Default 20 ms to 500 ms.
    pub backoff: Backoff,
}

const FRAME_BYTES_MAX: u32 = 16 << 20;
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(20), longest: Duration::from_millis(500) };
const CLIENT_LIVENESS: Liveness = Liveness {
    ping_every: Duration::from_secs(5),
    silence_max: Duration::from_secs(20),
    stall_max: Duration::from_secs(10),
};

impl NetConfig {
    /// The defaults for a node. `seed` may be anything that differs between nodes.
    pub fn new(
        cluster: ClusterId,
        node: NodeId,
        incarnation: Incarnation,
        listen: Address,
        seed: u64,
    ) -> Self {
        Self {
            cluster,
            node,
            incarnation,
            listen,
            seed,
            frame_bytes_max: FRAME_BYTES_MAX,
            peer_messages_max: 65_536,
            peer_bytes_max: 64 << 20,
            offline_messages_max: 1024,
            inbox_bytes_max: 64 << 20,
            clients_max: 10_000,
            connections_per_address_max: 2_000,
            handshakes_max: 256,
            requests_max: 1024,
            request_bytes_max: 16 << 20,
            handshake_max: Duration::from_secs(3),
            dial_max: Duration::from_secs(1),
            accept_pause: Duration::from_millis(100),
            drain_max: Duration::from_secs(1),
            peer_liveness: Liveness {
                ping_every: Duration::from_secs(1),
                silence_max: Duration::from_secs(4),
                stall_max: Duration::from_secs(4),
            },
            client_liveness: CLIENT_LIVENESS,
            backoff: BACKOFF,
        }
    }
}

/// The configuration of a [`NetCaller`](crate::NetCaller).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallerConfig {
    /// For the jitter of dialling.
    pub seed: u64,
    /// The longest payload of a frame. Default 16 MiB. The same on the nodes.
    pub frame_bytes_max: u32,
    /// How many connections to one address. Default 1.
    pub connections: usize,
    /// How many addresses may be in use. Default 1024.
    pub addresses_max: usize,
    /// How many calls may be in flight on one connection. Default 4096.
    pub calls_max: usize,
    /// How many bytes of requests may be in flight on one connection. Default 64 MiB.
    pub call_bytes_max: usize,
    /// How long dialling may take. Default 1 s.
    pub dial_max: Duration,
    /// How long the handshake may take, that of TLS included. Default 3 s.
    pub handshake_max: Duration,
    /// A connection without calls is closed after this long. Default 60 s.
    pub unused_max: Duration,
    /// Of the connections. Default 5 s, 20 s, 10 s.
    pub liveness: Liveness,
    /// After a failure to connect, calls to the address fail at once for this long. Default 20 ms to 500 ms.
    pub backoff: Backoff,
}

impl CallerConfig {
    /// The defaults.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            frame_bytes_max: FRAME_BYTES_MAX,
            connections: 1,
            addresses_max: 1024,
            calls_max: 4096,
            call_bytes_max: 64 << 20,
            dial_max: Duration::from_secs(1),
            handshake_max: Duration::from_secs(3),
            unused_max: Duration::from_secs(60),
            liveness: CLIENT_LIVENESS,
            backoff: BACKOFF,
        }
    }
}
