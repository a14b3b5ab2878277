//! [`Overview`]: what all nodes and the controller say at about one moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use raft_core::{Address, Caller};
use raft_transport::split_address;
use shardctrler::Configuration;
use shardkv::Phase;

use crate::cli::Connect;
use crate::client::{Answers, describe_all, describe_around};
use crate::config::HostPort;
use crate::node::{Replica, Shard, WireRole};

/// What is known of the cluster.
pub(crate) struct Overview {
    /// Nodes, by where they are.
    pub(crate) nodes: Answers,
    /// The newest configuration, if the controller answers.
    pub(crate) newest: Option<Configuration>,
}

/// A replica, and where it is.
pub(crate) struct Seen<'a> {
    pub(crate) node: u64,
    pub(crate) endpoint: &'a str,
    pub(crate) replica: &'a Replica,
}

/// A shard on its way.
pub(crate) struct Way {
    pub(crate) shard: u16,
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// Whether the old group has ceased to serve it.
    pub(crate) frozen: bool,
    /// What the old group has, and what the new one has of it.
    pub(crate) all: Shard,
    pub(crate) there: Option<Shard>,
}

impl Overview {
    /// Asks the endpoints, those that they know of, and those that the configuration names.
    pub(crate) async fn ask(
        connect: &Connect,
        caller: &Arc<dyn Caller>,
        newest: Option<Configuration>,
    ) -> Self {
        let within = connect.timeout.0;
        let endpoints = connect.endpoints.iter().map(HostPort::address);
        let mut nodes = describe_around(caller, endpoints, within).await;
        let groups = newest.iter().flat_map(|config| config.groups().values());
        let named = groups.flat_map(|group| group.servers.values());
        let named = named.filter_map(|at| Some(split_address(at).ok()?.0));
        let others: BTreeSet<Address> = named.filter(|at| !nodes.contains_key(&at.0)).collect();
        nodes.append(&mut describe_all(caller, others, within).await);
        Self { nodes, newest }
    }

    /// The groups that somebody knows of, and their replicas that answer, in order.
    pub(crate) fn groups(&self) -> BTreeMap<u64, Vec<Seen<'_>>> {
        let joined = self.newest.iter().flat_map(|config| config.groups().keys());
        let mut groups: BTreeMap<u64, Vec<Seen<'_>>> =
            joined.map(|group| (group.0, Vec::new())).collect();
        for (endpoint, node) in &self.nodes {
            let Ok(node) = node else { continue };
            for group in &node.groups {
                let seen = groups.entry(group.group).or_default();
                let seen_here = group.replica.as_ref();
                seen.extend(seen_here.map(|replica| Seen { node: node.node, endpoint, replica }));
            }
        }
        for seen in groups.values_mut() {
            seen.sort_by_key(|seen| seen.node);
            // A node may be known by two names.
            seen.dedup_by_key(|seen| seen.node);
        }
        groups
    }

    /// Which node is at `endpoint`, as it says or as others do.
    pub(crate) fn node_at(&self, endpoint: &str) -> Option<u64> {
        if let Some(Ok(node)) = self.nodes.get(endpoint) {
            return Some(node.node);
        }
        let groups = self.nodes.values().flatten().flat_map(|node| &node.groups);
        let mut members = groups.flat_map(|group| &group.members);
        members.find(|(_, at)| at == endpoint).map(|(node, _)| *node)
    }

    /// What each group has of each shard, as its leader says, or else the replica that is furthest.
    pub(crate) fn held(&self) -> BTreeMap<(u16, u64), Shard> {
        let mut held = BTreeMap::new();
        for (group, seen) in self.groups() {
            let best = seen.iter().map(|seen| seen.replica);
            let best = best.max_by_key(|it| (it.role == WireRole::Leader, it.term, it.applied));
            for shard in best.iter().flat_map(|replica| &replica.shards) {
                held.insert((shard.shard, group), *shard);
            }
        }
        held
    }

    /// The shards that are on their way.
    pub(crate) fn ways(&self) -> Vec<Way> {
        let held = self.held();
        let way = |((shard, from), all): (&(u16, u64), &Shard)| {
            let frozen = match all.phase {
                Phase::Leaving => false,
                Phase::Frozen => true,
                Phase::Serving | Phase::Arriving => return None,
            };
            // Without one it only rests: nobody owns it.
            let to = all.peer?;
            let there = held.get(&(*shard, to)).copied();
            Some(Way { shard: *shard, from: *from, to, frozen, all: *all, there })
        };
        held.iter().filter_map(way).collect()
    }
}

impl Shard {
    pub(crate) fn state(&self) -> &'static str {
        match self.phase {
            Phase::Serving => "serving",
            Phase::Leaving => "leaving",
            Phase::Frozen => "frozen",
            Phase::Arriving => "arriving",
        }
    }
}
