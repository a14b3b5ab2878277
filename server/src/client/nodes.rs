//! Nodes that are asked what they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kv::Cause;
use raft_core::{Address, Caller};
use tokio::task::JoinSet;

use super::ask;
use crate::node::{Described, Reply, Request, WireMode};

/// The most nodes that are asked: a cluster has fewer.
const NODES_MAX: usize = 1_024;

/// What the nodes say, by where they are; or why they say nothing.
pub(crate) type Answers = BTreeMap<String, Result<Described, Cause>>;

/// Asks one node of a sharded cluster.
pub(crate) async fn describe(
    caller: &Arc<dyn Caller>,
    node: &Address,
    within: Duration,
) -> Result<Described, Cause> {
    match ask(caller, node, &Request::Describe, within).await? {
        // What asks for more than one node is for sharded clusters.
        Reply::Described(described) if described.mode == WireMode::Sharded => Ok(described),
        _ => Err(Cause::Protocol),
    }
}

/// Asks these nodes, all at once.
pub(crate) async fn describe_all(
    caller: &Arc<dyn Caller>,
    nodes: impl IntoIterator<Item = Address>,
    within: Duration,
) -> Answers {
    let nodes: BTreeSet<Address> = nodes.into_iter().take(NODES_MAX).collect();
    let mut asking = JoinSet::new();
    for node in nodes {
        let caller = caller.clone();
        asking.spawn(async move { (describe(&caller, &node, within).await, node.0) });
    }
    asking.join_all().await.into_iter().map(|(answer, node)| (node, answer)).collect()
}

/// Asks these nodes, and then those that they know of.
pub(crate) async fn describe_around(
    caller: &Arc<dyn Caller>,
    nodes: impl IntoIterator<Item = Address>,
    within: Duration,
) -> Answers {
    let mut answers = describe_all(caller, nodes, within).await;
    let known = |described: &Described| {
        let members = described.groups.iter().flat_map(|group| &group.members);
        members.map(|(_, at)| at.clone()).collect::<Vec<_>>()
    };
    let others: BTreeSet<String> = answers.values().flatten().flat_map(known).collect();
    let others = others.into_iter().filter(|at| !answers.contains_key(at)).map(Address);
    let others: Vec<_> = others.collect();
    answers.append(&mut describe_all(caller, others, within).await);
    answers
}
