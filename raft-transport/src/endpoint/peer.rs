//! One peer: getting the connection, keeping it, and using it.
//!
//! The node with the lower id dials, so that there is one connection for each pair of nodes and no tie to
//! break. When the other one has something to send and no connection, it knocks: it dials, says so and hangs
//! up, and is dialled at once. Of two connections from the same peer the newer one counts: the peer would not
//! have dialled if it still had the older one.

use std::sync::{Arc, Mutex, PoisonError};

use raft_core::{Address, Envelope, NodeId};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::Shared;
use super::queue::Queue;
use crate::codec::{
    Claim, Frame, FrameKind, Intent, Refusal, Welcome, decode_batch, encode_envelope,
};
use crate::handshake::{Dialling, HandshakeError};
use crate::link::{Gate, Link, LinkError};

/// A frame of messages is closed when it has about this many bytes.
const BATCH_BYTES: u64 = 128 << 10;

pub(crate) struct Peer {
    id: NodeId,
    pub(crate) queue: Queue,
    inbound: Mutex<Option<Link>>,
    arrived: Notify,
    knocked: Notify,
}

impl Peer {
    pub(crate) fn new(id: NodeId, shared: &Shared) -> Self {
        Self {
            id,
            queue: Queue::new(&shared.config, Arc::clone(&shared.tally)),
            inbound: Mutex::default(),
            arrived: Notify::new(),
            knocked: Notify::new(),
        }
    }

    /// The peer has dialled.
    pub(crate) fn connected(&self, link: Link) {
        *self.inbound.lock().unwrap_or_else(PoisonError::into_inner) = Some(link);
        self.arrived.notify_one();
    }

    /// The peer wants to be dialled.
    pub(crate) fn knocked(&self) {
        self.knocked.notify_one();
    }

