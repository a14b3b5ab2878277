//! [`KvClients`]: clients' processes, and [`Job`]: what one of them was told to do.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use kv::{Clerk, ClerkConfig, Store};
use raft_core::{Address, Caller};
use raft_transport::{CallerConfig, TcpCaller};

use super::clerk::SimClerk;
use super::journal::Journal;
use crate::cluster::{Cluster, Wire, address_of};
use crate::net::HostId;
use crate::world::Process;

/// A client of a [`KvCluster`](super::KvCluster): a process of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct KvClient(pub(super) HostId);

impl KvClient {
    /// Its process.
    pub fn host(self) -> HostId {
        self.0
    }
}

/// What a client's process holds.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) caller: Arc<dyn Caller>,
    pub(super) clerk: Clerk,
}

impl Connection {
    /// To be called in the process's runtime.
    pub(super) fn open(
        process: &Process,
        wire: Wire,
        endpoints: Vec<Address>,
        mut config: ClerkConfig,
    ) -> Self {
        let caller: Arc<dyn Caller> = match wire {
            Wire::Messages => Arc::new(process.caller()),
            Wire::Streams => {
                let config = CallerConfig::new(process.seed());
                Arc::new(TcpCaller::new(config, Arc::new(process.sockets())))
            }
        };
        config.seed = process.seed();
        let clerk = Clerk::new(Arc::clone(&caller), endpoints, config);
        Self { caller, clerk }
    }
}

/// The clients of a [`KvCluster`](super::KvCluster).
pub struct KvClients {
    wire: Wire,
    clerk: ClerkConfig,
    journal: Journal,
    connections: BTreeMap<KvClient, Connection>,
}

impl KvClients {
    pub(super) fn new(wire: Wire, clerk: ClerkConfig, journal: Journal) -> Self {
        Self { wire, clerk, journal, connections: BTreeMap::new() }
    }

    /// A new client that knows these nodes, in this order. It may hear of the others.
    pub fn add(&mut self, nodes: &mut Cluster<Store>, known: &[usize]) -> KvClient {
        let name = format!("c{}", self.connections.len() + 1);
        let client = KvClient(nodes.sim().add_host(&name));
        self.start(nodes, client, known);
        client
    }

    /// Ends a client's process where it is, and starts another that knows these nodes. Nobody knows what became
    /// of what it had asked for.
    pub fn restart(&mut self, nodes: &mut Cluster<Store>, client: KvClient, known: &[usize]) {
        nodes.sim().kill(client.host());
        self.start(nodes, client, known);
    }

    fn start(&mut self, nodes: &mut Cluster<Store>, client: KvClient, known: &[usize]) {
        let endpoints: Vec<Address> = known.iter().map(|at| address_of(nodes.id(*at))).collect();
        let (wire, clerk) = (self.wire, self.clerk.clone());
        let mut connection = None;
        nodes.sim().start(client.host(), |process| {
            connection = Some(Connection::open(&process, wire, endpoints, clerk));
            std::future::pending()
        });
        let connection = connection.expect("made when the process starts");
        self.connections.insert(client, connection);
    }

    /// Has a client do something. It begins at once, and goes on as time passes.
    ///
    /// # Panics
    /// When the client is of another cluster.
    pub fn spawn<T, F>(
        &self,
        nodes: &mut Cluster<Store>,
        client: KvClient,
        script: impl FnOnce(SimClerk) -> F,
    ) -> Job<T>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let connection = self.connections.get(&client).expect("a client of this cluster").clone();
        let doing = script(SimClerk::new(self.journal.clone(), connection));
        let job = Job::new();
        let done = job.clone();
        nodes.sim().within(client.host(), || {
            tokio::spawn(async move { done.set(doing.await) });
        });
        job
    }
}

/// Something that a client does, and what comes out of it.
#[derive(Debug)]
pub struct Job<T>(Arc<Mutex<Option<T>>>);

impl<T> Clone for Job<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Job<T> {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }

    /// Whether it is done, and the outcome has not been taken.
    pub fn is_done(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The outcome, once.
    pub fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn set(&self, outcome: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }
}
