//! [`World`]: a controller group, groups of shards, and their clients.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use raft_core::{Address, GroupId, NodeId, Role, StateMachine};
use raft_sim::checker::models::{KvInput, KvModel, KvOutput};
use raft_sim::checker::{Limits as CheckLimits, check};
use raft_sim::disk::Keep;
use raft_sim::history::Recorder;
use raft_sim::net::{HostId, Link, PerMille};
use raft_sim::watch::Watch;
use raft_sim::world::Sim;
use shardctrler::Controller;
use shardkv::ShardStore;

use super::boot::{controllers, shard_group, watch_all};
use super::client::SimClient;
use super::judge::Judge;
use super::node::{Member, Parts, Watched, caller, run};
use super::setup::{Job, MS, SECOND, Setup};

pub struct World {
    pub sim: Sim,
    pub setup: Setup,
    pub judge: Judge,
    pub rng: fastrand::Rng,
    pub watch: Watch,
    controllers: Fleet<Controller>,
    pub groups: BTreeMap<u64, Fleet<ShardStore>>,
    recorder: Recorder<KvInput, KvOutput>,
    clients: u64,
    pub admin: Option<(HostId, shardctrler::Clerk)>,
}

pub struct Fleet<S: StateMachine> {
    pub members: Vec<Member<S>>,
    pub parts: Arc<Parts<S>>,
}

pub fn addresses(prefix: &str, first: u64) -> BTreeMap<NodeId, Address> {
    (1..=3).map(|n| (NodeId(first + n), Address(format!("{prefix}-{n}:1")))).collect()
}

pub fn servers(group: u64) -> BTreeMap<NodeId, Address> {
    addresses(&format!("g{group}"), group * 10)
}

impl World {
    pub fn start(setup: Setup) -> Self {
        let mut sim = Sim::new(setup.seed);
        let mut link = Link::with_latency(MS, 5 * MS);
        if setup.unreliable {
            link = Link::with_latency(MS, 27 * MS);
            link.loss = PerMille(100);
        }
        sim.net().set_default_link(link);
        let (watch, judge) = (Watch::new(), Judge::default());
        let controllers = controllers(&mut sim, &watch, &setup);
        let mut groups = BTreeMap::new();
        for id in 1..=setup.groups {
            groups.insert(id, shard_group(&mut sim, &watch, &judge, &setup, id));
        }
        watch_all(&mut sim, &watch, &judge, &controllers, &groups);
        let trace = sim.trace().clone();
        let recorder = Recorder::with_clock(move || trace.now());
        let rng = fastrand::Rng::with_seed(setup.seed ^ 0x7368_6172);
        let (clients, admin) = (0, None);
        let mut world =
            Self { sim, setup, judge, rng, watch, controllers, groups, recorder, clients, admin };
        for n in 0..3 {
            restart(&mut world.sim, &mut world.controllers, n);
        }
        for group in 1..=world.setup.groups {
            world.restart_group(group);
        }
        let streams = world.setup.streams;
        let host = world.sim.add_host("admin");
        let made = Job::new();
        let tell = made.share();
        world.sim.start(host, move |process| {
            let mut config = shardctrler::ClerkConfig::default();
            config.deadline = 60 * SECOND;
            config.calls.attempt_timeout = SECOND / 2;
            config.calls.seed = process.seed();
            let caller = caller(&process, streams);
            tell.set(shardctrler::Clerk::new(caller, controller_addresses(), config));
            std::future::pending()
        });
        world.admin = made.take().map(|clerk| (host, clerk));
        world
    }

    // Nodes.

    pub fn is_up(&self, group: u64, n: usize) -> bool {
        self.sim.is_up(self.host(group, n))
    }

    pub fn host(&self, group: u64, n: usize) -> HostId {
        self.groups[&group].members[n].host
    }

    pub fn kill(&mut self, group: u64, n: usize) {
        let member = self.groups[&group].members[n].share();
        kill(&mut self.sim, &self.watch, &member);
    }

    /// Cuts the power of a node: what it had not synced may be lost.
    pub fn power_loss(&mut self, group: u64, n: usize) {
        self.kill(group, n);
        self.groups[&group].members[n].disk.power_loss(Keep::RandomSectors);
    }

    pub fn restart(&mut self, group: u64, n: usize) {
        self.kill(group, n);
        let fleet = self.groups.get_mut(&group).expect("a group");
        restart(&mut self.sim, fleet, n);
    }

    pub fn kill_group(&mut self, group: u64) {
        (0..3).for_each(|n| self.kill(group, n));
    }

    pub fn restart_group(&mut self, group: u64) {
        (0..3).for_each(|n| self.restart(group, n));
    }

    pub fn kill_controller(&mut self, n: usize) {
        let member = self.controllers.members[n].share();
        kill(&mut self.sim, &self.watch, &member);
    }

    pub fn restart_controller(&mut self, n: usize) {
        self.kill_controller(n);
        restart(&mut self.sim, &mut self.controllers, n);
    }

    /// A node's group, while the node runs.
    pub fn group(&self, group: u64, n: usize) -> Option<Watched<ShardStore>> {
        let member = &self.groups[&group].members[n];
        if self.sim.is_up(member.host) { member.running() } else { None }
    }

