//! Shards that move under load, between groups that share their processes and disks.

mod fleet;
mod writers;

use std::future::Future;
use std::time::{Duration, Instant};

use shardctrler::{Configuration, ShardId};

use fleet::{FIRST, Fleet, SECOND};
use writers::{Keys, Seen, Writers};

use super::memory::resident_mb;
use crate::load;
use crate::measure::Latencies;
use crate::sample::{Measured, Missing, Points, Sample};
use crate::suite::Plan;

/// Clients of the shard that moves, and of another that does not.
const CLIENTS: usize = 64;
const OTHERS: usize = 16;
/// Clients that put as fast as they can, to see what one group bears and what two do: enough that neither waits
/// for them.
const BUSY: usize = 256;
/// How often one group and two are measured, in turns.
const TURNS: usize = 3;
/// How often the shards go to the other group and come back.
const SMALL_TRIPS: usize = 2;
const LARGE_TRIPS: usize = 4;
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

/// One group and two, in turns, and the time until the second serves. One node leads both: there they share
/// all that a group has to itself otherwise, its loop, its disk and its connections.
async fn join(
    fleet: &mut Fleet,
    clerks: &[shardkv::Clerk],
    plan: &Plan,
    points: &mut Points,
) -> Result<Configuration, Missing> {
    fleet.together(&clerks[0]).await?;
    fleet.join(FIRST).await?;
    let mut config = fleet.settle(&clerks[0]).await?;
    let (mut ratios, mut joins) = (Vec::new(), Vec::new());
    let turns = if plan.quick { 1 } else { TURNS };
    for turn in 1..=turns {
        let one = throughput(fleet, clerks, plan).await?;
        let begun = Instant::now();
        fleet.join(SECOND).await?;
        while !fleet.serves(&clerks[0], SECOND).await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        joins.push(begun.elapsed().as_secs_f64() * 1e3);
        config = fleet.settle(&clerks[0]).await?;
        let two = throughput(fleet, clerks, plan).await?;
        ratios.push(two.rate.unwrap_or_default() / one.rate.unwrap_or(f64::INFINITY));
        points.insert("one group".into(), one);
        points.insert("two groups".into(), two);
        if turn < turns {
            fleet.leave(SECOND).await?;
            fleet.settle(&clerks[0]).await?;
        }
    }
    points.insert("two over one".into(), Sample::amount(median(ratios)));
    points.insert("join".into(), Sample::amount(median(joins)));
    Ok(config)
}

/// Puts to all shards.
async fn throughput(
    fleet: &Fleet,
    clerks: &[shardkv::Clerk],
    plan: &Plan,
) -> Result<Sample, Missing> {
    let all: Vec<Everywhere> = clerks.iter().cloned().map(Everywhere).collect();
    Ok(load::closed_loop(&all, BUSY, &fleet.pids(), plan).await?)
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

/// A small shard and a large one go to the second group and come back, again and again, each under load.
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
    // Both groups have had it once: what each keeps of its log is there before as well.
    trips(fleet, clerks, &large, &other, 1, plan).await?;
    let before = held(fleet, &clerks[0]).await?;
    let one = trips(fleet, clerks, &small, &other, SMALL_TRIPS, plan).await?;
    let two = trips(fleet, clerks, &large, &other, LARGE_TRIPS, plan).await?;
    let after = held(fleet, &clerks[0]).await?;
    for (name, it) in [("small", &one), ("large", &two)] {
        points.insert(format!("{name}: pause"), Sample::amount(it.pause));
        points.insert(format!("{name}: pause without"), Sample::amount(it.pause_without));
        points.insert(format!("{name}: move"), Sample::amount(it.took));
        points.insert(format!("{name}: others' p99 during over without"), Sample::amount(it.p99));
    }
    points.insert("large pause over small".into(), Sample::amount(two.pause / one.pause));
    points.insert("others' p99".into(), Sample::amount(two.p99));
    points.insert("state after over before".into(), Sample::amount(after.0 / before.0));
    points.insert("resident after over before".into(), Sample::amount(after.1 / before.1));
    Ok(())
}

/// What moves of a shard did to the writers: medians over the moves, but for the quantile. Times in milliseconds.
struct Trips {
    /// The longest time in which no put of the shard was done.
    pause: f64,
    /// The same in a time of the same length without a move.
    pause_without: f64,
    /// From the change of the configuration until all is where it belongs.
    took: f64,
    /// Of puts to another shard: the 99th percentile during all moves over that without any. A quantile of each
    /// move would rest on a few puts, and a snapshot that falls into a time without a move would turn it over.
    p99: f64,
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A shard goes there and back so often. Before each move the writers are watched for as long without one.
async fn trips(
    fleet: &mut Fleet,
    clerks: &[shardkv::Clerk],
    keys: &Keys,
    other: &Keys,
    trips: usize,
    plan: &Plan,
) -> Result<Trips, Missing> {
    let shard = fleet.controller().newest().await?.shard_of(&keys.key(0));
    let writers = [Writers::start(clerks, CLIENTS, keys), Writers::start(clerks, OTHERS, other)];
    tokio::time::sleep(plan.warm).await;
    let [mut pause, mut pause_without, mut took] = [const { Vec::new() }; 3];
    let (mut others_during, mut others_at_rest) = (Latencies::default(), Latencies::default());
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    for to in [SECOND, FIRST].into_iter().cycle().take(2 * trips) {
        let [without, others_without] = watch(&writers, plan, async { Ok(()) }).await?;
        let begun = Instant::now();
        let [during, others] = watch(&writers, plan, async {
            fleet.controller().move_shard(shard, to).await?;
            fleet.settle(&clerks[0]).await?;
            took.push(millis(begun.elapsed()));
            Ok(())
        })
        .await?;
        pause.push(millis(during.pause));
        pause_without.push(millis(without.pause));
        others_during.append(others.latencies);
        others_at_rest.append(others_without.latencies);
    }
    for writers in writers {
        writers.stop().await?;
    }
    let p99 = |all: Latencies| all.quantiles().1.unwrap_or(f64::NAN);
    let p99 = p99(others_during) / p99(others_at_rest);
    let [pause, pause_without, took] = [pause, pause_without, took].map(median);
    Ok(Trips { pause, pause_without, took, p99 })
}

/// What the writers do while something happens, and in any case for as long as the plan has it: of every length
/// the longest pause is another.
async fn watch(
    writers: &[Writers; 2],
    plan: &Plan,
    happens: impl Future<Output = Result<(), Missing>>,
) -> Result<[Seen; 2], Missing> {
    drop(writers.each_ref().map(Writers::look));
    let (_, happened) = tokio::join!(tokio::time::sleep(plan.measure), happens);
    happened?;
    Ok(writers.each_ref().map(Writers::look))
}
