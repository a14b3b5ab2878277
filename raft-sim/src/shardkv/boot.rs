//! What the processes of a cluster are made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use kv::rpc::{Answer, Fault, read_reply};
use raft_core::{BoxFuture, Caller, GroupId, Service};
use raft_transport::{GroupCaller, GroupServices};
use shardctrler::{Controller, ControllerServer};
use shardkv::{MoveEvent, Refusal, Settings, ShardServer, ShardStore};

use super::config::{Layout, ShardConfig};
use super::judge::Judge;
use crate::cluster::{CLUSTER, Fleet, MakeService, Parts, Wire};
use crate::kv::{Connection, Open, caller};
use crate::watch::Watch;
use crate::world::{Process, Sim};

/// The controller's group.
pub const CONTROLLER: GroupId = GroupId(0);

/// Calls services, also those of one group of many.
fn group_caller(process: &Process, wire: Wire) -> Arc<dyn Caller> {
    Arc::new(GroupCaller::new(caller(process, wire)))
}

/// A clerk of the controller.
pub(super) fn controller_clerk(process: &Process, config: &ShardConfig) -> shardctrler::Clerk {
    let mut clerk = config.controller_clerk.clone();
    clerk.calls.seed = process.seed();
    let at = config.controllers().into_values();
    shardctrler::Clerk::new(group_caller(process, config.cluster.wire), at, clerk)
}

/// What a client's process holds.
pub(super) fn open(config: &ShardConfig) -> Open<shardkv::Clerk> {
    let config = config.clone();
    Box::new(move |process, _| {
        let caller = group_caller(process, config.cluster.wire);
        let mut clerk = config.clerk.clone();
        clerk.calls.seed = process.seed();
        let controller = controller_clerk(process, &config);
        let clerk = shardkv::Clerk::new(Arc::clone(&caller), controller, clerk);
        Connection { caller, clerk }
    })
}

pub(super) fn controllers(sim: &mut Sim, watch: &Watch, config: &ShardConfig) -> Fleet<Controller> {
    let settings = shardctrler::Settings::new(CLUSTER, config.shards);
    let (server, at) = (shardctrler::ServerConfig::new(settings), config.controllers());
    let serve: MakeService<Controller> = Arc::new(move |replicas, _| {
        let group = replicas.values().next().expect("each has the one group").clone();
        Arc::new(ControllerServer::new(group, at.clone(), server.clone()))
    });
    let parts = Parts {
        config: config.cluster.clone(),
        watch: watch.clone(),
        nodes: config.controllers(),
        groups: vec![CONTROLLER],
        machine: Arc::new(|_| Controller::new()),
        service: Some(serve),
    };
    Fleet::new(sim, parts)
}

/// The groups of shards: each fleet with those that it has.
pub(super) fn shard_groups(
    sim: &mut Sim,
    watch: &Watch,
    judge: &Judge,
    config: &ShardConfig,
) -> Vec<Fleet<ShardStore>> {
    let sets: Vec<Vec<GroupId>> = match config.layout {
        Layout::Apart => config.group_ids().map(|group| vec![group]).collect(),
        Layout::Together => vec![config.group_ids().collect()],
    };
    let fleet = |groups: Vec<GroupId>| {
        let store = config.store.clone();
        let parts = Parts {
            config: config.cluster.clone(),
            watch: watch.clone(),
            nodes: groups.first().map(|group| config.nodes_of(*group)).unwrap_or_default(),
            groups,
            machine: Arc::new(move |group| {
                let mut settings = Settings::new(CLUSTER, group);
                settings.store = store.clone();
                ShardStore::new(settings)
            }),
            service: Some(serve(judge, config)),
        };
        Fleet::new(sim, parts)
    };
    sets.into_iter().map(fleet).collect()
}

fn serve(judge: &Judge, config: &ShardConfig) -> MakeService<ShardStore> {
    let (judge, config) = (judge.clone(), config.clone());
    Arc::new(move |replicas, process| {
        let caller = group_caller(process, config.cluster.wire);
        let mut services: BTreeMap<GroupId, Arc<dyn Service>> = BTreeMap::new();
        for (id, replica) in replicas {
            let mut server = config.server.clone();
            server.transfer.calls.seed = process.seed() ^ id.0;
            let (fate, tell, group) = (process.fate().clone(), judge.clone(), *id);
            server.observer = Some(Arc::new(move |event: MoveEvent| {
                if fate.reach(&format!("{:?}", event.step)) {
                    tell.step(group, event);
                }
            }));
            let controller = controller_clerk(process, &config);
            let (at, caller) = (config.servers(group), Arc::clone(&caller));
            let server = ShardServer::new(replica.clone(), at, controller, caller, server);
            let running = server.clone();
            tokio::spawn(async move { running.run().await });
            services.insert(group, Arc::new(Counted { server, judge: judge.clone() }));
        }
        Arc::new(GroupServices::new(services, Box::new(|_| Bytes::new())))
    })
}

/// Counts how often clients are sent elsewhere.
struct Counted<S> {
    server: S,
    judge: Judge,
}

impl<S: Service> Service for Counted<S> {
    fn call(&self, request: Bytes) -> BoxFuture<'static, Bytes> {
        let (answering, judge) = (self.server.call(request), self.judge.clone());
        Box::pin(async move {
            let reply = answering.await;
            if let Ok(Answer::Fault(Fault::WrongGroup(_))) = read_reply::<Refusal>(&reply) {
                judge.count("sent to another group");
            }
            reply
        })
    }
}
