//! `shardkv shard list` and `shardkv shard query`.

use std::collections::BTreeMap;

use raft_core::GroupId;
use raft_transport::split_address;
use serde::Serialize;
use shardctrler::{ConfigNumber, Configuration};

use super::Cluster;
use super::change::named;
use crate::cli::{ListArgs, QueryArgs};
use crate::exit::Done;
use crate::run::print;
use crate::run::status::{Overview, ranges, size, table};

#[derive(Serialize)]
struct Row {
    shard: u16,
    first_slot: u16,
    last_slot: u16,
    group: Option<u64>,
    pinned: bool,
    /// What its group does with it, if it answers.
    state: Option<&'static str>,
    /// Where it comes from, or goes.
    peer: Option<u64>,
    keys: Option<u64>,
    bytes: Option<u64>,
}

pub(super) async fn list(cluster: &Cluster, args: &ListArgs) -> Done {
    let newest = cluster.newest().await?;
    let overview = Overview::ask(&cluster.connect, &cluster.caller, Some(newest.clone())).await;
    let held = overview.held();
    let count = newest.shard_count();
    let rows = newest.shards().map(|(shard, owner)| {
        let slots = count.slots_of(shard).unwrap_or_default();
        let seen = owner.and_then(|owner| held.get(&(shard.0, owner.0)));
        let elsewhere = held
            .iter()
            .find(|((of, group), _)| *of == shard.0 && owner.is_none_or(|owner| owner.0 != *group));
        let seen = seen.or(elsewhere.map(|(_, seen)| seen));
        Row {
            shard: shard.0,
            first_slot: slots.start,
            last_slot: slots.end.saturating_sub(1),
            group: owner.map(|owner| owner.0),
            pinned: newest.pinned().contains(&shard),
            state: seen.map(|seen| seen.state()),
            peer: seen.and_then(|seen| seen.peer),
            keys: seen.map(|seen| seen.keys),
            bytes: seen.map(|seen| seen.bytes),
        }
    });
    let rows: Vec<Row> = rows.collect();
    print(
        match args.json {
            true => serde_json::to_string(&rows).unwrap_or_default() + "\n",
            false => text(&rows),
        }
        .as_bytes(),
    )
}

fn text(rows: &[Row]) -> String {
    let mut cells = vec![["shard", "slots", "group", "state", "keys", "bytes"].map(str::to_owned)];
    let or_dash = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    for row in rows {
        let mut state = row.state.unwrap_or("-").to_owned();
        if let Some(peer) = row.peer {
            let way = if row.state == Some("arriving") { "from" } else { "to" };
            state.push_str(&format!(" {way} {peer}"));
        }
        if row.pinned {
            state.push_str(", moved by hand");
        }
        cells.push([
            row.shard.to_string(),
            format!("{}-{}", row.first_slot, row.last_slot),
            or_dash(row.group),
            state,
            or_dash(row.keys),
            row.bytes.map_or("-".to_owned(), size),
        ]);
    }
    table(cells.iter().map(|row| row.to_vec()).collect())
}

#[derive(Serialize)]
struct Shown {
    configuration: u64,
    cluster: u64,
    groups: Vec<ShownGroup>,
    /// The owner of each shard.
    shards: Vec<Option<u64>>,
}

#[derive(Serialize)]
struct ShownGroup {
    group: u64,
    weight: u32,
    servers: BTreeMap<u64, String>,
}

pub(super) async fn query(cluster: &Cluster, args: &QueryArgs) -> Done {
    let found = match args.number {
        Some(number) => cluster.numbered(ConfigNumber(number)).await?,
        None => cluster.newest().await?,
    };
    let shown = shown(&found);
    print(
        match args.json {
            true => serde_json::to_string(&shown).unwrap_or_default() + "\n",
            false => text_of(&found, &shown),
        }
        .as_bytes(),
    )
}

fn shown(config: &Configuration) -> Shown {
    let groups = config.groups().iter().map(|(group, of)| ShownGroup {
        group: group.0,
        weight: of.weight,
        servers: of
            .servers
            .iter()
            .map(|(node, at)| {
                let node_at = split_address(at).map_or_else(|_| at.clone(), |(at, _)| at);
                (node.0, node_at.0)
            })
            .collect(),
    });
    Shown {
        configuration: config.number().0,
        cluster: config.cluster().0,
        groups: groups.collect(),
        shards: config.shards().map(|(_, owner)| owner.map(|owner| owner.0)).collect(),
    }
}

fn text_of(config: &Configuration, shown: &Shown) -> String {
    let mut out = format!(
        "configuration {} of cluster {}: {} shards, {} groups\n",
        config.number(),
        shown.cluster,
        shown.shards.len(),
        shown.groups.len()
    );
    for group in &shown.groups {
        let its = config.shards_of(GroupId(group.group)).map(|shard| shard.0);
        let servers: Vec<_> =
            group.servers.iter().map(|(node, at)| format!("{node}={at}")).collect();
        out.push_str(&format!(
            "{} (weight {}): shards {}\n  {}\n",
            named(Some(GroupId(group.group))),
            group.weight,
            ranges(its),
            servers.join(", ")
        ));
    }
    out
}
