//! The transport over byte streams: TCP, or any [`Network`].
//!
//! One listener for peers and clients; the first frame tells which. Tasks: one accepts, one for each peer
//! ([`peer`]), one for each connection that was accepted until it is known whose it is, and then, if it is a
//! client's, for as long as it lasts ([`session`]).
//!
//! Invariants:
//! 1. At most one connection with each peer, made by the node with the lower id, for all groups.
//! 2. Everything that grows has a bound in [`TcpConfig`]: queues, handshakes, clients, requests. Peers are
//!    bounded by what [`Peers`] knows.
//! 3. What one connection does wrong ends that connection and nothing else.

mod admission;
mod handshake;
pub(crate) mod link;
mod peer;
mod queue;
mod session;

pub use admission::{Admission, Peers};
pub(crate) use handshake::{HandshakeError, counted, introduce};
pub(crate) use session::NUMBER_BYTES;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use raft_core::{
    Address, BoxFuture, ClusterId, Envelope, NodeId, Service, Transport, TransportClosed,
};
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::codec::{Claim, HANDSHAKE_BYTES_MAX, Intent};
use crate::complaints::Complaints;
use crate::config::{Security, TcpConfig};
use crate::counters::{Counters, Tally};
use crate::inbox::Inbox;
use crate::network::{Incoming, Listener, Network, Stream};
use crate::origins::Origins;
use crate::slots::Slots;
use crate::tasks::Tasks;
use crate::tls::Subject;
use handshake::greet;
use peer::Peer;

/// Why a transport could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address cannot be listened at.
    #[error("cannot listen at {address}: {error}")]
    Listen {
        /// The address.
        address: Address,
        /// Why.
        error: std::io::Error,
    },
    /// The certificate is not this node's.
    #[error("the certificate is of {found}, and this is {node} of {cluster}")]
    WrongCertificate {
        /// Whose it is.
        found: Subject,
        /// This node.
        node: NodeId,
        /// Its cluster.
        cluster: ClusterId,
    },
    /// Frames are too short for the protocol's own.
    #[error("frame_bytes_max is {0}, at least {HANDSHAKE_BYTES_MAX} is needed")]
    FrameBytes(u32),
}

/// A transport over TCP, for peers and clients.
///
/// Dropping it ends its tasks; [`Self::shutdown`] ends them with more courtesy.
pub struct TcpTransport {
    shared: Arc<Shared>,
    address: Address,
}

pub(crate) struct Shared {
    config: TcpConfig,
    network: Arc<dyn Network>,
    peers: Arc<dyn Peers>,
    service: Mutex<Option<Arc<dyn Service>>>,
    known: Mutex<BTreeMap<NodeId, Arc<Peer>>>,
    inbox: Inbox,
    clients: Arc<Slots>,
    handshakes: Arc<Slots>,
    origins: Arc<Origins>,
    tasks: Tasks,
    phase: watch::Sender<Phase>,
    tally: Arc<Tally>,
    complaints: Complaints,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    Stopping,
}

impl TcpTransport {
    /// Listens, and answers peers. Clients are refused until [`Self::serve`]. To be called within a tokio
    /// runtime, where its tasks run.
    pub async fn bind(
        config: TcpConfig,
        network: Arc<dyn Network>,
        peers: Arc<dyn Peers>,
    ) -> Result<Self, BindError> {
        if config.frame_bytes_max < HANDSHAKE_BYTES_MAX {
            return Err(BindError::FrameBytes(config.frame_bytes_max));
        }
        check_own_certificate(&config)?;
        let listening = network.bind(&config.listen).await;
        let listener = listening
            .map_err(|error| BindError::Listen { address: config.listen.clone(), error })?;
        let address = listener.address().clone();
        let shared = Arc::new(Shared {
            inbox: Inbox::new(config.inbox_bytes_max),
            clients: Slots::new(config.clients_max),
            handshakes: Slots::new(config.handshakes_max),
            origins: Origins::new(config.connections_per_address_max),
            config,
            network,
            peers,
            service: Mutex::default(),
            known: Mutex::default(),
            tasks: Tasks::new(),
            phase: watch::Sender::new(Phase::Running),
            tally: Arc::default(),
            complaints: Complaints::default(),
        });
        // It has just been made, and is not stopped.
        let _ = shared.tasks.spawn(accept(Arc::clone(&shared), listener));
        Ok(Self { shared, address })
    }

    /// Answers requests with `service` from now on.
    pub fn serve(&self, service: Arc<dyn Service>) {
        *self.shared.service.lock().unwrap_or_else(PoisonError::into_inner) = Some(service);
    }

    /// Where it listens, with the port that was chosen if the configuration left it open.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.shared.tally.snapshot()
    }

    /// How many clients are connected.
    pub fn clients(&self) -> usize {
        self.shared.clients.used()
    }

    /// Stops: accepts nothing, answers what is in flight for at most [`TcpConfig::drain_max`], and closes
    /// everything. When it returns nothing runs any more.
    pub async fn shutdown(&self) {
        self.shared.phase.send_replace(Phase::Stopping);
        // Late or not, whoever is left is cut off.
        let _ = timeout(self.shared.config.drain_max, self.shared.clients.all_free()).await;
        self.shared.tasks.stop().await;
        self.shared.known().clear();
        self.shared.service.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.shared.inbox.close();
    }
}

