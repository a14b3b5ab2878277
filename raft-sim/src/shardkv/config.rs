//! [`ShardConfig`]: what a [`ShardCluster`](super::ShardCluster) is like.

use std::collections::BTreeMap;

use kv::StoreConfig;
use raft_core::{Address, GroupId, NodeId};
use raft_transport::group_address;
use shardctrler::ShardCount;
use shardkv::{ClerkConfig, ServerConfig};

use crate::cluster::ClusterConfig;

/// Which processes have the replicas of the shard groups. The controllers have processes of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// Each group has processes of its own.
    Apart,
    /// Each process has a replica of every group: one log, one connection to each other, one address.
    Together,
}

/// The configuration of a [`ShardCluster`](super::ShardCluster): made by [`ShardConfig::new`], changed field by field.
#[derive(Clone)]
#[non_exhaustive]
pub struct ShardConfig {
    /// Of the nodes; `nodes` is how many each group has, and the controller.
    pub cluster: ClusterConfig,
    /// How many groups of shards there are; they are called 1, 2, and so on. None has joined at first.
    pub groups: u64,
    /// Default 10.
    pub shards: ShardCount,
    /// Default [`Layout::Apart`].
    pub layout: Layout,
    /// Of the servers, but for the observer, which is the simulator's, and seeds, which are the processes'.
    pub server: ServerConfig,
    /// What shards are bounded by.
    pub store: StoreConfig,
    /// Of all clerks of the controller, but for the seed: those of servers, of clients, and of the operator.
    pub controller_clerk: shardctrler::ClerkConfig,
    /// Of all clients, but for the seed.
    pub clerk: ClerkConfig,
}

const SHARDS: ShardCount = ShardCount::new(10).expect("ten are not too many");

impl ShardConfig {
    /// The defaults: so many groups of so many nodes each, and a controller of as many.
    pub fn new(seed: u64, groups: u64, nodes: u64) -> Self {
        Self {
            cluster: ClusterConfig::new(seed, nodes),
            groups,
            shards: SHARDS,
            layout: Layout::Apart,
            server: ServerConfig::default(),
            store: StoreConfig::default(),
            controller_clerk: shardctrler::ClerkConfig::default(),
            clerk: ClerkConfig::default(),
        }
    }

    /// The nodes of the controller, and where each is.
    pub fn controllers(&self) -> BTreeMap<NodeId, Address> {
        let node = |n| (NodeId(990 + n), Address(format!("ctrl-{n}:1")));
        (1..=self.cluster.nodes).map(node).collect()
    }

    /// The servers of a group, as a configuration has them.
    pub fn servers(&self, group: GroupId) -> BTreeMap<NodeId, Address> {
        let nodes = self.nodes_of(group).into_iter();
        nodes.map(|(id, at)| (id, group_address(&at, group))).collect()
    }

    /// The nodes that have replicas of a group, and where each is.
    pub(super) fn nodes_of(&self, group: GroupId) -> BTreeMap<NodeId, Address> {
        let node = |n| match self.layout {
            Layout::Apart => (NodeId(10 * group.0 + n), Address(format!("g{}-{n}:1", group.0))),
            Layout::Together => (NodeId(n), Address(format!("p{n}:1"))),
        };
        (1..=self.cluster.nodes).map(node).collect()
    }

    pub(super) fn group_ids(&self) -> impl Iterator<Item = GroupId> + use<> {
        (1..=self.groups).map(GroupId)
    }
}