    pub fn leader(&self, group: u64) -> Option<usize> {
        let leads = |n: &usize| {
            self.group(group, *n).is_some_and(|group| group.status().role == Role::Leader)
        };
        (0..3).filter(leads).max_by_key(|n| self.group(group, *n).map(|it| it.status().term))
    }

    /// The state of the replica of a group that has applied most.
    pub fn peek<T>(&self, group: u64, look: impl FnOnce(&ShardStore) -> T) -> Option<T> {
        let running = (0..3).filter_map(|n| self.group(group, n));
        let newest = running.max_by_key(|it| it.peek(|applied, _| applied.index))?;
        Some(newest.peek(|_, machine| look(machine.inner())))
    }

    /// Bytes of the log and of the newest snapshot of each node of a group.
    pub fn stored(&self, group: u64) -> Vec<(u64, u64)> {
        let member = |n: usize| {
            let log = self.group(group, n).map_or(0, |it| it.status().log_bytes);
            let disk = &self.groups[&group].members[n].disk;
            let names = disk.names().into_iter();
            let newest = names.filter(|name| name.ends_with(".snap")).max();
            let snapshot = newest.and_then(|name| disk.contents(&name)).map_or(0, |it| it.len());
            (log, snapshot as u64)
        };
        (0..3).map(member).collect()
    }

    // Clients.

    /// A new client, a process of its own.
    pub fn client(&mut self) -> SimClient {
        self.clients += 1;
        let host = self.sim.add_host(&format!("client-{}", self.clients));
        let (made, setup) = (Job::new(), self.setup.clone());
        let tell = made.share();
        self.sim.start(host, move |process| {
            let caller = caller(&process, setup.streams);
            let mut config = shardctrler::ClerkConfig::default();
            config.calls.attempt_timeout = SECOND / 2;
            config.calls.seed = process.seed();
            let controller =
                shardctrler::Clerk::new(caller.clone(), controller_addresses(), config);
            let mut config = setup.clerk.clone();
            config.calls.seed = process.seed();
            tell.set(shardkv::Clerk::new(caller, controller, config));
            std::future::pending()
        });
        let clerk = made.take().expect("made at once");
        SimClient::new(host, clerk, self.recorder.clone())
    }

    /// Begins to do something in a client's process.
    pub fn begin<T, F>(&mut self, client: &SimClient, call: impl FnOnce(SimClient) -> F) -> Job<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let job = Job::new();
        let (tell, task) = (job.share(), call(client.fork()));
        self.sim.within(client.host, || tokio::spawn(async move { tell.set(task.await) }));
        job
    }

    /// Waits for what was begun.
    pub fn finish<T>(&mut self, job: &Job<T>) -> T {
        let waited = self.sim.run_until(120 * SECOND, |_| job.is_done());
        assert!(waited.reached(), "no answer:\n{}", self.describe());
        self.check();
        job.take().expect("done")
    }

    pub fn finish_all<T>(&mut self, jobs: &[Job<T>]) -> Vec<T> {
        jobs.iter().map(|job| self.finish(job)).collect()
    }

    /// Does something in a client's process, and waits for it.
    pub fn ask<T, F>(&mut self, client: &SimClient, call: impl FnOnce(SimClient) -> F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let job = self.begin(client, call);
        self.finish(&job)
    }

    // Time, and what must hold.

    pub fn run_for(&mut self, time: Duration) {
        self.sim.run_for(time);
        self.check();
    }

    /// No group has broken a promise of Raft, and no node gave up by itself.
    pub fn check(&self) {
        self.watch.verdict().expect("no invariant of a group is broken");
        let shards = self.groups.values().flat_map(|fleet| &fleet.members);
        let stopped = shards.filter_map(Member::stopped);
        let controllers = self.controllers.members.iter().filter_map(Member::stopped);
        let stopped: Vec<String> = stopped.chain(controllers).collect();
        assert!(stopped.is_empty(), "a node stopped by itself: {stopped:?}");
    }

    /// Judges what clients were told.
    pub fn judge(&self) -> usize {
        self.check();
        let history = self.recorder.history();
        let limits = CheckLimits { threads: std::num::NonZeroUsize::MIN, ..CheckLimits::default() };
        let verdict = check(&KvModel, &history, &limits);
        assert!(verdict.is_linearizable(), "not linearizable: {verdict:?}");
        history.len()
    }

    pub fn snapshots(&self) -> u64 {
        (1..=self.setup.groups).map(|id| self.watch.coverage(GroupId(id)).snapshots_taken).sum()
    }
}

pub fn controller_addresses() -> Vec<Address> {
    addresses("c", 990).into_values().collect()
}

fn kill<S: StateMachine>(sim: &mut Sim, watch: &Watch, member: &Member<S>) {
    let was_up = sim.is_up(member.host);
    if was_up {
        sim.kill(member.host);
    }
    if was_up || member.running().is_some() {
        member.disk.unmount();
        watch.crashed(member.id);
    }
    member.set(super::node::Stage::Down);
}

fn restart<S: StateMachine>(sim: &mut Sim, fleet: &mut Fleet<S>, n: usize) {
    let (member, parts) = (fleet.members[n].share(), Arc::clone(&fleet.parts));
    sim.start(member.host, |process| run(member, parts, process));
}
