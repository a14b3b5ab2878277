//! [`World`]: a controller group and its clients.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use kv::rpc::Replicated;
use raft_core::node::watch;
use raft_core::node::{GroupStatus, ProposalError, QueryError};
use raft_core::{Address, LogId, NodeId, RoleChange, Service};
use raft_sim::cluster::{Wire, address_of};
use raft_sim::net::HostId;
use raft_sim::{Cluster, ClusterConfig};
use raft_transport::{CallerConfig, Carrier, NetCaller};
use shardctrler::{
    Change, Clerk, ClerkConfig, ConfigNumber, Configuration, Controller, ControllerServer, Limits,
    Output, ServerConfig,
};

use super::judge::{Judge, Watched};
use crate::common::log::settings;

pub const MS: Duration = Duration::from_millis(1);
pub const SECOND: Duration = Duration::from_secs(1);

/// What a server sees of a watched group: the controller in it.
#[derive(Clone)]
struct Seen(Watched);

impl Replicated<Controller> for Seen {
    fn propose(
        &self,
        command: Bytes,
    ) -> impl Future<Output = Result<Output, ProposalError>> + Send + 'static {
        let applied = self.0.propose(command);
        async move { applied.await.map(|applied| applied.output) }
    }

    fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Controller) -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, QueryError>> + Send {
        self.0.read(|machine| look(machine.inner()))
    }

    fn peek<T>(&self, look: impl FnOnce(LogId, &Controller) -> T) -> T {
        self.0.peek(|applied, machine| look(applied, machine.inner()))
    }

    fn changes(&self) -> watch::Receiver<RoleChange> {
        self.0.changes()
    }

    fn status(&self) -> GroupStatus {
        self.0.status()
    }
}

/// Tells which seed it was when a test fails.
pub struct Seed(pub u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("SEED={}", self.0);
        }
    }
}

/// Runs a scenario under twenty seeds.
pub fn seeds(scenario: impl Fn(u64)) {
    for seed in 0..20 {
        let _seed = Seed(seed);
        scenario(seed);
    }
}

pub struct World {
    pub cluster: Cluster<Controller>,
    pub judge: Judge,
    wire: Wire,
    clients: u64,
}

/// A client's process, and the clerk in it.
#[derive(Clone)]
pub struct Client {
    pub host: HostId,
    pub clerk: Clerk,
}

/// Something that a client does, and what comes out of it.
pub struct Job<T>(Arc<Mutex<Option<T>>>);

impl<T> Job<T> {
    fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub fn is_done(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

impl World {
    /// Three nodes, ten shards, and no faults, as the labs have it.
    pub fn lab(seed: u64) -> Self {
        Self::start(ClusterConfig::new(seed, 3), Limits::default())
    }

    pub fn start(config: ClusterConfig, limits: Limits) -> Self {
        let (wire, nodes) = (config.wire, config.nodes);
        let judge = Judge::default();
        let server = ServerConfig::new(settings(10, limits));
        let looking = judge.clone();
        let mut cluster = Cluster::start_serving(config, Controller::new, move |group, process| {
            looking.register(process.host(), group.clone());
            let addresses = (1..=nodes).map(|n| (NodeId(n), address_of(NodeId(n))));
            let server = ControllerServer::new(Seen(group.clone()), addresses, server.clone());
            Arc::new(server) as Arc<dyn Service>
        });
        let looking = judge.clone();
        cluster.sim().watch(move |_, host| looking.look(host));
        Self { cluster, judge, wire, clients: 0 }
    }

    pub fn endpoints(&self) -> Vec<Address> {
        (0..self.cluster.len()).map(|at| address_of(self.cluster.id(at))).collect()
    }

    /// A new client, of all nodes.
    pub fn client(&mut self) -> Client {
        self.client_with(|_| ())
    }

    pub fn client_with(&mut self, configure: impl FnOnce(&mut ClerkConfig)) -> Client {
        self.clients += 1;
        let host = self.cluster.sim().add_host(&format!("client-{}", self.clients));
        let (made, endpoints, wire) = (Job::new(), self.endpoints(), self.wire);
        let tell = made.share();
        self.cluster.sim().start(host, move |process| {
            let caller: Arc<dyn raft_core::Caller> = match wire {
                Wire::Messages => Arc::new(process.caller()),
                Wire::Streams => {
                    let config = CallerConfig::new(process.seed());
                    Arc::new(NetCaller::new(
                        config,
                        Carrier::plaintext(Arc::new(process.sockets())),
                    ))
                }
            };
            let mut config = ClerkConfig::default();
            config.deadline = 60 * SECOND;
            config.calls.seed = process.seed();
            configure(&mut config);
            tell.set(Clerk::new(caller, endpoints, config));
            std::future::pending()
        });
        Client { host, clerk: made.take().expect("made at once") }
    }

    /// Begins to do something in a client's process.
    pub fn begin<T, F>(&mut self, client: &Client, call: impl FnOnce(Clerk) -> F) -> Job<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let job = Job::new();
        let tell = job.share();
        let call = call(client.clerk.clone());
        let task = async move { tell.set(call.await) };
        self.cluster.sim().within(client.host, || tokio::spawn(task));
        job
    }

    /// Waits for what was begun.
    pub fn finish<T>(&mut self, job: &Job<T>) -> T {
        let waited = self.cluster.sim().run_until(100 * SECOND, |_| job.is_done());
        assert!(waited.reached(), "no answer");
        self.cluster.check().expect("no invariant of the group is broken");
        job.take().expect("done")
    }

    /// Does something in a client's process, and waits for it.
    pub fn ask<T, F>(&mut self, client: &Client, call: impl FnOnce(Clerk) -> F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let job = self.begin(client, call);
        self.finish(&job)
    }

    /// Does a change that must succeed.
    pub fn change(&mut self, client: &Client, change: Change) -> ConfigNumber {
        self.ask(client, |clerk| async move { clerk.change(&change).await }).expect("changed")
    }

    pub fn newest(&mut self, client: &Client) -> Configuration {
        self.ask(client, |clerk| async move { clerk.newest().await }).expect("answered")
    }

    pub fn query(&mut self, client: &Client, number: ConfigNumber) -> Configuration {
        self.ask(client, |clerk| async move { clerk.query(number).await }).expect("answered")
    }

    /// Waits until somebody leads.
    pub fn await_leader(&mut self) -> usize {
        let found = self.cluster.run_until(10 * SECOND, |cluster| cluster.leader().is_some());
        assert!(found.reached(), "nobody leads");
        self.cluster.leader().expect("one leads")
    }
}

impl<T> Job<T> {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }

    fn share(&self) -> Self {
        Self(self.0.clone())
    }

    fn set(&self, outcome: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }
}
