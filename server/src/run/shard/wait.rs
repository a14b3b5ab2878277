//! `--wait`: how the shards that move do, until they are where they belong.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::time::Duration;

use raft_core::{Address, GroupId};
use raft_transport::split_address;
use shardctrler::{ConfigNumber, Configuration, Moved, ShardId};
use shardkv::Phase;
use tokio::time::{Instant, sleep};

use super::Cluster;
use super::change::named;
use crate::client::{Answers, describe_all};
use crate::exit::{Done, Exit, Failure};
use crate::node::{Replica, Shard, WireRole};
use crate::run::progress::{Track, Tracks};
use crate::units::Span;

/// How often the groups are asked.
const LOOK: Duration = Duration::from_millis(150);
/// A node that takes longer than this is asked again.
const ANSWER: Duration = Duration::from_secs(2);

/// Waits until all that `after` moves has arrived, and has left.
pub(super) async fn wait(
    cluster: &Cluster,
    before: &Configuration,
    after: &Configuration,
    span: Span,
) -> Done {
    let deadline = Instant::now() + span.0;
    let servers = servers(before, after);
    let mut left: BTreeMap<ShardId, Moved> =
        after.moves_since(before).map(|moved| (moved.shard, moved)).collect();
    let mut tracks = Tracks::new(std::io::stderr().is_terminal());
    loop {
        let at = servers.values().flatten().cloned();
        let answers = describe_all(&cluster.caller, at, ANSWER).await;
        let view = View { answers: &answers, number: after.number() };
        left.retain(|shard, moved| {
            let sight = view.of(moved);
            let way = || format!("shard {}: {} -> {}", shard.0, named(moved.from), named(moved.to));
            tracks.show(shard.0, sight.track, way);
            !sight.is_over
        });
        if left.is_empty() {
            tracks.end();
            return Ok(());
        }
        if Instant::now() >= deadline {
            tracks.end();
            let shards = crate::node::listed(left.keys().map(|shard| u64::from(shard.0)));
            return Err(Failure::new(
                Exit::Unreachable,
                format!(
                    "configuration {} is made, and after {span} shards still move: {shards}",
                    after.number()
                ),
            )
            .hint("they go on by themselves; `shardkv status` shows what they wait for"));
        }
        sleep(LOOK).await;
    }
}

/// The nodes of the groups that send and get shards.
fn servers(before: &Configuration, after: &Configuration) -> BTreeMap<GroupId, BTreeSet<Address>> {
    let mut servers: BTreeMap<GroupId, BTreeSet<Address>> = BTreeMap::new();
    for moved in after.moves_since(before) {
        for (config, group) in [(before, moved.from), (after, moved.to)] {
            let Some(group) = group else { continue };
            let known = config.group(group).into_iter().flat_map(|it| it.servers.values());
            let nodes = known.filter_map(|at| split_address(at).ok()).map(|(node, _)| node);
            servers.entry(group).or_default().extend(nodes);
        }
    }
    servers
}

/// What the nodes say at one moment.
struct View<'a> {
    answers: &'a Answers,
    number: ConfigNumber,
}

/// How one shard does.
struct Sight {
    track: Track,
    is_over: bool,
}

impl View<'_> {
    fn of(&self, moved: &Moved) -> Sight {
        let (from, to) =
            (moved.from.map(|it| self.replica(it)), moved.to.map(|it| self.replica(it)));
        let number = self.number.0;
        let held = |replica: &Option<Option<&Replica>>| {
            let replica = replica.as_ref().copied().flatten()?;
            held(replica, moved.shard).filter(|_| replica.configuration == number).copied()
        };
        let (old, new) = (held(&from), held(&to));
        // Whoever is past the configuration had done all of it.
        let has_left = from.is_none_or(|replica| {
            replica.is_some_and(|it| {
                it.configuration > number
                    || (it.configuration == number && (old.is_none() || to.is_none()))
            })
        });
        let has_come = to.is_none_or(|replica| {
            replica.is_some_and(|it| {
                let arrived = new.is_some_and(|shard| shard.phase != Phase::Arriving);
                it.configuration > number || (it.configuration == number && arrived)
            })
        });
        let is_over = has_left && has_come;
        let (keys, there) = new.map_or((0, 0), |shard| (shard.keys, shard.bytes));
        let total = old.map(|shard| shard.bytes);
        let track = match (is_over, old, there) {
            (true, _, bytes) => Track::Over { keys, bytes },
            (false, None, 0) => Track::Waiting,
            (false, _, bytes) => Track::Moving { bytes, total: total.unwrap_or(bytes) },
        };
        Sight { track, is_over }
    }

    /// What the leader of a group says, or else who leads no more and is furthest.
    fn replica(&self, group: GroupId) -> Option<&Replica> {
        let all = self.answers.values().flatten().filter_map(|node| node.group(group.0));
        let replicas = all.filter_map(|group| group.replica.as_ref());
        replicas.max_by_key(|it| (it.role == WireRole::Leader, it.term, it.applied))
    }
}

fn held(replica: &Replica, shard: ShardId) -> Option<&Shard> {
    replica.shards.iter().find(|it| it.shard == shard.0)
}