impl Drop for TcpTransport {
    fn drop(&mut self) {
        self.shared.tasks.abort();
    }
}

impl Transport for TcpTransport {
    fn send(&self, messages: &mut Vec<Envelope>) {
        while let Some(to) = messages.first().map(|message| message.to) {
            let batch = messages.extract_if(.., |message| message.to == to);
            match self.shared.peer(to) {
                Some(peer) => peer.queue.push(batch),
                None => self.shared.tally.dropped_unknown.add(batch.count() as u64),
            }
        }
    }

    fn receive<'a>(
        &'a self,
        inbox: &'a mut Vec<Envelope>,
    ) -> BoxFuture<'a, Result<(), TransportClosed>> {
        Box::pin(self.shared.inbox.receive(inbox))
    }
}

impl Shared {
    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<NodeId, Arc<Peer>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn service(&self) -> Option<Arc<dyn Service>> {
        self.service.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The peer, with its task; `None` if it does not belong to the cluster.
    fn peer(self: &Arc<Self>, id: NodeId) -> Option<Arc<Peer>> {
        let mut known = self.known();
        if let Some(peer) = known.get(&id) {
            return Some(Arc::clone(peer));
        }
        if id == self.config.node || *self.phase.borrow() == Phase::Stopping {
            return None;
        }
        self.peers.address(id)?;
        let peer = Arc::new(Peer::new(id, self));
        self.tasks.spawn(peer::run(Arc::clone(self), Arc::clone(&peer))).ok()?;
        known.insert(id, Arc::clone(&peer));
        Some(peer)
    }

    /// Waits until the transport is shut down.
    async fn stopping(&self) {
        // It fails only when there is no sender, and `self` has it.
        let _ = self.phase.subscribe().wait_for(|phase| *phase == Phase::Stopping).await;
    }
}

fn check_own_certificate(config: &TcpConfig) -> Result<(), BindError> {
    let TcpConfig { cluster, node, .. } = *config;
    match &config.security {
        Security::MutualTls(tls) if *tls.subject() != (Subject::Node { cluster, node }) => {
            Err(BindError::WrongCertificate { found: tls.subject().clone(), node, cluster })
        }
        Security::Plaintext | Security::MutualTls(_) => Ok(()),
    }
}

async fn accept(shared: Arc<Shared>, mut listener: Box<dyn Listener>) {
    let mut stopping = pin!(shared.stopping());
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stopping => return,
            accepted = listener.accept_from() => accepted,
        };
        match accepted {
            Ok(Incoming { stream, from }) => admit(&shared, stream, from),
            Err(error) => {
                shared.tally.accept_errors.one();
                if error.kind() == std::io::ErrorKind::ConnectionAborted {
                    // Whoever dialled has hung up: that must not make the others wait.
                    continue;
                }
                // Most often there are too many open files: trying again at once would fail again.
                shared.complaints.warn(format_args!("cannot accept: {error}"));
                sleep(shared.config.accept_pause).await;
            }
        }
    }
}

fn admit(shared: &Arc<Shared>, stream: Box<dyn Stream>, from: Option<IpAddr>) {
    let Some(place) = shared.origins.take(from) else {
        shared.tally.refused_address.one();
        shared.complaints.warn(format_args!("too many connections from one address"));
        return;
    };
    let Some(slot) = shared.handshakes.take() else {
        shared.tally.handshakes_full.one();
        shared.complaints.warn(format_args!("too many handshakes at once"));
        return;
    };
    let owner = Arc::clone(shared);
    // Once stopped, the stream is dropped with the task.
    let _ = shared.tasks.spawn(async move {
        let greeted = greet(&owner, stream).await;
        drop(slot);
        match greeted {
            Ok((Claim::Client, link)) => {
                client(&owner, link).await;
                // Of a client, it is kept to the end.
                drop(place);
            }
            Ok((Claim::Peer { intent, from, .. }, mut link)) => {
                let Some(peer) = owner.peer(from) else { return };
                link.established(owner.config.frame_bytes_max, owner.config.peer_liveness);
                match intent {
                    Intent::Connect => peer.connected(link),
                    Intent::Knock => peer.knocked(),
                }
            }
            Err(error) => owner.complaints.warn(format_args!("handshake failed: {error}")),
        }
    });
}

async fn client(shared: &Shared, link: link::Link) {
    // Both were there a moment ago; if not, the client sees its connection close.
    let (Some(service), Some(_slot)) = (shared.service(), shared.clients.take()) else {
        shared.tally.refused_client.one();
        return;
    };
    shared.tally.client_connections.one();
    if let Err(error) = session::serve(shared, service, link).await {
        match error {
            link::LinkError::Closed => {}
            error => shared.complaints.warn(format_args!("connection of a client: {error}")),
        }
    }
}
