//! The status of a sharded cluster.

use serde::Serialize;
use shardctrler::Configuration;

use super::overview::{Overview, Seen, Way};
use super::{ranges, size, table};
use crate::cli::StatusArgs;
use crate::client::{caller, controller, other_mode};
use crate::config::CONTROLLER;
use crate::exit::{Done, Exit, Failure};
use crate::node::WireRole;
use crate::run::print;

#[derive(Serialize)]
struct Status {
    /// `null` when the controller does not answer.
    cluster: Option<u64>,
    configuration: Option<u64>,
    shards: Option<usize>,
    nodes: Vec<Node>,
    groups: Vec<Group>,
    moves: Vec<Move>,
}

#[derive(Serialize)]
struct Node {
    endpoint: String,
    node: Option<u64>,
    reachable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct Group {
    group: u64,
    /// Whether it is a group of the newest configuration. The controller never is.
    joined: bool,
    shards: Vec<u16>,
    leader: Option<u64>,
    replicas: Vec<Replica>,
}

#[derive(Serialize)]
struct Replica {
    node: u64,
    endpoint: String,
    role: &'static str,
    term: u64,
    leader: Option<u64>,
    commit: u64,
    applied: u64,
    last: u64,
    durable: u64,
    /// Entries that the furthest replica has committed and this one has not applied.
    lag: u64,
    configuration: u64,
    keys: u64,
    bytes: u64,
    sessions: u64,
    /// In hexadecimal: JSON's numbers do not reach so far.
    digest: String,
    log_bytes: u64,
    snapshot: Option<u64>,
}

#[derive(Serialize)]
struct Move {
    shard: u16,
    from: u64,
    to: u64,
    frozen: bool,
    bytes: u64,
    bytes_total: u64,
    keys: u64,
    keys_total: u64,
}

pub(super) async fn status(args: StatusArgs) -> Done {
    let caller = caller(&args.connect)?;
    // Half of the time for the controller: without a quorum it does not answer, and the nodes do.
    let half = args.connect.timeout.0 / 2;
    let controller = controller(&args.connect, caller.clone()).with_deadline(half);
    let newest = controller.newest().await.ok();
    let overview = Overview::ask(&args.connect, &caller, newest).await;
    let status = Status::of(&overview);
    print(
        match args.json {
            true => serde_json::to_string(&status).unwrap_or_default() + "\n",
            false => text(&status),
        }
        .as_bytes(),
    )?;
    match status.nodes.iter().any(|node| node.reachable) {
        true => Ok(()),
        false if overview.nodes.values().any(|node| matches!(node, Err(kv::Cause::Protocol))) => {
            Err(Failure::new(Exit::Unreachable, "no node understands what it is asked")
                .hint(other_mode(&args.connect)))
        }
        false => Err(Failure::new(Exit::Unreachable, "no node answers")
            .hint("give the cluster's addresses with --endpoints")),
    }
}

impl Status {
    fn of(overview: &Overview) -> Self {
        let newest = overview.newest.as_ref();
        let node =
            |(endpoint, answer): (&String, &Result<crate::node::Described, kv::Cause>)| Node {
                endpoint: endpoint.clone(),
                node: overview.node_at(endpoint),
                reachable: answer.is_ok(),
                error: answer.as_ref().err().map(ToString::to_string),
            };
        let groups = overview.groups();
        Self {
            cluster: newest.map(|config| config.cluster().0),
            configuration: newest.map(|config| config.number().0),
            shards: newest.map(|config| usize::from(config.shard_count().get())),
            nodes: overview.nodes.iter().map(node).collect(),
            groups: groups.iter().map(|(group, seen)| Group::of(*group, seen, newest)).collect(),
            moves: overview.ways().iter().map(Move::of).collect(),
        }
    }
}

impl Group {
    fn of(group: u64, seen: &[Seen<'_>], newest: Option<&Configuration>) -> Self {
        let furthest = seen.iter().map(|seen| seen.replica.commit).max().unwrap_or(0);
        let leads = seen.iter().filter(|seen| seen.replica.role == WireRole::Leader);
        let id = raft_core::GroupId(group);
        let shards = newest.iter().flat_map(|config| config.shards_of(id)).map(|shard| shard.0);
        Self {
            group,
            joined: newest.is_some_and(|config| config.group(id).is_some()),
            shards: shards.collect(),
            leader: leads.max_by_key(|seen| seen.replica.term).map(|seen| seen.node),
            replicas: seen.iter().map(|seen| Replica::of(seen, furthest)).collect(),
        }
    }
}

impl Replica {
    fn of(seen: &Seen<'_>, furthest: u64) -> Self {
        let it = seen.replica;
        Self {
            node: seen.node,
            endpoint: seen.endpoint.to_owned(),
            role: match it.role {
                WireRole::Follower => "follower",
                WireRole::PreCandidate => "pre-candidate",
                WireRole::Candidate => "candidate",
                WireRole::Leader => "leader",
            },
            term: it.term,
            leader: it.leader,
            commit: it.commit,
            applied: it.applied,
            last: it.last,
            durable: it.durable,
            lag: furthest.saturating_sub(it.applied),
            configuration: it.configuration,
            keys: it.shards.iter().map(|shard| shard.keys).sum(),
            bytes: it.shards.iter().map(|shard| shard.bytes).sum(),
            sessions: it.sessions,
            digest: format!("{:016x}", it.digest),
            log_bytes: it.log_bytes,
            snapshot: it.snapshot,
        }
    }
}

impl Move {
    fn of(way: &Way) -> Self {
        let (keys, bytes) = way.there.map_or((0, 0), |there| (there.keys, there.bytes));
        Self {
            shard: way.shard,
            from: way.from,
            to: way.to,
            frozen: way.frozen,
            bytes,
            bytes_total: way.all.bytes,
            keys,
            keys_total: way.all.keys,
        }
    }
}

const HEADS: [&str; 14] = [
    "group", "node", "endpoint", "role", "term", "commit", "applied", "lag", "config", "keys",
    "sessions", "digest", "log", "snapshot",
];

fn text(status: &Status) -> String {
    let mut out = match (status.cluster, status.configuration, status.shards) {
        (Some(cluster), Some(number), Some(shards)) => {
            format!("cluster {cluster}, configuration #{number}, {shards} shards\n\n")
        }
        _ => "the controller does not answer\n\n".to_owned(),
    };
    let mut cells = vec![HEADS.map(str::to_owned).to_vec()];
    for group in &status.groups {
        cells.extend(group.replicas.iter().map(|replica| cells_of(group.group, replica)));
    }
    out.push_str(&table(cells));
    for node in &status.nodes {
        if let Some(error) = &node.error {
            let name = node.node.map(|node| format!("node {node} at ")).unwrap_or_default();
            out.push_str(&format!("{name}{}: {error}\n", node.endpoint));
        }
    }
    out.push('\n');
    for group in &status.groups {
        let leader = match group.leader {
            Some(node) => format!("node {node} leads"),
            None => "nobody leads".to_owned(),
        };
        let what = match (group.group == CONTROLLER.0, group.joined) {
            (true, _) => "the controller".to_owned(),
            (false, true) => format!("shards {}", ranges(group.shards.iter().copied())),
            (false, false) if status.configuration.is_none() => "shards unknown".to_owned(),
            (false, false) => "has not joined".to_owned(),
        };
        out.push_str(&format!("group {}: {what}; {leader}\n", group.group));
    }
    for it in &status.moves {
        let frozen = if it.frozen { ", frozen" } else { "" };
        let (shard, from, to) = (it.shard, it.from, it.to);
        let (bytes, total) = (size(it.bytes), size(it.bytes_total));
        out.push_str(&format!("shard {shard}: group {from} -> {to}, {bytes} of {total}{frozen}\n"));
    }
    out
}

fn cells_of(group: u64, replica: &Replica) -> Vec<String> {
    vec![
        group.to_string(),
        replica.node.to_string(),
        replica.endpoint.clone(),
        replica.role.to_owned(),
        replica.term.to_string(),
        replica.commit.to_string(),
        replica.applied.to_string(),
        replica.lag.to_string(),
        format!("#{}", replica.configuration),
        replica.keys.to_string(),
        replica.sessions.to_string(),
        replica.digest.clone(),
        size(replica.log_bytes),
        replica.snapshot.map_or("-".to_owned(), |snapshot| snapshot.to_string()),
    ]
}
