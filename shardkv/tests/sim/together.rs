//! Three processes, each with a replica of all groups: one log, one connection to each other, one address.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use raft_core::node::{GroupConfig, Node, NodeConfig};
use raft_core::{Address, GroupId, Incarnation, Membership, NodeId, Service};
use raft_sim::SimDisk;
use raft_sim::net::HostId;
use raft_sim::watch::Limits;
use raft_sim::world::Process;
use raft_storage::{Identity, Wal, WalOptions};
use raft_transport::{GroupCaller, GroupServices, group_address};
use shardctrler::{Change, Group};
use shardkv::{ServerConfig, Settings, ShardServer, ShardStore};

use super::client::Replicas;
use super::fleet::{World, controller_addresses};
use super::judge::Judge;
use super::load::{Appenders, check, fill};
use super::node::{CLUSTER, Watched};
use super::setup::{MS, SECOND, Setup, seeds};

const GROUPS: [GroupId; 3] = [GroupId(1), GroupId(2), GroupId(3)];
const NODES: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

type Running = Arc<Mutex<BTreeMap<GroupId, Watched<ShardStore>>>>;

/// A process with replicas of all groups.
#[derive(Clone)]
struct Together {
    id: NodeId,
    host: HostId,
    disk: SimDisk,
    running: Running,
}

/// Where a group is reached: at the address of each process.
fn addresses(group: GroupId) -> BTreeMap<NodeId, Address> {
    let at = |id: &NodeId| group_address(&Address(format!("p{}:1", id.0)), group);
    NODES.iter().map(|id| (*id, at(id))).collect()
}

impl Together {
    fn groups(&self) -> BTreeMap<GroupId, Watched<ShardStore>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn run(it: Together, watch: raft_sim::watch::Watch, judge: Judge, process: Process) {
    let fate = process.fate().clone();
    let disk = it.disk.clone();
    fate.on_death(move || disk.unmount());
    let identity = Identity { cluster: CLUSTER, node: it.id, incarnation: Incarnation(1) };
    let wal = WalOptions { segment_bytes: 64 << 10, segments_max: 4, fill_bytes: 16 << 10 };
    let wal = Wal::open(Arc::new(it.disk.mount()), identity, wal).await.expect("opened");
    let mut config = NodeConfig::new(it.id);
    config.tick = 25 * MS;
    let storage = Arc::new(watch.storage(it.id, fate.clone(), wal));
    let transport = watch.transport(it.id, fate.clone(), process.transport(it.id));
    let node = Node::start(config, storage, Arc::new(transport));
    let mut services: BTreeMap<GroupId, Arc<dyn Service>> = BTreeMap::new();
    for id in GROUPS {
        let mut group = GroupConfig::new(it.id, id, Membership::of_voters(NODES));
        group.snapshot_bytes = Some(2_000);
        group.raft.trailing_bytes_max = 0;
        (group.raft.election_ticks, group.raft.heartbeat_ticks) = (10, 2);
        group.raft.seed = process.seed() ^ id.0;
        watch.limit(id, Limits::from(&group));
        let machine = ShardStore::new(Settings::new(CLUSTER, id));
        let machine = watch.machine(it.id, id, fate.clone(), machine);
        let group = node.add_group(group, machine).await.expect("started");
        it.running.lock().unwrap_or_else(PoisonError::into_inner).insert(id, group.clone());
        let caller = Arc::new(GroupCaller::new(Arc::new(process.caller())));
        let mut clerk = shardctrler::ClerkConfig::default();
        clerk.calls.seed = process.seed();
        let controller = shardctrler::Clerk::new(caller.clone(), controller_addresses(), clerk);
        let (judge, mut config) = (judge.clone(), ServerConfig::default());
        config.transfer.calls.attempt_timeout = SECOND;
        config.observer = Some(Arc::new(move |event: shardkv::MoveEvent| judge.step(id, event)));
        let server = ShardServer::new(Replicas(group), addresses(id), controller, caller, config);
        let running = server.clone();
        tokio::spawn(async move { running.run().await });
        services.insert(id, Arc::new(server));
    }
    process.serve(Arc::new(GroupServices::new(services, Box::new(|_| Bytes::new()))));
    panic!("a node stopped by itself: {}", node.stopped().await);
}

struct Processes(Vec<Together>);

impl Processes {
    fn start(world: &mut World) -> Self {
        let watch = world.watch.clone();
        for group in GROUPS {
            watch.begin(group, Membership::of_voters(NODES));
        }
        let all: Vec<Together> = NODES
            .iter()
            .map(|id| {
                let host = world.sim.add_host(&format!("p{}", id.0));
                let disk = SimDisk::new(world.sim.rng().u64(..));
                Together { id: *id, host, disk, running: Running::default() }
            })
            .collect();
        let (seen, judge) = (all.clone(), world.judge.clone());
        world.sim.watch(move |_, host| {
            let Some(it) = seen.iter().find(|it| it.host == host) else { return };
            for (id, group) in it.groups() {
                watch.status(it.id, id, &group.status());
                group.peek(|applied, machine| judge.look(id, applied.index, machine.inner()));
            }
        });
        let processes = Self(all);
        (0..3).for_each(|n| processes.restart(world, n));
        processes
    }