    fn take_inbound(&self) -> Option<Link> {
        self.inbound.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits for a connection that the peer made.
    async fn inbound(&self) -> Link {
        loop {
            if let Some(link) = self.take_inbound() {
                return link;
            }
            self.arrived.notified().await;
        }
    }
}

/// Keeps the connection to a peer, for ever.
pub(crate) async fn run(shared: Arc<Shared>, peer: Arc<Peer>) {
    let seed = shared.config.seed ^ peer.id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut replaced = None;
    loop {
        let link = match replaced.take() {
            Some(link) => link,
            None if shared.config.node < peer.id => dialled(&shared, &peer, &mut random).await,
            None => awaited(&shared, &peer, &mut random).await,
        };
        shared.tally.peer_connections.one();
        tracing::debug!(peer = %peer.id, "connected");
        peer.queue.up();
        let ended = converse(&shared, &peer, link).await;
        match ended {
            Ok(newer) => {
                shared.tally.peer_replaced.one();
                replaced = Some(newer);
            }
            Err(error) => {
                peer.queue.down();
                shared.complaints.warn(format_args!("connection with {} lost: {error}", peer.id));
                // A peer that accepts and hangs up at once is not dialled in a tight loop.
                sleep(shared.config.backoff.after(1, &mut random)).await;
            }
        }
    }
}

/// Dials until there is a connection.
async fn dialled(shared: &Shared, peer: &Peer, random: &mut fastrand::Rng) -> Link {
    let mut failures = 0;
    loop {
        match attempt(shared, peer, Intent::Connect).await {
            Ok(link) => return link,
            Err(error) => shared.complaints.warn(format_args!("dialling {}: {error}", peer.id)),
        }
        failures += 1;
        tokio::select! {
            biased;
            () = peer.knocked.notified() => failures = 0,
            () = sleep(shared.config.backoff.after(failures, random)) => {}
        }
    }
}

/// Waits to be dialled, and knocks when there is something to send.
async fn awaited(shared: &Shared, peer: &Peer, random: &mut fastrand::Rng) -> Link {
    let mut failures = 0;
    loop {
        tokio::select! {
            biased;
            link = peer.inbound() => return link,
            () = knock(shared, peer) => {}
        }
        failures += 1;
        tokio::select! {
            biased;
            link = peer.inbound() => return link,
            () = sleep(shared.config.backoff.after(failures, random)) => {}
        }
    }
}

async fn knock(shared: &Shared, peer: &Peer) {
    peer.queue.filled().await;
    if let Err(error) = attempt(shared, peer, Intent::Knock).await {
        shared.complaints.warn(format_args!("knocking at {}: {error}", peer.id));
    }
}

async fn attempt(shared: &Shared, peer: &Peer, intent: Intent) -> Result<Link, HandshakeError> {
    let Some(address) = shared.peers.address(peer.id) else {
        return Err(HandshakeError::Connect(std::io::ErrorKind::AddrNotAvailable.into()));
    };
    let result = dial(shared, peer.id, &address, intent).await;
    match &result {
        Err(HandshakeError::RefusedByPeer(_)) => shared.tally.refused_by_peer.one(),
        Err(_) => shared.tally.dial_errors.one(),
        Ok(_) => {}
    }
    result
}

async fn dial(
    shared: &Shared,
    peer: NodeId,
    address: &Address,
    intent: Intent,
) -> Result<Link, HandshakeError> {
    let config = &shared.config;
    let dialling = Dialling {
        carrier: &shared.carrier,
        dial_max: config.dial_max,
        handshake_max: config.handshake_max,
        liveness: config.peer_liveness,
        tally: &shared.tally,
    };
    let (cluster, from, incarnation) = (config.cluster, config.node, config.incarnation);
    let claim = Claim::Peer { intent, cluster, from, incarnation, to: peer };
    let (welcome, mut link) = dialling.dial(address, claim).await?;
    check_welcome(shared, peer, &welcome).map_err(HandshakeError::Refused)?;
    link.established(config.frame_bytes_max, config.peer_liveness);
    Ok(link)
}

fn check_welcome(shared: &Shared, peer: NodeId, welcome: &Welcome) -> Result<(), Refusal> {
    if welcome.cluster != shared.config.cluster {
        return Err(Refusal::WrongCluster);
    }
    if welcome.node != peer {
        return Err(Refusal::WrongNode(welcome.node));
    }
    shared.peers.admit(peer, welcome.incarnation).of(peer)
}

/// Sends and receives until the connection ends, or a newer one takes its place.
async fn converse(shared: &Shared, peer: &Peer, mut link: Link) -> Result<Link, LinkError> {
    let mut batch = Vec::new();
    loop {
        // Made before the inbox is looked at, so that no sign of room is missed.
        let room = shared.inbox.room();
        let gate = take_frames(shared, peer, &mut link, &mut batch)?;
        while link.has_room() && put_frames(shared, peer, &mut link, &mut batch) {}
        tokio::select! {
            biased;
            newer = peer.inbound() => return Ok(newer),
            () = peer.knocked.notified() => link.ping(),
            () = room, if gate == Gate::Shut => {}
            () = peer.queue.filled(), if link.has_room() => {}
            turned = link.turn(gate) => turned?,
        }
    }
}

/// Takes the frames that have arrived, as long as the inbox has room; whether to read more.
fn take_frames(
    shared: &Shared,
    peer: &Peer,
    link: &mut Link,
    batch: &mut Vec<Envelope>,
) -> Result<Gate, LinkError> {
    while shared.inbox.has_room() {
        let Some(Frame { kind, at, payload }) = link.next_frame()? else {
            return Ok(Gate::Open);
        };
        if kind != FrameKind::Raft {
            shared.tally.rejected_kind.one();
            return Err(LinkError::Kind(kind));
        }
        if let Err(error) = decode_batch(&payload, batch) {
            shared.tally.rejected_payload.one();
            return Err(LinkError::Payload { at, error });
        }
        let ours = |message: &Envelope| message.from == peer.id && message.to == shared.config.node;
        if !batch.iter().all(ours) {
            shared.tally.rejected_misaddressed.one();
            return Err(LinkError::Misaddressed);
        }
        shared.tally.received.add(batch.len() as u64);
        shared.inbox.push(batch);
    }
    Ok(Gate::Shut)
}

/// Puts messages that wait into the link; whether there were any.
fn put_frames(shared: &Shared, peer: &Peer, link: &mut Link, batch: &mut Vec<Envelope>) -> bool {
    peer.queue.take(BATCH_BYTES, batch);
    let max = shared.config.frame_bytes_max as usize;
    let found = !batch.is_empty();
    let mut messages = batch.drain(..).peekable();
    while messages.peek().is_some() {
        let mut sent = 0;
        let put = link.put(FrameKind::Raft, |out| {
            let start = out.len();
            while let Some(message) = messages.peek() {
                let before = out.len();
                encode_envelope(message, out);
                if out.len() - start > max {
                    out.truncate(before);
                    if before > start {
                        // The next frame begins with it.
                        break;
                    }
                    shared.tally.dropped_too_long.one();
                } else {
                    sent += 1;
                }
                messages.next();
            }
        });
        debug_assert!(put.is_ok(), "a frame is kept within its limit while it is made");
        shared.tally.sent.add(sent);
    }
    found
}
