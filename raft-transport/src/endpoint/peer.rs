//! One peer: getting the connection, keeping it, and using it.
//!
//! The node with the lower id dials, so that there is one connection for each pair of nodes and no tie to
//! break. When the other one has something to send and no connection, it knocks: it dials, says so and hangs
//! up, and is dialled at once. Of two connections from the same peer the newer one counts: the peer would not
//! have dialled if it still had the older one.

use std::sync::{Arc, Mutex, PoisonError};

use raft_core::{Envelope, NodeId};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::Shared;
use super::lane::{Lanes, carry, is_bulk};
use super::queue::Queue;
use crate::codec::{Claim, Intent, Refusal, Welcome};
use crate::handshake::{Dialling, HandshakeError, Introduced};
use crate::link::LinkError;

pub(super) struct Peer {
    pub(super) id: NodeId,
    urgent: Queue,
    /// For what is large, where that has a link to itself.
    bulk: Option<Queue>,
    inbound: Mutex<Option<Lanes>>,
    arrived: Notify,
    pub(super) knocked: Notify,
}

impl Peer {
    pub(super) fn new(id: NodeId, shared: &Shared) -> Self {
        let queue = || Queue::new(&shared.config, Arc::clone(&shared.tally));
        Self {
            id,
            urgent: queue(),
            bulk: shared.dialler.has_bulk().then(queue),
            inbound: Mutex::default(),
            arrived: Notify::new(),
            knocked: Notify::new(),
        }
    }

    /// Queues messages for it, or drops them.
    pub(super) fn push(&self, messages: impl Iterator<Item = Envelope>) {
        let Some(bulk) = &self.bulk else { return self.urgent.push(messages) };
        let (large, small): (Vec<_>, Vec<_>) = messages.partition(is_bulk);
        self.urgent.push(small.into_iter());
        bulk.push(large.into_iter());
    }

    /// Waits until something is there for it.
    async fn filled(&self) {
        let bulk = async {
            match &self.bulk {
                Some(queue) => queue.filled().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.urgent.filled() => {}
            () = bulk => {}
        }
    }

    fn up(&self) {
        self.queues().for_each(Queue::up);
    }

    fn down(&self) {
        self.queues().for_each(Queue::down);
    }

    fn queues(&self) -> impl Iterator<Item = &Queue> {
        std::iter::once(&self.urgent).chain(&self.bulk)
    }

    /// The peer has dialled.
    pub(super) fn connected(&self, lanes: Lanes) {
        *self.inbound.lock().unwrap_or_else(PoisonError::into_inner) = Some(lanes);
        self.arrived.notify_one();
    }

    /// The peer wants to be dialled.
    pub(super) fn knocked(&self) {
        self.knocked.notify_one();
    }

    fn take_inbound(&self) -> Option<Lanes> {
        self.inbound.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits for a connection that the peer made.
    async fn inbound(&self) -> Lanes {
        loop {
            if let Some(lanes) = self.take_inbound() {
                return lanes;
            }
            self.arrived.notified().await;
        }
    }
}

/// Keeps the connection to a peer, for ever.
pub(super) async fn run(shared: Arc<Shared>, peer: Arc<Peer>) {
    let seed = shared.config.seed ^ peer.id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut replaced = None;
    loop {
        let lanes = match replaced.take() {
            Some(lanes) => lanes,
            None if shared.config.node < peer.id => dialled(&shared, &peer, &mut random).await,
            None => awaited(&shared, &peer, &mut random).await,
        };
        shared.tally.peer_connections.one();
        tracing::debug!(peer = %peer.id, "connected");
        peer.up();
        let ended = converse(&shared, &peer, lanes).await;
        match ended {
            Ok(newer) => {
                shared.tally.peer_replaced.one();
                replaced = Some(newer);
            }
            Err(error) => {
                peer.down();
                shared.complaints.warn(format_args!("connection with {} lost: {error}", peer.id));
                // A peer that accepts and hangs up at once is not dialled in a tight loop.
                sleep(shared.config.backoff.after(1, &mut random)).await;
            }
        }
    }
}

/// Dials until there is a connection.
async fn dialled(shared: &Shared, peer: &Peer, random: &mut fastrand::Rng) -> Lanes {
    let mut failures = 0;
    loop {
        match connect(shared, peer).await {
            Ok(lanes) => return lanes,
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
async fn awaited(shared: &Shared, peer: &Peer, random: &mut fastrand::Rng) -> Lanes {
    let mut failures = 0;
    loop {
        tokio::select! {
            biased;
            lanes = peer.inbound() => return lanes,
            () = knock(shared, peer) => {}
        }
        failures += 1;
        tokio::select! {
            biased;
            lanes = peer.inbound() => return lanes,
            () = sleep(shared.config.backoff.after(failures, random)) => {}
        }
    }
}

async fn knock(shared: &Shared, peer: &Peer) {
    peer.filled().await;
    if let Err(error) = dial(shared, peer, Intent::Knock).await {
        shared.complaints.warn(format_args!("knocking at {}: {error}", peer.id));
    }
}

/// Dials, to be connected.
async fn connect(shared: &Shared, peer: &Peer) -> Result<Lanes, HandshakeError> {
    let introduced = dial(shared, peer, Intent::Connect).await?;
    let connected = Lanes::dialled(shared, introduced).await;
    connected.inspect_err(|_| shared.tally.dial_errors.one())
}

/// Dials, and is welcome.
async fn dial(shared: &Shared, peer: &Peer, intent: Intent) -> Result<Introduced, HandshakeError> {
    let config = &shared.config;
    let dialling = Dialling {
        dialler: &shared.dialler,
        dial_max: config.dial_max,
        handshake_max: config.handshake_max,
        liveness: config.peer_liveness,
        tally: &shared.tally,
    };
    let (cluster, from, incarnation) = (config.cluster, config.node, config.incarnation);
    let claim = Claim::Peer { intent, cluster, from, incarnation, to: peer.id };
    let dialled = match shared.peers.address(peer.id) {
        Some(address) => dialling.dial(&address, claim).await,
        None => Err(HandshakeError::Connect(std::io::ErrorKind::AddrNotAvailable.into())),
    };
    let judged = dialled.and_then(|introduced| {
        let judged = check_welcome(shared, peer.id, &introduced.welcome);
        judged.map_err(HandshakeError::Refused).map(|()| introduced)
    });
    judged.inspect_err(|error| match error {
        HandshakeError::RefusedByPeer(_) => shared.tally.refused_by_peer.one(),
        _ => shared.tally.dial_errors.one(),
    })
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
async fn converse(shared: &Shared, peer: &Peer, lanes: Lanes) -> Result<Lanes, LinkError> {
    let Lanes { urgent, bulk } = lanes;
    let urgent = carry(shared, peer, &peer.urgent, urgent);
    let bulk = async {
        match (bulk, &peer.bulk) {
            (Some(link), Some(queue)) => carry(shared, peer, queue, link).await,
            _ => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        newer = peer.inbound() => Ok(newer),
        Err(error) = urgent => Err(error),
        Err(error) = bulk => Err(error),
    }
}
