//! [`World`]: a controller group, groups of shards, and their clients.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use raft_core::{Address, GroupId, Membership, NodeId, Role, Service, StateMachine};
use raft_sim::SimDisk;
use raft_sim::checker::models::{KvInput, KvModel, KvOutput};
use raft_sim::checker::{Limits as CheckLimits, check};
use raft_sim::disk::Keep;
use raft_sim::history::Recorder;
use raft_sim::net::{HostId, Link, PerMille};
use raft_sim::watch::Watch;
use raft_sim::world::{Process, Sim};
use shardctrler::{
    Change, ConfigNumber, Configuration, Controller, ControllerServer, Group, ShardCount, ShardId,
};
use shardkv::{Settings, ShardServer, ShardStore};

use super::client::{Replicas, SimClient};
use super::judge::Judge;
use super::node::{CLUSTER, Member, Parts, Serve, Watched, run};

pub const MS: Duration = Duration::from_millis(1);
pub const SECOND: Duration = Duration::from_secs(1);
const CONTROLLER: GroupId = GroupId(99);

/// What a world is like.
#[derive(Clone)]
pub struct Setup {
    pub seed: u64,
    pub groups: u64,
    pub shards: u16,
    /// The labs' `maxraftstate`.
    pub limit: Option<u64>,
    pub unreliable: bool,
    pub server: shardkv::ServerConfig,
    pub clerk: shardkv::ClerkConfig,
}

impl Setup {
    /// Three groups of three, ten shards, no faults.
    pub fn new(seed: u64) -> Self {
        let mut clerk = shardkv::ClerkConfig::default();
        // The labs' clerks try for ever.
        clerk.deadline = 100 * SECOND;
        clerk.calls.attempt_timeout = SECOND;
        clerk.calls.backoff_max = 100 * MS;
        let mut server = shardkv::ServerConfig::default();
        server.transfer.calls.attempt_timeout = SECOND;
        server.transfer.calls.backoff_max = 100 * MS;
        Self { seed, groups: 3, shards: 10, limit: None, unreliable: false, server, clerk }
    }

    pub fn limit(self, bytes: u64) -> Self {
        Self { limit: Some(bytes), ..self }
    }

    pub fn unreliable(mut self) -> Self {
        self.clerk.calls.attempt_timeout = 200 * MS;
        self.server.transfer.calls.attempt_timeout = 200 * MS;
        Self { unreliable: true, ..self }
    }
}

/// Tells which seed it was when a test fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("SEED={}", self.0);
        }
    }
}

/// Runs a scenario under twenty seeds, or under those in `SHARDKV_SEEDS`: `7`, or `100..200`.
pub fn seeds(scenario: impl Fn(Setup)) {
    let range = |text: &str| {
        let (first, end) = text.split_once("..").unwrap_or((text, ""));
        let first: u64 = first.parse().expect("a number");
        first..end.parse().unwrap_or(first + 1)
    };
    let chosen = std::env::var("SHARDKV_SEEDS").ok();
    for seed in chosen.as_deref().map_or(0..20, range) {
        let _seed = Seed(seed);
        scenario(Setup::new(seed));
    }
}

