//! A snapshot on its way, chunk by chunk as a leader sends it, beside heartbeats: the memory of both sides, and how long
//! the heartbeats take meanwhile.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use raft_core::{
    InstallProgress, InstallSnapshot, LogId, Membership, Message, Round, SnapshotChunk,
    SnapshotMeta, Transport,
};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{Over, Pair, append, memory_mb};
use crate::load;
use crate::measure::Latencies;
use crate::sample::{Missing, Points, Sample};
use crate::suite::Plan;

/// As the driver's default has it.
const CHUNK_BYTES: u64 = 256 << 10;
/// Chunks that are sent and not answered. A leader has one; more make the heartbeats' lot harder.
const CHUNKS: u64 = 8;
const HEARTBEAT: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(30);

/// How much each side's memory grew, in megabytes, and the heartbeats' 99th percentile in milliseconds.
pub(crate) fn measure(plan: &Plan, over: Over) -> Result<Points, Missing> {
    let total: u64 = if plan.quick { 16 << 20 } else { 256 << 20 };
    load::on_one_thread(async {
        let pair = Pair::start(over, Path::new(&plan.dir)).await?;
        connect(&pair).await?;
        let pids = [std::process::id(), pair.far_pid()];
        let mut before = [0.0; 2];
        for (before, pid) in before.iter_mut().zip(pids) {
            // From here on, the kernel keeps the highest.
            std::fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
            *before = memory_mb(pid, "VmRSS")?;
        }
        let (latencies, took) = send(&pair, total).await?;
        let mut grown: f64 = 0.0;
        for (before, pid) in before.into_iter().zip(pids) {
            grown = grown.max(memory_mb(pid, "VmHWM")? - before);
        }
        let p99 = latencies.quantiles().1.ok_or_else(|| io::Error::other("no heartbeats"))?;
        let rate = total as f64 / 1e6 / took.as_secs_f64();
        let name = |what: &str| format!("{} {what}", over.name());
        Ok(Points::from([
            (name("memory"), Sample { rate: Some(rate), ..Sample::amount(grown) }),
            (name("heartbeat"), Sample::amount(p99 / 1e3)),
        ]))
    })?
}

async fn connect(pair: &Pair) -> io::Result<()> {
    let mut inbox = Vec::new();
    for _ in 0..100 {
        pair.transport.send(&mut vec![append(0, None)]);
        let answer = pair.transport.receive(&mut inbox);
        if timeout(Duration::from_millis(100), answer).await.is_ok() {
            return Ok(());
        }
    }
    Err(io::Error::other("the other side does not answer"))
}

async fn send(pair: &Pair, total: u64) -> io::Result<(Latencies, Duration)> {
    let (begun, mut latencies) = (Instant::now(), Latencies::default());
    let (mut sent, mut arrived, mut inbox) = (0, 0, Vec::new());
    let mut beats: Vec<Instant> = Vec::new();
    let mut ticks = interval(HEARTBEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while arrived < total {
        while sent < total && sent - arrived < CHUNKS * CHUNK_BYTES {
            pair.transport.send(&mut vec![chunk(sent, total)]);
            sent += CHUNK_BYTES;
        }
        tokio::select! {
            biased;
            _ = ticks.tick() => {
                beats.push(Instant::now());
                pair.transport.send(&mut vec![append(beats.len() as u64, None)]);
            }
            received = timeout(PATIENCE, pair.transport.receive(&mut inbox)) => {
                if !matches!(received, Ok(Ok(()))) {
                    return Err(io::Error::other("a chunk was lost"));
                }
            }
        }
        for message in inbox.drain(..) {
            match message.message {
                Message::AppendEntriesReply(reply) => {
                    let beat = (reply.round.0 as usize).checked_sub(1);
                    if let Some(at) = beat.and_then(|beat| beats.get(beat)) {
                        latencies.add(at.elapsed());
                    }
                }
                Message::InstallSnapshotReply(reply) => {
                    if let InstallProgress::Receiving { next_offset } = reply.progress {
                        arrived = next_offset;
                    }
                }
                _ => {}
            }
        }
    }
    Ok((latencies, begun.elapsed()))
}

/// One that was not there before, as if it were read from a disk.
fn chunk(offset: u64, total: u64) -> raft_core::Envelope {
    let data = Bytes::from(vec![offset as u8; CHUNK_BYTES as usize]);
    // The other side does not look at it.
    let chunk = SnapshotChunk { offset, total, data, checksum: 0 };
    let meta = SnapshotMeta { last: LogId::ZERO, membership: Membership::default() };
    let install = InstallSnapshot { meta, chunk, round: Round(offset) };
    raft_core::Envelope { message: Message::InstallSnapshot(install), ..append(0, None) }
}
