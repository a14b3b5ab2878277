//! [`KvCluster`]: production servers and clerks in a simulated world.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kv::{Clerk, ClerkConfig, KvServer, ServerConfig, Store};
use raft_core::{Address, NodeId, Service};

use super::clerk::SimClerk;
use super::client::{Connection, Job, KvClient, KvClients, Open, caller};
use super::journal::Journal;
use super::model::{FeedModel, SharedModel};
use super::replicas::Replicas;
use crate::checker::models::{KvInput, KvOutput};
use crate::cluster::{Cluster, ClusterConfig, GROUP, address_of};
use crate::history::{History, Recorder};
use crate::watch::Violation;

/// The configuration of a [`KvCluster`]: made by [`KvConfig::new`], changed field by field.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KvConfig {
    /// Of the nodes.
    pub cluster: ClusterConfig,
    /// Of the servers and their stores.
    pub server: ServerConfig,
    /// Of all clerks, but for the seed, which is the process's.
    pub clerk: ClerkConfig,
}

impl KvConfig {
    /// The defaults, for so many nodes.
    pub fn new(seed: u64, nodes: u64) -> Self {
        let cluster = ClusterConfig::new(seed, nodes);
        Self { cluster, server: ServerConfig::default(), clerk: ClerkConfig::default() }
    }
}

/// Servers, their clients, and the record of it all.
pub struct KvCluster {
    nodes: Cluster<Store>,
    clients: KvClients,
    pub(super) journal: Journal,
    pub(super) model: SharedModel,
}

impl KvCluster {
    /// A cluster whose nodes run and serve.
    pub fn start(config: KvConfig) -> Self {
        let (server, nodes) = (config.server.clone(), config.cluster.nodes);
        let store = config.server.store.clone();
        let mut nodes = Cluster::start_serving(
            config.cluster.clone(),
            move || Store::new(store.clone()),
            move |group, _| {
                let addresses = (1..=nodes).map(|n| (NodeId(n), address_of(NodeId(n))));
                let server = KvServer::new(group.clone(), addresses, server.clone());
                Arc::new(server) as Arc<dyn Service>
            },
        );
        let model = SharedModel::new(config.server.store.clone());
        let watch = nodes.watch().clone();
        watch.add_invariant(GROUP, Box::new(FeedModel(model.clone())));
        let mut replicas = Replicas::new(watch, model.clone());
        nodes.watch_nodes(move |at, group| replicas.look(NodeId(at as u64 + 1), group));
        let trace = nodes.sim().trace().clone();
        let journal = Journal::new(Recorder::with_clock(move || trace.now()));
        let (wire, clerk) = (config.cluster.wire, config.clerk);
        let open: Open<Clerk> = Box::new(move |process, endpoints| {
            let (caller, mut config) = (caller(process, wire), clerk.clone());
            config.seed = process.seed();
            let clerk = Clerk::new(Arc::clone(&caller), endpoints, config);
            Connection { caller, clerk }
        });
        let clients = KvClients::new(open, journal.clone());
        Self { nodes, clients, journal, model }
    }

    /// The nodes and the clients, apart: for whoever drives the nodes with something that knows of no clients.
    pub fn parts(&mut self) -> (&mut Cluster<Store>, &mut KvClients) {
        (&mut self.nodes, &mut self.clients)
    }

    /// The nodes.
    pub fn nodes(&self) -> &Cluster<Store> {
        &self.nodes
    }

    /// The nodes, and through them the world.
    pub fn nodes_mut(&mut self) -> &mut Cluster<Store> {
        &mut self.nodes
    }

    /// A new client that knows all nodes.
    pub fn client(&mut self) -> KvClient {
        let all: Vec<usize> = (0..self.nodes.len()).collect();
        self.client_of(&all)
    }

    /// A new client that knows these nodes, in this order. It may hear of the others.
    pub fn client_of(&mut self, known: &[usize]) -> KvClient {
        let known = self.addresses(known);
        self.clients.add(self.nodes.sim(), &known)
    }

    fn addresses(&self, nodes: &[usize]) -> Vec<Address> {
        nodes.iter().map(|at| address_of(self.nodes.id(*at))).collect()
    }

    /// See [`Clients::restart`](super::Clients::restart).
    pub fn restart_client(&mut self, client: KvClient, known: &[usize]) {
        let known = self.addresses(known);
        self.clients.restart(self.nodes.sim(), client, &known);
    }

    /// See [`Clients::spawn`](super::Clients::spawn).
    ///
    /// # Panics
    /// When the client is of another cluster.
    pub fn spawn<T, F>(&mut self, client: KvClient, script: impl FnOnce(SimClerk) -> F) -> Job<T>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        self.clients.spawn(self.nodes.sim(), client, script)
    }

    /// Lets time pass until the job is done, at most `limit`, and takes its outcome.
    pub fn finish<T>(&mut self, limit: Duration, job: &Job<T>) -> Option<T> {
        let _ = self.nodes.sim().run_until(limit, |_| job.is_done());
        job.take()
    }

    /// Lets time pass until all jobs are done, at most `limit`, and takes their outcomes; `None` if some are not.
    pub fn finish_all<T>(&mut self, limit: Duration, jobs: &[Job<T>]) -> Option<Vec<T>> {
        let _ = self.nodes.sim().run_until(limit, |_| jobs.iter().all(Job::is_done));
        jobs.iter().map(Job::take).collect()
    }

    /// [`Self::spawn`] and [`Self::finish`] in one.
    pub fn call<T, F>(
        &mut self,
        limit: Duration,
        client: KvClient,
        script: impl FnOnce(SimClerk) -> F,
    ) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let job = self.spawn(client, script);
        self.finish(limit, &job)
    }

    /// What the clients asked and were told so far.
    pub fn history(&self) -> History<KvInput, KvOutput> {
        self.journal.recorder.history()
    }

    /// How many calls were certain to have had no effect so far.
    pub fn not_done(&self) -> u64 {
        self.journal.state().not_done
    }

    /// Nothing that must hold was broken so far, and no node gave up by itself.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), Violation> {
        self.nodes.check()
    }
}
