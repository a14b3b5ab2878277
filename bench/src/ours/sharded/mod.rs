//! Shards that move under load, between groups that share their processes and disks.

mod fleet;
mod writers;

use std::time::{Duration, Instant};

use shardctrler::{Configuration, ShardId};

use fleet::{FIRST, Fleet, SECOND};
use writers::{Keys, Writers};

use super::memory::resident_mb;
use crate::load;
use crate::measure::Latencies;
use crate::sample::{Measured, Missing, Points, Sample};
use crate::suite::Plan;

/// Clients of the shard that moves, and of another that does not.
const CLIENTS: usize = 64;
const OTHERS: usize = 16;
/// Keys of the small shard; the large one has two hundred times as many.
const SMALL: u64 = 1000;
const LARGE: u64 = 200_000;

pub(crate) fn measure(plan: &Plan) -> Measured {
    load::on_one_thread(async {
        let mut fleet = Fleet::start(&plan.dir)?;
        let clerks: Vec<shardkv::Clerk> = (10..14).map(|seed| fleet.clerk(seed)).collect();
        let mut points = Points::new();
        let config = join(&mut fleet, &clerks, plan, &mut points).await?;
        moves(&mut fleet, &clerks, &config, plan, &mut points).await?;
        Ok(points)
    })?
}

/// One group, then two, and the time until the second serves.
async fn join(
    fleet: &mut Fleet,
    clerks: &[shardkv::Clerk],
    plan: &Plan,
    points: &mut Points,
) -> Result<Configuration, Missing> {
    fleet.join(FIRST).await?;
    fleet.settle(&clerks[0]).await?;
    let one = throughput(fleet, clerks, plan).await?;
    let begun = Instant::now();
    fleet.join(SECOND).await?;
    while !fleet.serves(&clerks[0], SECOND, None).await {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let served = begun.elapsed();
    let config = fleet.settle(&clerks[0]).await?;
    let two = throughput(fleet, clerks, plan).await?;
    let ratio = two.rate.unwrap_or_default() / one.rate.unwrap_or(f64::INFINITY);
    points.insert("one group".into(), one);
    points.insert("two groups".into(), two);
    points.insert("two over one".into(), Sample::amount(ratio));
    points.insert("join".into(), Sample::amount(served.as_secs_f64() * 1e3));
    Ok(config)
}

/// Puts to all shards.
async fn throughput(
    fleet: &Fleet,
    clerks: &[shardkv::Clerk],
    plan: &Plan,
) -> Result<Sample, Missing> {
    let all: Vec<Everywhere> = clerks.iter().cloned().map(Everywhere).collect();
    Ok(load::closed_loop(&all, CLIENTS, &fleet.pids(), plan).await?)
}

#[derive(Clone)]
struct Everywhere(shardkv::Clerk);

impl load::Put for Everywhere {
    async fn put(&self, key: bytes::Bytes, value: bytes::Bytes) -> Result<(), String> {
        self.0.put(&key, &value).await.map(drop).map_err(|error| error.to_string())
    }
}

/// Keys of a shard that is with the first group.
fn keys_of(config: &Configuration, shard: ShardId, count: u64) -> Keys {
    let tags = (0u64..).map(|n| format!("t{n}"));
    let mut of_shard = tags.filter(|tag| config.shard_of(tag.as_bytes()) == shard);
    Keys { tag: of_shard.next().unwrap_or_default(), count }
}

/// What all nodes hold together.
async fn held(fleet: &Fleet, clerk: &shardkv::Clerk) -> Result<(f64, f64), Missing> {
    let mut resident = 0.0;
    for pid in fleet.pids() {
        resident += resident_mb(pid)?;
    }
    Ok((fleet.state_bytes(clerk).await? as f64, resident))
}

/// A small shard and a large one go to the second group and back, each under load.
async fn moves(
    fleet: &mut Fleet,
    clerks: &[shardkv::Clerk],
    config: &Configuration,
    plan: &Plan,
    points: &mut Points,
) -> Result<(), Missing> {
    let mut shards = config.shards_of(FIRST);
    let mut next = || shards.next().ok_or(Missing::Failed("the group has too few shards".into()));
    let (small, large, other) = (next()?, next()?, next()?);
    let small = keys_of(config, small, SMALL);
    let large = keys_of(config, large, if plan.quick { 10 * SMALL } else { LARGE });
    let other = keys_of(config, other, SMALL);
    for keys in [&small, &large, &other] {
        keys.fill(&clerks[0]).await?;
    }
    let before = held(fleet, &clerks[0]).await?;
    let one = moved(fleet, clerks, &small, &other, plan).await?;
    let two = moved(fleet, clerks, &large, &other, plan).await?;
    let after = held(fleet, &clerks[0]).await?;
    for (name, it) in [("small", &one), ("large", &two)] {
        let millis = |time: Duration| Sample::amount(time.as_secs_f64() * 1e3);
        points.insert(format!("{name}: pause"), millis(it.pause));
        points.insert(format!("{name}: pause without"), millis(it.pause_without));
        points.insert(format!("{name}: move"), millis(it.took));
        points.insert(format!("{name}: others' p99 during over without"), Sample::amount(it.p99));
    }
    let pauses = two.pause.as_secs_f64() / one.pause.as_secs_f64();
    points.insert("large pause over small".into(), Sample::amount(pauses));
    points.insert("others' p99".into(), Sample::amount(two.p99));
    points.insert("state after over before".into(), Sample::amount(after.0 / before.0));
    points.insert("resident after over before".into(), Sample::amount(after.1 / before.1));
    Ok(())
}

/// What a move did to the writers.
struct MoveSeen {
    /// The longest time in which no put of the shard was done.
    pause: Duration,
    /// The same in the time before.
    pause_without: Duration,
    /// From the change of the configuration until all is where it belongs.
    took: Duration,
    /// Of puts to another shard: the 99th percentile during the move over that before.
    p99: f64,
}

async fn moved(
    fleet: &mut Fleet,
    clerks: &[shardkv::Clerk],
    keys: &Keys,
    other: &Keys,
    plan: &Plan,
) -> Result<MoveSeen, Missing> {
    let shard = fleet.controller().newest().await?.shard_of(&keys.key(0));
    let (busy, others) =
        (Writers::start(clerks, CLIENTS, keys), Writers::start(clerks, OTHERS, other));
    tokio::time::sleep(plan.warm).await;
    drop((busy.look(), others.look()));
    tokio::time::sleep(plan.measure).await;
    let without = (busy.look(), others.look());

    let begun = Instant::now();
    fleet.controller().move_shard(shard, SECOND).await?;
    while !fleet.serves(&clerks[0], SECOND, Some(shard)).await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    fleet.settle(&clerks[0]).await?;
    let took = begun.elapsed();
    // The writers find the new owner; and a quantile needs something to be of.
    tokio::time::sleep((plan.measure / 4).saturating_sub(took).max(plan.warm)).await;
    let during = (busy.look(), others.look());
    busy.stop().await?;
    others.stop().await?;
    let p99 = |latencies: Latencies| latencies.quantiles().1.unwrap_or(f64::NAN);
    Ok(MoveSeen {
        pause: during.0.pause,
        pause_without: without.0.pause,
        took,
        p99: p99(during.1.latencies) / p99(without.1.latencies),
    })
}
