//! openraft: three voters in one process, log and state machine in memory, a call instead of a network.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use openraft::{Config, Raft};
use tokio::runtime::{Builder, Runtime};

use super::openraft_store::{Command, Log, Machine, Node, Peers};
use crate::measure::{Latencies, Meter};
use crate::sample::{Missing, Sample};
use crate::suite::Plan;

/// Writes with `writers` tasks that have one write outstanding each, on the better of a current-thread
/// runtime and one with two workers.
pub(crate) fn measure(plan: &Plan, writers: usize, payload: usize) -> Result<Sample, Missing> {
    let one = Builder::new_current_thread().enable_all().build()?;
    let two = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let one = on(one, plan, writers, payload)?;
    let two = on(two, plan, writers, payload)?;
    Ok(if one.rate >= two.rate { one } else { two })
}

fn on(runtime: Runtime, plan: &Plan, writers: usize, payload: usize) -> Result<Sample, Missing> {
    let plan = plan.clone();
    // On a worker of the runtime where it has workers, as a server's tasks are.
    let task = runtime.spawn(async move { load(&plan, writers, payload).await });
    let measured = runtime.block_on(task)?;
    runtime.shutdown_timeout(Duration::from_millis(200));
    measured
}

async fn start() -> Result<Vec<Node>, Missing> {
    let config = Config {
        election_timeout_min: 400,
        election_timeout_max: 1200,
        heartbeat_interval: 100,
        purge_batch_size: 1024,
        max_payload_entries: 1024,
        ..Config::default()
    };
    let (config, peers) = (Arc::new(config.validate()?), Peers::default());
    let mut nodes = Vec::new();
    for id in 0..3 {
        let (log, machine) = (Log::default(), Machine::default());
        let node = Raft::new(id, Arc::clone(&config), peers.clone(), log, machine).await?;
        peers.0.write().unwrap_or_else(PoisonError::into_inner).insert(id, node.clone());
        nodes.push(node);
    }
    nodes[0].initialize(BTreeSet::from([0, 1, 2])).await?;
    let leader = nodes[0].wait(Some(Duration::from_secs(5)));
    leader.applied_index_at_least(Some(1), "leader up").await?;
    Ok(nodes)
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    measuring: AtomicBool,
    done: AtomicU64,
}

/// One closed-loop writer; keeps one latency of eight.
async fn write(
    leader: Node,
    shared: Arc<Shared>,
    payload: usize,
    every: u64,
) -> Result<Latencies, Missing> {
    let (source, mut latencies, mut n) = (vec![0xab; payload], Latencies::default(), 0u64);
    while !shared.stop.load(Relaxed) {
        let sent = Instant::now();
        leader.client_write(Command(Arc::from(&source[..]))).await?;
        if shared.measuring.load(Relaxed) {
            shared.done.fetch_add(1, Relaxed);
            n += 1;
            if n.is_multiple_of(every) {
                latencies.add(sent.elapsed());
            }
        }
    }
    Ok(latencies)
}

async fn load(plan: &Plan, writers: usize, payload: usize) -> Result<Sample, Missing> {
    let nodes = start().await?;
    let shared = Arc::new(Shared::default());
    let every = if writers == 1 { 1 } else { 8 };
    let tasks: Vec<_> = (0..writers)
        .map(|_| tokio::spawn(write(nodes[0].clone(), Arc::clone(&shared), payload, every)))
        .collect();
    tokio::time::sleep(plan.warm).await;
    let meter = Meter::of_this_process()?;
    shared.measuring.store(true, Relaxed);
    tokio::time::sleep(plan.measure).await;
    shared.measuring.store(false, Relaxed);
    let sample = meter.sample(shared.done.load(Relaxed), Latencies::default())?;
    shared.stop.store(true, Relaxed);
    let mut latencies = Latencies::default();
    for task in tasks {
        latencies.append(task.await??);
    }
    for node in nodes {
        node.shutdown().await?;
    }
    let (p50_us, p99_us) = latencies.quantiles();
    Ok(Sample { p50_us, p99_us, ..sample })
}
