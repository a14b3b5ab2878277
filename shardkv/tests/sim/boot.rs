//! What the processes of a world are made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use raft_core::{Address, GroupId, Membership, NodeId, Service, StateMachine};
use raft_sim::SimDisk;
use raft_sim::net::HostId;
use raft_sim::watch::Watch;
use raft_sim::world::{Process, Sim};
use shardctrler::{Controller, ControllerServer, ShardCount};
use shardkv::{Settings, ShardServer, ShardStore};

use super::client::Replicas;
use super::fleet::{Fleet, controller_addresses, servers};
use super::judge::Judge;
use super::node::{CLUSTER, Member, Parts, Serve, caller};
use super::setup::{SECOND, Setup};

pub const CONTROLLER: GroupId = GroupId(99);

pub fn controllers(sim: &mut Sim, watch: &Watch, setup: &Setup) -> Fleet<Controller> {
    let all = super::fleet::addresses("c", 990);
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
        members: all.clone(),
        streams: setup.streams,
        snapshot_bytes: None,
        machine: Box::new(Controller::new),
        serve,
    };
    Fleet { members: members(sim, CONTROLLER, all), parts: Arc::new(parts) }
}

pub fn shard_group(
    sim: &mut Sim,
    watch: &Watch,
    judge: &Judge,
    setup: &Setup,
    id: u64,
) -> Fleet<ShardStore> {
    let (all, group) = (servers(id), GroupId(id));
    watch.begin(group, Membership::of_voters(all.keys().copied()));
    let (at, config, judge) = (all.clone(), setup.server.clone(), judge.clone());
    let streams = setup.streams;
    let serve: Serve<ShardStore> = Box::new(move |group, process: &Process| {
        let (caller, replica) = (caller(process, streams), Replicas(group.clone()));
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
        members: all.clone(),
        streams: setup.streams,
        snapshot_bytes: setup.limit,
        machine: Box::new(move || ShardStore::new(Settings::new(CLUSTER, group))),
        serve,
    };
    Fleet { members: members(sim, group, all), parts: Arc::new(parts) }
}

pub fn watch_all(
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
