//! `shardkv shard join`: where a group's nodes are, whether they are what they should be, and the change.

use std::collections::{BTreeMap, BTreeSet};

use kv::ClerkError;
use raft_core::{Address, GroupId, NodeId};
use raft_transport::group_address;
use shardctrler::{Configuration, Group, Refusal};

use super::Cluster;
use super::change::tell;
use crate::cli::JoinArgs;
use crate::client::{Answers, describe_all, describe_around};
use crate::config::{CONTROLLER, HostPort};
use crate::exit::{Done, Exit, Failure};
use crate::node::listed;
use crate::run::print;

/// Where a group's nodes are.
type Servers = BTreeMap<NodeId, Address>;

pub(super) async fn join(cluster: &Cluster, args: &JoinArgs) -> Done {
    let newest = cluster.newest().await?;
    let groups: BTreeSet<GroupId> = args.groups.iter().copied().map(GroupId).collect();
    let mut joining = BTreeMap::new();
    for (group, servers) in servers(cluster, args, &groups).await? {
        // Of one that has joined the controller knows more.
        if newest.group(group).is_none() {
            check(cluster, &newest, group, &servers).await?;
        }
        let at = |(node, at): (NodeId, Address)| (node, group_address(&at, group));
        joining.insert(group, Group::new(servers.into_iter().map(at)).with_weight(args.weight));
    }
    match cluster.controller.join(joining).await {
        Ok(number) => tell(cluster, &args.changing, number).await,
        Err(ClerkError::Refused(Refusal::GroupExists { group, same: true }))
            if groups.len() == 1 =>
        {
            eprintln!("group {} has joined already, just like this", group.0);
            tell_nothing(args, &newest)
        }
        Err(error) => Err(cluster.failure(error)),
    }
}

fn tell_nothing(args: &JoinArgs, newest: &Configuration) -> Done {
    let number = newest.number();
    print(
        match args.changing.json {
            true => format!("{{\"configuration\":{},\"moves\":[]}}\n", number.0),
            false => format!("configuration {number}: no shard moves\n"),
        }
        .as_bytes(),
    )
}

/// Where the groups' nodes are, as the command line or the endpoints say.
async fn servers(
    cluster: &Cluster,
    args: &JoinArgs,
    groups: &BTreeSet<GroupId>,
) -> Result<BTreeMap<GroupId, Servers>, Failure> {
    if groups.contains(&CONTROLLER) {
        return Err(Failure::usage("group 0 is the controller, and owns no shards"));
    }
    if let Some(given) = &args.servers {
        let [group] = args.groups[..] else {
            return Err(Failure::usage("--servers says where one group is: join one at a time"));
        };
        let given = given.0.iter().map(|(node, at)| (NodeId(*node), HostPort::address(at)));
        return Ok([(GroupId(group), given.collect())].into());
    }
    let endpoints = cluster.connect.endpoints.iter().map(HostPort::address);
    let answers = describe_around(&cluster.caller, endpoints, cluster.connect.timeout.0).await;
    let mut found = BTreeMap::new();
    for group in groups {
        let known = answers.values().flatten().find_map(|node| node.group(group.0));
        let Some(known) = known else {
            return Err(Failure::refused(format!(
                "no node that answers knows of group {}",
                group.0
            ))
            .hint(
                "list it in `groups` of its nodes and start them, and name one of them in \
                       --endpoints, or all of them with --servers",
            ));
        };
        let members = known.members.iter().cloned();
        found.insert(*group, members.map(|(node, at)| (NodeId(node), Address(at))).collect());
    }
    Ok(found)
}

/// A group of which a node is missing can join, and one of which a node is something else cannot.
async fn check(
    cluster: &Cluster,
    newest: &Configuration,
    group: GroupId,
    servers: &Servers,
) -> Done {
    let within = cluster.connect.timeout.0;
    let answers: Answers = describe_all(&cluster.caller, servers.values().cloned(), within).await;
    let mut reached = 0;
    for (node, at) in servers {
        let Some(Ok(found)) = answers.get(&at.0) else {
            eprintln!("node {} of group {} does not answer at {at}", node.0, group.0);
            continue;
        };
        reached += 1;
        if found.cluster != newest.cluster().0 {
            return Err(Failure::refused(format!(
                "the node at {at} is of cluster {}, and this is cluster {}",
                found.cluster,
                newest.cluster().0
            )));
        }
        if found.node != node.0 {
            return Err(Failure::refused(format!(
                "at {at} is node {}, and not node {}",
                found.node, node.0
            )));
        }
        let known = found.group(group.0).filter(|known| known.replica.is_some());
        let Some(known) = known else {
            let its = found.groups.iter().filter(|group| group.replica.is_some());
            return Err(Failure::refused(format!(
                "node {} at {at} does not run group {}: it runs {}",
                node.0,
                group.0,
                listed(its.map(|group| group.group))
            ))
            .hint("`groups` in its settings says which groups a node runs"));
        };
        if !known.members.iter().map(|(node, _)| NodeId(*node)).eq(servers.keys().copied()) {
            return Err(Failure::refused(format!(
                "group {} has the nodes {}, and not {}",
                group.0,
                listed(known.members.iter().map(|(node, _)| *node)),
                listed(servers.keys().map(|node| node.0))
            )));
        }
    }
    match reached {
        0 => Err(Failure::new(
            Exit::Unreachable,
            format!("no node of group {} answers, and nothing was changed", group.0),
        )
        .hint("start its nodes first")),
        _ => Ok(()),
    }
}
