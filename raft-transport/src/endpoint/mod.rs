//! A node's end of all its connections, whatever carries them.
//!
//! One listener for peers and clients; the first frame tells which. Tasks: one accepts ([`accept`]), one for each
//! peer ([`peer`]), one for each connection that was accepted until it is known whose it is ([`greet`]), and then,
//! if it is a client's, for as long as it lasts ([`session`]).
//!
//! Invariants:
//! 1. At most one connection with each peer, made by the node with the lower id, for all groups.
//! 2. Everything that grows has a bound in [`NetConfig`]: queues, handshakes, clients, requests. Peers are
//!    bounded by what [`Peers`] knows.
//! 3. What one connection does wrong ends that connection and nothing else.

mod accept;
mod admission;
mod crowd;
mod greet;
mod lane;
mod peer;
mod queue;
mod session;

pub use admission::{Admission, Peers};
pub(crate) use session::NUMBER_BYTES;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use raft_core::{
    Address, BoxFuture, ClusterId, Envelope, NodeId, Service, Transport, TransportClosed,
};
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::carrier::{Carrier, Dialler, Farewell};
use crate::codec::HANDSHAKE_BYTES_MAX;
use crate::complaints::Complaints;
use crate::config::NetConfig;
use crate::counters::{Counters, Tally};
use crate::inbox::Inbox;
use crate::origins::Origins;
use crate::slots::Slots;
use crate::tasks::Tasks;
use crate::tls::Subject;
use crowd::Crowd;
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

/// A transport over a network, for peers and clients.
///
/// Dropping it ends its tasks; [`Self::shutdown`] ends them with more courtesy.
pub struct NetTransport {
    shared: Arc<Shared>,
    address: Address,
}

pub(crate) struct Shared {
    config: NetConfig,
    dialler: Dialler,
    farewell: Mutex<Option<Farewell>>,
    peers: Arc<dyn Peers>,
    service: Mutex<Option<Arc<dyn Service>>>,
    known: Mutex<BTreeMap<NodeId, Arc<Peer>>>,
    inbox: Inbox,
    clients: Arc<Slots>,
    handshakes: Arc<Crowd>,
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

impl NetTransport {
    /// Listens, and answers peers. Clients are refused until [`Self::serve`]. To be called within a tokio
    /// runtime, where its tasks run.
    pub async fn bind(
        config: NetConfig,
        carrier: Carrier,
        peers: Arc<dyn Peers>,
    ) -> Result<Self, BindError> {
        if config.frame_bytes_max < HANDSHAKE_BYTES_MAX {
            return Err(BindError::FrameBytes(config.frame_bytes_max));
        }
        check_own_certificate(&config, &carrier)?;
        let silence_max = config.peer_liveness.silence_max.max(config.client_liveness.silence_max);
        let listening = carrier.bind(&config.listen, config.handshakes_max, silence_max).await;
        let acceptor = listening
            .map_err(|error| BindError::Listen { address: config.listen.clone(), error })?;
        let address = acceptor.address();
        let shared = Arc::new(Shared {
            inbox: Inbox::new(config.inbox_bytes_max),
            clients: Slots::new(config.clients_max),
            handshakes: Crowd::new(config.handshakes_max),
            origins: Origins::new(config.connections_per_address_max),
            dialler: carrier.dialler(config.peer_liveness.silence_max),
            config,
            farewell: Mutex::new(acceptor.farewell()),
            peers,
            service: Mutex::default(),
            known: Mutex::default(),
            tasks: Tasks::new(),
            phase: watch::Sender::new(Phase::Running),
            tally: Arc::default(),
            complaints: Complaints::default(),
        });
        // It has just been made, and is not stopped.
        let _ = shared.tasks.spawn(accept::run(Arc::clone(&shared), acceptor));
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

    /// Stops: accepts nothing, answers what is in flight for at most [`NetConfig::drain_max`], and closes
    /// everything. When it returns nothing runs any more.
    pub async fn shutdown(&self) {
        self.shared.phase.send_replace(Phase::Stopping);
        // Late or not, whoever is left is cut off.
        let _ = timeout(self.shared.config.drain_max, self.shared.clients.all_free()).await;
        self.shared.tasks.stop().await;
        let farewell = self.shared.farewell.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(farewell) = farewell {
            farewell.say(self.shared.config.drain_max).await;
        }
        self.shared.dialler.close(self.shared.config.drain_max).await;
        self.shared.known().clear();
        self.shared.service.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.shared.inbox.close();
    }
}

impl Drop for NetTransport {
    fn drop(&mut self) {
        self.shared.tasks.abort();
    }
}

impl Transport for NetTransport {
    fn send(&self, messages: &mut Vec<Envelope>) {
        while let Some(to) = messages.first().map(|message| message.to) {
            let batch = messages.extract_if(.., |message| message.to == to);
            match self.shared.peer(to) {
                Some(peer) => peer.push(batch),
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

fn check_own_certificate(config: &NetConfig, carrier: &Carrier) -> Result<(), BindError> {
    let NetConfig { cluster, node, .. } = *config;
    match carrier.subject() {
        Some(found) if *found != (Subject::Node { cluster, node }) => {
            Err(BindError::WrongCertificate { found: found.clone(), node, cluster })
        }
        Some(_) | None => Ok(()),
    }
}
