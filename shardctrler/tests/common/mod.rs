//! What the tests share.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

pub mod log;
pub mod reference;
pub mod single;

use std::collections::BTreeMap;

use raft_core::{Address, ClusterId, GroupId, NodeId};
use shardctrler::{Change, Configuration, Group, ShardCount, ShardId};

pub const CLUSTER: ClusterId = ClusterId(7);

pub fn shards(count: u16) -> ShardCount {
    ShardCount::new(count).expect("a number of shards")
}

pub fn empty(count: u16) -> Configuration {
    Configuration::empty(CLUSTER, shards(count))
}

/// A group of one server, called after the group.
pub fn group(id: u64) -> Group {
    Group::new(servers(id, &["a"]))
}

/// Servers of a group, with these names.
pub fn servers(group: u64, names: &[&str]) -> BTreeMap<NodeId, Address> {
    let server = |(n, name): (usize, &&str)| {
        (NodeId(group * 100 + n as u64 + 1), Address(format!("g{group}-{name}:1")))
    };
    names.iter().enumerate().map(server).collect()
}

pub fn groups(ids: impl IntoIterator<Item = u64>) -> BTreeMap<GroupId, Group> {
    ids.into_iter().map(|id| (GroupId(id), group(id))).collect()
}

pub fn join(ids: impl IntoIterator<Item = u64>) -> Change {
    Change::Join(groups(ids))
}

pub fn weighing(id: u64, weight: u32) -> Change {
    Change::Join([(GroupId(id), group(id).with_weight(weight))].into())
}

pub fn leave(ids: impl IntoIterator<Item = u64>) -> Change {
    Change::Leave(ids.into_iter().map(GroupId).collect())
}

pub fn move_shard(shard: u16, to: u64) -> Change {
    Change::Move { shard: ShardId(shard), to: GroupId(to) }
}

pub fn set_servers(group: u64, names: &[&str]) -> Change {
    Change::SetServers { group: GroupId(group), servers: servers(group, names) }
}

pub fn rebalance(weights: impl IntoIterator<Item = (u64, u32)>) -> Change {
    Change::Rebalance {
        weights: weights.into_iter().map(|(group, weight)| (GroupId(group), weight)).collect(),
    }
}

/// How many shards each group has, also those that have none.
pub fn load(configuration: &Configuration) -> BTreeMap<u64, usize> {
    let count = |group: &GroupId| (group.0, configuration.shards_of(*group).count());
    configuration.groups().keys().map(count).collect()
}
