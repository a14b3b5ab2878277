//! A node of a sharded cluster: replicas of the controller and of groups that own shards, over one log, one
//! listener and one connection to each other node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use kv::rpc::{self, Fault, Hint};
use raft_core::node::{Group, Node};
use raft_core::{Address, Caller, ClusterId, GroupId, NodeId, Service, StateMachine};
use raft_transport::{GroupServices, Stray, group_address};
use shardctrler::{Controller, ControllerServer, ShardCount};
use shardkv::{ShardServer, ShardStore};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::AddressBook;
use super::describe::{Describer, Known, Local, NODE};
use super::setup::{group_config, not_started, store_config};
use super::{Roles, Running};
use crate::client::entropy;
use crate::config::{CONTROLLER, Config};
use crate::exit::Failure;
use crate::wire::Wire;

/// How often it is asked which cluster the controller is of, until it says so.
const LOOK: Duration = Duration::from_secs(1);

/// Where the replicas of each group are.
type Places = BTreeMap<GroupId, Vec<(NodeId, Address)>>;

/// Starts the replicas that the settings give this node.
pub(super) async fn start(
    config: &Config,
    id: NodeId,
    book: &AddressBook,
    node: &Node,
    wire: &Wire,
) -> Result<Running, Failure> {
    let places = places(config, book);
    let starting = Starting { config, id, node, places: &places };
    let caller = wire.caller();
    let mut services: BTreeMap<GroupId, Arc<dyn Service>> = BTreeMap::new();
    let (mut roles, mut tasks, mut described) = (Roles::new(), JoinSet::new(), Vec::new());
    for (group, members) in &places {
        let mut local = None;
        if !members.iter().any(|(node, _)| *node == id) {
        } else if *group == CONTROLLER {
            let replica = starting.replica(*group, Controller::new()).await?;
            roles.push(replica.changes());
            services.insert(*group, Arc::new(starting.controller(&replica)));
            local = Some(Local::Controller(replica));
        } else {
            let replica = starting.replica(*group, starting.store(*group)).await?;
            roles.push(replica.changes());
            let server = starting.shards(*group, &replica, &caller);
            let running = server.clone();
            tasks.spawn(async move { running.run().await });
            services.insert(*group, Arc::new(server));
            local = Some(Local::Shards(replica));
        }
        described.push(Known { group: *group, members: members.clone(), local });
    }
    let own = Describer { cluster: config.cluster_id.value, node: id.0, groups: described };
    services.insert(NODE, Arc::new(own));
    let service = Arc::new(GroupServices::new(services, stray(places.clone())));
    let watch = Watch {
        cluster: ClusterId(config.cluster_id.value),
        controller: clerk(&caller, &places),
        endpoints: at(&places, CONTROLLER),
    };
    Ok(Running { service, roles, tasks, watch: Some(watch) })
}

/// What a replica is started with.
struct Starting<'a> {
    config: &'a Config,
    id: NodeId,
    node: &'a Node,
    places: &'a Places,
}

impl Starting<'_> {
    async fn replica<S: StateMachine>(
        &self,
        group: GroupId,
        machine: S,
    ) -> Result<Group<S>, Failure> {
        let nodes: Vec<_> = self.places[&group].iter().map(|(node, _)| *node).collect();
        let config = group_config(self.config, self.id, group, &nodes);
        self.node.add_group(config, machine).await.map_err(not_started)
    }

    fn controller(&self, replica: &Group<Controller>) -> ControllerServer {
        // Within what there can be, by `Config::check`.
        let shards = u16::try_from(self.config.shards.value).ok().and_then(ShardCount::new);
        let cluster = ClusterId(self.config.cluster_id.value);
        let settings = shardctrler::Settings::new(cluster, shards.unwrap_or_default());
        let mut config = shardctrler::ServerConfig::new(settings);
        config.session_ttl = self.config.session_ttl.value.0;
        ControllerServer::new(replica.clone(), self.addresses(CONTROLLER), config)
    }

    fn store(&self, group: GroupId) -> ShardStore {
        let mut settings = shardkv::Settings::new(ClusterId(self.config.cluster_id.value), group);
        settings.store = store_config(self.config);
        ShardStore::new(settings).with_release(shardkv::free_in_steps)
    }

    fn shards(
        &self,
        group: GroupId,
        replica: &Group<ShardStore>,
        caller: &Arc<dyn Caller>,
    ) -> ShardServer {
        let mut config = shardkv::ServerConfig::default();
        config.session_ttl = self.config.session_ttl.value.0;
        config.transfer.calls.seed = entropy();
        let controller = clerk(caller, self.places);
        let addresses = self.addresses(group);
        ShardServer::new(replica.clone(), addresses, controller, caller.clone(), config)
    }

    /// Where clients of the group reach its nodes, for hints at the leader.
    fn addresses(&self, group: GroupId) -> Vec<(NodeId, Address)> {
        let of = |(node, at): &(NodeId, Address)| (*node, group_address(at, group));
        self.places[&group].iter().map(of).collect()
    }
}

fn places(config: &Config, book: &AddressBook) -> Places {
    let known: BTreeMap<NodeId, Address> = book.all().into_iter().collect();
    let place = |node: NodeId| Some((node, known.get(&node)?.clone()));
    let of = |(group, nodes): (GroupId, Vec<NodeId>)| {
        (group, nodes.into_iter().filter_map(place).collect())
    };
    config.groups().into_iter().map(of).collect()
}

fn at(places: &Places, group: GroupId) -> Vec<Address> {
    let members = places.get(&group).into_iter().flatten();
    members.map(|(_, at)| group_address(at, group)).collect()
}

fn clerk(caller: &Arc<dyn Caller>, places: &Places) -> shardctrler::Clerk {
    let mut config = shardctrler::ClerkConfig::default();
    config.calls.seed = entropy();
    shardctrler::Clerk::new(caller.clone(), at(places, CONTROLLER), config)
}

/// Sends whoever asks for a group that is not here to a node that has it, to each of them in turn; and refuses
/// what is for no group, as a client of a plain cluster asks it.
fn stray(places: Places) -> Stray {
    let turn = AtomicUsize::new(0);
    Box::new(move |group| {
        let fault = match group {
            None => Fault::Malformed,
            Some(group) => {
                let members = places.get(&group).map(Vec::as_slice).unwrap_or_default();
                let turn = turn.fetch_add(1, Ordering::Relaxed);
                let there = members.get(turn % members.len().max(1));
                Fault::NotLeader(there.map(|(node, at)| Hint {
                    node: node.0,
                    address: Some(group_address(at, group).0),
                }))
            }
        };
        // A fault is written alike by all services.
        Bytes::from(rpc::reply::<shardkv::Refusal>(&rpc::Answer::Fault(fault), 0))
    })
}

/// Looks whether the controller is of this node's cluster.
pub(super) struct Watch {
    cluster: ClusterId,
    controller: shardctrler::Clerk,
    endpoints: Vec<Address>,
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
