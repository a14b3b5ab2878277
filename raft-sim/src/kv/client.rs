//! [`Clients`]: clients' processes, and [`Job`]: what one of them was told to do.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use kv::Clerk;
use raft_core::{Address, Caller};
use raft_transport::{CallerConfig, Carrier, NetCaller};

use super::calls::Calls;
use super::clerk::SimClerk;
use super::journal::Journal;
use crate::cluster::Wire;
use crate::net::HostId;
use crate::world::{Process, Sim};

/// A client: a process of its own.
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
pub(crate) struct Connection<C> {
    pub(crate) caller: Arc<dyn Caller>,
    pub(crate) clerk: C,
}

/// How a process reaches services.
pub(crate) fn caller(process: &Process, wire: Wire) -> Arc<dyn Caller> {
    match wire {
        Wire::Messages => Arc::new(process.caller()),
        Wire::Streams => {
            let config = CallerConfig::new(process.seed());
            Arc::new(NetCaller::new(config, Carrier::plaintext(Arc::new(process.sockets()))))
        }
    }
}

/// Makes what a client's process holds, in the process's runtime.
pub(crate) type Open<C> = Box<dyn Fn(&Process, Vec<Address>) -> Connection<C>>;

/// Clients of one cluster.
pub struct Clients<C> {
    open: Open<C>,
    journal: Journal,
    connections: BTreeMap<KvClient, Connection<C>>,
}

/// The clients of a [`KvCluster`](super::KvCluster).
pub type KvClients = Clients<Clerk>;

impl<C: Calls> Clients<C> {
    pub(crate) fn new(open: Open<C>, journal: Journal) -> Self {
        Self { open, journal, connections: BTreeMap::new() }
    }

    /// A new client that knows these addresses, in this order. It may hear of others.
    pub fn add(&mut self, sim: &mut Sim, known: &[Address]) -> KvClient {
        let name = format!("c{}", self.connections.len() + 1);
        let client = KvClient(sim.add_host(&name));
        self.start(sim, client, known);
        client
    }

    /// Ends a client's process where it is, and starts another that knows these addresses. Nobody knows what became
    /// of what it had asked for.
    pub fn restart(&mut self, sim: &mut Sim, client: KvClient, known: &[Address]) {
        sim.kill(client.host());
        self.start(sim, client, known);
    }

    fn start(&mut self, sim: &mut Sim, client: KvClient, known: &[Address]) {
        let (mut connection, open) = (None, &self.open);
        sim.start(client.host(), |process| {
            connection = Some(open(&process, known.to_vec()));
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
        sim: &mut Sim,
        client: KvClient,
        script: impl FnOnce(SimClerk<C>) -> F,
    ) -> Job<T>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let connection = self.connections.get(&client).expect("a client of this cluster").clone();
        let doing = script(SimClerk::new(self.journal.clone(), connection));
        Job::begin(sim, client.host(), doing)
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
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }

    /// Has a process that is up do something.
    pub(crate) fn begin<F>(sim: &mut Sim, host: HostId, doing: F) -> Self
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let job = Self::new();
        let done = job.clone();
        sim.within(host, || {
            tokio::spawn(async move { done.set(doing.await) });
        });
        job
    }

    /// Whether it is done, and the outcome has not been taken.
    pub fn is_done(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The outcome, once.
    pub fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn set(&self, outcome: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }
}
