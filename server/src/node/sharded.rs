//! The replicas of a sharded cluster: the controller, and groups that own shards, over one log, one listener and one
//! connection to each other node.

use std::sync::Arc;
use std::time::Duration;

use raft_core::{Address, ClusterId, GroupId, Membership, NodeId};
use raft_transport::group_address;
use shardctrler::{Controller, ControllerServer, ShardCount};
use shardkv::{ShardServer, ShardStore};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::describe::Local;
use super::host::Host;
use super::replica::Replica;
use super::setup::{group_config, not_started, store_config};
use crate::client::entropy;
use crate::config::CONTROLLER;
use crate::exit::Failure;

/// How often it is asked which cluster the controller is of, until it says so.
const LOOK: Duration = Duration::from_secs(1);

/// The replica of the controller.
pub(super) async fn controller(host: &Host, initial: Membership) -> Result<Replica, Failure> {
    let of = group_config(&host.config, host.id, CONTROLLER, initial);
    let group = host.node.add_group(of, Controller::new()).await.map_err(not_started)?;
    // Within what there can be, by `Config::check`.
    let shards = u16::try_from(host.config.shards.value).ok().and_then(ShardCount::new);
    let settings = shardctrler::Settings::new(host.cluster, shards.unwrap_or_default());
    let mut config = shardctrler::ServerConfig::new(settings);
    config.session_ttl = host.config.session_ttl.value.0;
    let server = ControllerServer::new(group.clone(), [], config);
    let told = server.clone();
    Ok(Replica {
        operated: Arc::new(group.clone()),
        service: Arc::new(server),
        set_addresses: Box::new(move |nodes| told.set_addresses(addressed(nodes, CONTROLLER))),
        local: Local::Controller(group),
        tasks: JoinSet::new(),
    })
}

/// The replica of a group that owns shards.
pub(super) async fn shards(
    host: &Host,
    group: GroupId,
    initial: Membership,
) -> Result<Replica, Failure> {
    let mut settings = shardkv::Settings::new(host.cluster, group);
    settings.store = store_config(&host.config);
    let store = ShardStore::new(settings).with_release(shardkv::free_in_steps);
    let of = group_config(&host.config, host.id, group, initial);
    let replica = host.node.add_group(of, store).await.map_err(not_started)?;
    let mut config = shardkv::ServerConfig::default();
    config.session_ttl = host.config.session_ttl.value.0;
    config.transfer.calls.seed = entropy();
    let server = ShardServer::new(replica.clone(), [], clerk(host), host.caller.clone(), config);
    let (told, running) = (server.clone(), server.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { running.run().await });
    Ok(Replica {
        operated: Arc::new(replica.clone()),
        service: Arc::new(server),
        set_addresses: Box::new(move |nodes| told.set_addresses(addressed(nodes, group))),
        local: Local::Shards(replica),
        tasks,
    })
}

fn addressed(
    nodes: Vec<(NodeId, Address)>,
    group: GroupId,
) -> impl Iterator<Item = (NodeId, Address)> {
    nodes.into_iter().map(move |(node, at)| (node, group_address(&at, group)))
}

/// A clerk of the controller. It is asked for where it is now, and later at this node, which always knows.
pub(super) fn clerk(host: &Host) -> shardctrler::Clerk {
    let mut config = shardctrler::ClerkConfig::default();
    config.calls.seed = entropy();
    shardctrler::Clerk::new(host.caller.clone(), controllers(host), config)
}

fn controllers(host: &Host) -> Vec<Address> {
    let members = host.book.members(CONTROLLER).into_iter().map(|(_, at)| at);
    members.chain([host.address()]).map(|at| group_address(&at, CONTROLLER)).collect()
}

/// Looks whether the controller is of this node's cluster.
pub(super) struct Watch {
    cluster: ClusterId,
    controller: shardctrler::Clerk,
    endpoints: Vec<Address>,
}

impl Watch {
    pub(super) fn new(host: &Host) -> Self {
        Self { cluster: host.cluster, controller: clerk(host), endpoints: controllers(host) }
    }
}

impl Watch {
    /// Ends only if it is of another one.
    pub(super) async fn foreign(&self) -> Failure {
        loop {
            for endpoint in &self.endpoints {
                let asked = self.controller.with_deadline(LOOK).status(endpoint).await;
                match asked.ok().and_then(|status| status.cluster) {
                    Some((cluster, _)) if cluster == self.cluster => std::future::pending().await,
                    Some((cluster, _)) => {
                        return Failure::refused(format!(
                            "the controller at {} is of cluster {}, and this node is of cluster {}",
                            endpoint.0.split('#').next().unwrap_or_default(),
                            cluster.0,
                            self.cluster.0
                        ))
                        .hint("give it the addresses of its own cluster's nodes, in `peers`");
                    }
                    None => {}
                }
            }
            sleep(LOOK).await;
        }
    }
}
