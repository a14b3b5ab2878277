//! [`World`]: a cluster in which whatever goes wrong ends the test.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use raft_core::{Address, GroupId, NodeId};
use raft_sim::Sim;
use raft_sim::cluster::Wire;
use raft_sim::disk::Keep;
use raft_sim::kv::{Job, KvClient};
use raft_sim::net::{HostId, Link, PerMille};
use raft_sim::shardkv::{ShardCluster, ShardConfig};
use raft_sim::swarm::Nodes;
use shardkv::MoveStep;

use super::client::SimClient;
use super::setup::{MS, SECOND, Setup};

pub struct World {
    pub cluster: ShardCluster,
    pub setup: Setup,
    pub rng: fastrand::Rng,
}

impl World {
    pub fn start(setup: Setup) -> Self {
        let mut cluster = ShardCluster::start(config(&setup));
        let mut link = Link::with_latency(MS, 5 * MS);
        if setup.unreliable {
            link = Link::with_latency(MS, 27 * MS);
            link.loss = PerMille(100);
        }
        cluster.sim().net().set_default_link(link);
        let rng = fastrand::Rng::with_seed(setup.seed ^ 0x7368_6172);
        Self { cluster, setup, rng }
    }

    pub fn sim(&mut self) -> &mut Sim {
        self.cluster.sim()
    }

    pub fn servers(&self, group: u64) -> BTreeMap<NodeId, Address> {
        self.cluster.config().servers(GroupId(group))
    }

    // Nodes.

    fn node(&self, group: u64, n: usize) -> usize {
        self.cluster.nodes_of(GroupId(group))[n]
    }

    pub fn is_up(&self, group: u64, n: usize) -> bool {
        self.cluster.is_up(self.node(group, n))
    }

    pub fn host(&self, group: u64, n: usize) -> HostId {
        self.cluster.host(self.node(group, n))
    }

    pub fn kill(&mut self, group: u64, n: usize) {
        self.cluster.kill(self.node(group, n));
    }

    /// Cuts the power of a node: what it had not synced may be lost.
    pub fn power_loss(&mut self, group: u64, n: usize) {
        self.cluster.power_loss(self.node(group, n), Keep::RandomSectors);
    }

    pub fn restart(&mut self, group: u64, n: usize) {
        self.kill(group, n);
        self.cluster.restart(self.node(group, n));
    }

    pub fn kill_group(&mut self, group: u64) {
        (0..3).for_each(|n| self.kill(group, n));
    }

    pub fn restart_group(&mut self, group: u64) {
        (0..3).for_each(|n| self.restart(group, n));
    }

    pub fn kill_controller(&mut self, n: usize) {
        self.cluster.kill(n);
    }

    pub fn restart_controller(&mut self, n: usize) {
        self.cluster.kill(n);
        self.cluster.restart(n);
    }

    pub fn leader(&self, group: u64) -> Option<usize> {
        let nodes = self.cluster.nodes_of(GroupId(group));
        let leader = self.cluster.leader(GroupId(group))?;
        nodes.iter().position(|at| *at == leader)
    }

    /// Has the leader of a group put something into its log.
    pub fn propose(&self, group: u64, command: Vec<u8>) {
        let leader = self.cluster.leader(GroupId(group));
        if let Some(replica) = leader.and_then(|at| self.cluster.replica(at, GroupId(group))) {
            drop(replica.propose(command.into()));
        }
    }

    /// Bytes of the log and of the newest snapshot of each node of a group.
    pub fn stored(&self, group: u64) -> Vec<(u64, u64)> {
        let stored = |at: usize| {
            let replica = self.cluster.replica(at, GroupId(group));
            let log = replica.map_or(0, |it| it.status().log_bytes);
            let disk = self.cluster.disk(at);
            let names = disk.names().into_iter();
            let newest = names.filter(|name| name.ends_with(".snap")).max();
            let snapshot = newest.and_then(|name| disk.contents(&name)).map_or(0, |it| it.len());
            (log, snapshot as u64)
        };
        self.cluster.nodes_of(GroupId(group)).into_iter().map(stored).collect()
    }

    // Clients.

    /// A new client, a process of its own.
    pub fn client(&mut self) -> KvClient {
        self.cluster.client()
    }

    /// Begins to do something in a client's process.
    pub fn begin<T, F>(&mut self, client: &KvClient, call: impl FnOnce(SimClient) -> F) -> Job<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.cluster.spawn(*client, |clerk| call(SimClient::new(clerk)))
    }

    /// Waits for what was begun.
    pub fn finish<T>(&mut self, job: &Job<T>) -> T {
        let done = self.cluster.finish(120 * SECOND, job);
        self.check();
        done.unwrap_or_else(|| panic!("no answer:\n{}", self.cluster.describe()))
    }

    pub fn finish_all<T>(&mut self, jobs: &[Job<T>]) -> Vec<T> {
        jobs.iter().map(|job| self.finish(job)).collect()
    }

    /// Does something in a client's process, and waits for it.
    pub fn ask<T, F>(&mut self, client: &KvClient, call: impl FnOnce(SimClient) -> F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let job = self.begin(client, call);
        self.finish(&job)
    }

    // Time, and what must hold.

    pub fn run_for(&mut self, time: Duration) {
        self.sim().run_for(time);
        self.check();
    }

    pub fn check(&self) {
        self.cluster.check().expect("everything holds that must");
    }

    /// Judges what clients were told. Returns how many operations there were.
    pub fn judge(&self) -> usize {
        self.cluster.judge().expect("what clients were told is true").operations
    }

    /// How often a step of a move was taken.
    pub fn steps(&self, step: MoveStep) -> u64 {
        self.cluster.steps(step)
    }

    pub fn snapshots(&self) -> u64 {
        let taken = |id| self.cluster.coverage_of(GroupId(id)).snapshots_taken;
        (1..=self.setup.groups).map(taken).sum()
    }
}

fn config(setup: &Setup) -> ShardConfig {
    let mut config = ShardConfig::new(setup.seed, setup.groups, 3);
    config.cluster.wire = if setup.streams { Wire::Streams } else { Wire::Messages };
    config.cluster.snapshot_bytes = setup.limit;
    config.cluster.snapshot_chunk_bytes = 16 << 10;
    if setup.limit.is_some() {
        config.cluster.raft = |raft| raft.trailing_bytes_max = 0;
    }
    config.layout = setup.layout;
    config.server = setup.server.clone();
    config.clerk = setup.clerk.clone();
    config.controller_clerk.deadline = 60 * SECOND;
    config.controller_clerk.calls.attempt_timeout = SECOND / 2;
    config
}