/// Something that a client does, and what comes out of it.
pub struct Job<T>(Arc<Mutex<Option<T>>>);

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

    pub fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub fn is_done(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

pub struct World {
    pub sim: Sim,
    pub setup: Setup,
    pub judge: Judge,
    pub rng: fastrand::Rng,
    watch: Watch,
    controllers: Fleet<Controller>,
    groups: BTreeMap<u64, Fleet<ShardStore>>,
    recorder: Recorder<KvInput, KvOutput>,
    clients: u64,
    admin: Option<(HostId, shardctrler::Clerk)>,
}

struct Fleet<S: StateMachine> {
    members: Vec<Member<S>>,
    parts: Arc<Parts<S>>,
}

fn addresses(prefix: &str, first: u64) -> BTreeMap<NodeId, Address> {
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
        let host = world.sim.add_host("admin");
        let made = Job::new();
        let tell = made.share();
        world.sim.start(host, move |process| {
            let mut config = shardctrler::ClerkConfig::default();
            config.deadline = 60 * SECOND;
            config.calls.attempt_timeout = SECOND / 2;
            config.calls.seed = process.seed();
            let caller = Arc::new(process.caller());
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

    // The controller.

    /// Does something with the controller.
    pub fn admin<T, F>(&mut self, call: impl FnOnce(shardctrler::Clerk) -> F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let job = self.begin_admin(call);
        self.finish(&job)
    }

    pub fn begin_admin<T, F>(&mut self, call: impl FnOnce(shardctrler::Clerk) -> F) -> Job<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (host, clerk) = self.admin.clone().expect("made at once");
        let job = Job::new();
        let (tell, task) = (job.share(), call(clerk));
        self.sim.within(host, || tokio::spawn(async move { tell.set(task.await) }));
        job
    }

    pub fn change(&mut self, change: Change) -> ConfigNumber {
        self.admin(|clerk| async move { clerk.change(&change).await }).expect("changed")
    }

    pub fn join(&mut self, groups: &[u64]) -> ConfigNumber {
        let group = |id: &u64| (GroupId(*id), Group::new(servers(*id)));
        self.change(Change::Join(groups.iter().map(group).collect()))
    }

    pub fn leave(&mut self, groups: &[u64]) -> ConfigNumber {
        self.change(Change::Leave(groups.iter().map(|id| GroupId(*id)).collect()))
    }

    pub fn move_shard(&mut self, shard: u16, to: u64) -> ConfigNumber {
        self.change(Change::Move { shard: ShardId(shard), to: GroupId(to) })
    }

    pub fn newest(&mut self) -> Configuration {
        self.admin(|clerk| async move { clerk.newest().await }).expect("answered")
    }

    /// Waits until these groups have reached the configuration and everything is where it belongs.
    pub fn settle(&mut self, groups: &[u64], number: ConfigNumber) {
        let until = self.sim.now() + 60 * SECOND;
        while !groups.iter().all(|group| self.is_settled(*group, number)) {
            assert!(self.sim.now() < until, "not settled:\n{}", self.describe());
            self.run_for(20 * MS);
        }
    }

    pub fn is_settled(&self, group: u64, number: ConfigNumber) -> bool {
        self.peek(group, |store| store.number() >= number && store.is_settled()).unwrap_or(false)
    }

    pub fn describe(&self) -> String {
        let mut lines = Vec::new();
        for group in self.groups.keys() {
            lines.push(format!("group {group}, leader {:?}:", self.leader(*group)));
            self.peek(*group, |store| {
                lines.push(format!("  {:?}", store.number()));
                lines.extend(store.shard_states().iter().map(|state| format!("  {state:?}")));
            });
        }
        lines.join("\n")
    }

    // Clients.

    /// A new client, a process of its own.
    pub fn client(&mut self) -> SimClient {
        self.clients += 1;
        let host = self.sim.add_host(&format!("client-{}", self.clients));
        let (made, setup) = (Job::new(), self.setup.clone());
        let tell = made.share();
        self.sim.start(host, move |process| {
            let caller = Arc::new(process.caller());
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

fn members<S: StateMachine>(
    sim: &mut Sim,
    group: GroupId,
    addresses: BTreeMap<NodeId, Address>,
) -> Vec<Member<S>> {
    let member = |(id, address): (NodeId, Address)| {
        let host = sim.add_host(address.0.split(':').next().expect("a host"));
        let disk = SimDisk::new(sim.rng().u64(..));
        Member::new(id, group, host, address, disk)
    };
    addresses.into_iter().map(member).collect()
}

fn controllers(sim: &mut Sim, watch: &Watch, setup: &Setup) -> Fleet<Controller> {
    let all = addresses("c", 990);
    watch.begin(CONTROLLER, Membership::of_voters(all.keys().copied()));
    let shards = ShardCount::new(setup.shards).expect("a number of shards");
    let config = shardctrler::ServerConfig::new(shardctrler::Settings::new(CLUSTER, shards));
    let at = all.clone();
    let serve: Serve<Controller> = Box::new(move |group, _| {
        let server = ControllerServer::new(Replicas(group.clone()), at.clone(), config.clone());
        Arc::new(server) as Arc<dyn Service>
    });
    let parts = Parts {
        watch: watch.clone(),
        members: all.keys().copied().collect(),
        snapshot_bytes: None,
        machine: Box::new(Controller::new),
        serve,
    };
    Fleet { members: members(sim, CONTROLLER, all), parts: Arc::new(parts) }
}

fn shard_group(
    sim: &mut Sim,
    watch: &Watch,
    judge: &Judge,
    setup: &Setup,
    id: u64,
) -> Fleet<ShardStore> {
    let (all, group) = (servers(id), GroupId(id));
    watch.begin(group, Membership::of_voters(all.keys().copied()));
    let (at, config, judge) = (all.clone(), setup.server.clone(), judge.clone());
    let serve: Serve<ShardStore> = Box::new(move |group, process: &Process| {
        let (caller, replica) = (Arc::new(process.caller()), Replicas(group.clone()));
        let mut clerk = shardctrler::ClerkConfig::default();
        clerk.calls.attempt_timeout = SECOND;
        clerk.calls.seed = process.seed();
        let controller = shardctrler::Clerk::new(caller.clone(), controller_addresses(), clerk);
        let (fate, judge, mut config) = (process.fate().clone(), judge.clone(), config.clone());
        config.transfer.calls.seed = process.seed();
        let group = group.id();
        config.observer = Some(Arc::new(move |event: shardkv::MoveEvent| {
            if fate.reach(&format!("{:?}", event.step)) {
                judge.step(group, event);
            }
        }));
        let server = ShardServer::new(replica, at.clone(), controller, caller, config);
        let running = server.clone();
        tokio::spawn(async move { running.run().await });
        Arc::new(server) as Arc<dyn Service>
    });
    let parts = Parts {
        watch: watch.clone(),
        members: all.keys().copied().collect(),
        snapshot_bytes: setup.limit,
        machine: Box::new(move || ShardStore::new(Settings::new(CLUSTER, group))),
        serve,
    };
    Fleet { members: members(sim, group, all), parts: Arc::new(parts) }
}

fn watch_all(
    sim: &mut Sim,
    watch: &Watch,
    judge: &Judge,
    controllers: &Fleet<Controller>,
    groups: &BTreeMap<u64, Fleet<ShardStore>>,
) {
    let shards = groups.values().flat_map(|fleet| &fleet.members).map(|it| (it.host, it.share()));
    let shards: BTreeMap<HostId, _> = shards.collect();
    let controllers: BTreeMap<HostId, _> =
        controllers.members.iter().map(|it| (it.host, it.share())).collect();
    let (watch, judge) = (watch.clone(), judge.clone());
    let mut looked = BTreeMap::new();
    sim.watch(move |_, host| {
        if let Some((member, group)) =
            controllers.get(&host).and_then(|it| Some((it, it.running()?)))
        {
            watch.status(member.id, CONTROLLER, &group.status());
        }
        if let Some((member, group)) = shards.get(&host).and_then(|it| Some((it, it.running()?))) {
            watch.status(member.id, member.group, &group.status());
            group.peek(|applied, machine| {
                if looked.insert(host, applied.index) != Some(applied.index) {
                    judge.look(member.group, applied.index, machine.inner());
                }
            });
        }
    });
}
