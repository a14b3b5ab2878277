//! Changes, and what they move.

use std::collections::BTreeSet;

use raft_core::GroupId;
use serde::Serialize;
use shardctrler::{ConfigNumber, Configuration, Moved, ShardId};

use super::Cluster;
use super::wait::wait;
use crate::cli::{Changing, LeaveArgs, MoveArgs, RebalanceArgs};
use crate::exit::{Done, Failure};
use crate::node::listed;
use crate::run::print;

pub(super) async fn leave(cluster: &Cluster, args: &LeaveArgs) -> Done {
    let leaving: BTreeSet<GroupId> = args.groups.iter().copied().map(GroupId).collect();
    if !args.last {
        let newest = cluster.newest().await?;
        let stays = newest.groups().keys().any(|group| !leaving.contains(group));
        let known = leaving.iter().all(|group| newest.group(*group).is_some());
        if known && !stays {
            return Err(Failure::refused(format!(
                "no group would be left after {}: nobody would serve the shards",
                listed(leaving.iter().map(|group| group.0))
            ))
            .hint("let another group join first; or say --last if that is what you want"));
        }
    }
    let left = cluster.controller.leave(leaving).await;
    tell(cluster, &args.changing, left.map_err(|error| cluster.failure(error))?).await
}

pub(super) async fn move_shard(cluster: &Cluster, args: &MoveArgs) -> Done {
    let moved = cluster.controller.move_shard(ShardId(args.shard), GroupId(args.to)).await;
    tell(cluster, &args.changing, moved.map_err(|error| cluster.failure(error))?).await
}

pub(super) async fn rebalance(cluster: &Cluster, args: &RebalanceArgs) -> Done {
    let weights = args.weights.iter().map(|(group, weight)| (GroupId(*group), *weight));
    let balanced = cluster.controller.rebalance(weights.collect()).await;
    tell(cluster, &args.changing, balanced.map_err(|error| cluster.failure(error))?).await
}

#[derive(Serialize)]
struct Told {
    configuration: u64,
    moves: Vec<ToldMove>,
}

#[derive(Serialize)]
struct ToldMove {
    shard: u16,
    from: Option<u64>,
    to: Option<u64>,
}

/// Says what the configuration that was made moves, and waits for it if that is asked for.
pub(super) async fn tell(cluster: &Cluster, args: &Changing, number: ConfigNumber) -> Done {
    let before = cluster.numbered(ConfigNumber(number.0.saturating_sub(1))).await?;
    let after = cluster.numbered(number).await?;
    let moves: Vec<Moved> = after.moves_since(&before).collect();
    print(
        match args.json {
            true => json(&after, &moves),
            false => text(&after, &moves),
        }
        .as_bytes(),
    )?;
    match args.wait {
        Some(span) => wait(cluster, &before, &after, span).await,
        None => Ok(()),
    }
}

fn json(after: &Configuration, moves: &[Moved]) -> String {
    let moves = moves.iter().map(|moved| ToldMove {
        shard: moved.shard.0,
        from: moved.from.map(|group| group.0),
        to: moved.to.map(|group| group.0),
    });
    let told = Told { configuration: after.number().0, moves: moves.collect() };
    serde_json::to_string(&told).unwrap_or_default() + "\n"
}

/// One line for each way from a group to another.
fn text(after: &Configuration, moves: &[Moved]) -> String {
    let mut out = format!("configuration {}: ", after.number());
    out.push_str(&match moves.len() {
        0 => "no shard moves\n".to_owned(),
        1 => "1 shard moves\n".to_owned(),
        count => format!("{count} shards move\n"),
    });
    let ways: BTreeSet<_> = moves.iter().map(|moved| (moved.from, moved.to)).collect();
    for (from, to) in ways {
        let on_way = moves.iter().filter(|moved| (moved.from, moved.to) == (from, to));
        let shards = listed(on_way.map(|moved| u64::from(moved.shard.0)));
        out.push_str(&format!("  {} -> {}: {shards}\n", named(from), named(to)));
    }
    out
}

/// A group in messages.
pub(super) fn named(group: Option<GroupId>) -> String {
    group.map_or("nobody".to_owned(), |group| format!("group {}", group.0))
}