    fn kill(&self, world: &mut World, n: usize) {
        let it = &self.0[n];
        if world.sim.is_up(it.host) {
            world.sim.kill(it.host);
            it.disk.unmount();
            world.watch.crashed(it.id);
            it.running.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    fn restart(&self, world: &mut World, n: usize) {
        self.kill(world, n);
        let (it, watch, judge) = (self.0[n].clone(), world.watch.clone(), world.judge.clone());
        world.sim.start(it.host, move |process| run(it, watch, judge, process));
    }

    fn settle(&self, world: &mut World, number: shardctrler::ConfigNumber) {
        let there = |it: &ShardStore| it.number() >= number && it.is_settled();
        let settled = |id: &GroupId| {
            let replicas = self.0.iter().filter_map(|it| it.groups().get(id).cloned());
            let newest = replicas.max_by_key(|it| it.peek(|applied, _| applied.index));
            newest.is_some_and(|it| it.peek(|_, machine| there(machine.inner())))
        };
        let until = world.sim.now() + 60 * SECOND;
        while !GROUPS.iter().all(settled) {
            assert!(world.sim.now() < until, "not settled");
            world.run_for(20 * MS);
        }
    }
}

fn join(world: &mut World, groups: &[u64]) -> shardctrler::ConfigNumber {
    let group = |id: &u64| (GroupId(*id), Group::new(addresses(GroupId(*id))));
    world.change(Change::Join(groups.iter().map(group).collect()))
}

#[test]
fn groups_of_one_process_pass_shards_to_each_other() {
    seeds(|setup| {
        let mut world = World::start(Setup { groups: 0, streams: false, ..setup });
        let processes = Processes::start(&mut world);
        let client = world.client();
        join(&mut world, &[1]);
        let values = fill(&mut world, &client, 20, 20);
        let appenders = Appenders::start(&mut world, &values, 20 * MS);
        let number = join(&mut world, &[2, 3]);
        processes.settle(&mut world, number);
        for n in 0..3 {
            let group = world.rng.u64(1..=3);
            world.leave(&[group]);
            let ms = world.rng.u64(0..200);
            world.run_for(Duration::from_millis(ms));
            processes.kill(&mut world, n);
            processes.0[n].disk.power_loss(raft_sim::Keep::RandomSectors);
            let ms = world.rng.u64(0..800);
            world.run_for(Duration::from_millis(ms));
            processes.restart(&mut world, n);
            let number = join(&mut world, &[group]);
            processes.settle(&mut world, number);
        }
        let values = appenders.stop(&mut world);
        check(&mut world, &client, &values);
        let statuses = world.ask(&client, |client| async move {
            let mut all = Vec::new();
            for group in GROUPS {
                let at = group_address(&Address("p1:1".into()), group);
                let status = client.clerk.status(&at).await;
                all.push(status.expect("answered"));
            }
            all
        });
        let found: Vec<GroupId> = statuses.iter().map(|status| status.group).collect();
        assert_eq!(found, GROUPS);
        let shards: usize = statuses.iter().map(|status| status.shards.len()).sum();
        assert!(shards >= 9, "{statuses:?}");
        world.judge();
    });
}
