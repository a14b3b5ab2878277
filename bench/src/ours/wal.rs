//! The log: batches that the caller's own thread writes and syncs, as raft-engine does it; and 16 groups at
//! once, whose appends one writer takes together whenever the batch before is durable, as the driver does it.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use raft_core::{
    ClusterId, Entry, GroupId, HardState, Incarnation, LogId, LogIndex, NodeId, Payload, Storage,
    StorageError, Term, Write, WriteOp, WriteSeq,
};
use raft_storage::{FileDisk, Identity, Wal, WalOptions};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};

use crate::measure::{Latencies, Meter};
use crate::sample::{Missing, Sample};
use crate::suite::Plan;
use crate::suites::wal::Appends;

const TERM: Term = Term(1);
/// The most appends that the writer takes at once.
const TAKE_MAX: usize = 1024;

/// What one group appends, batch after batch.
struct Appender {
    group: GroupId,
    appends: Appends,
    batches: u64,
    index: u64,
    seq: WriteSeq,
}

impl Appender {
    fn new(group: u64, appends: Appends) -> Self {
        let (group, seq) = (GroupId(group), WriteSeq(1));
        Self { group, appends, batches: 0, index: 0, seq }
    }

    fn write(&mut self, op: WriteOp) -> Write {
        let write = Write { group: self.group, seq: self.seq, op };
        self.seq = self.seq.next();
        write
    }

    fn vote(&mut self) -> Write {
        self.write(WriteOp::HardState(HardState { term: TERM, voted_for: Some(NodeId(1)) }))
    }

    /// The next batch; every so often with a compaction of what is long behind.
    fn next(&mut self) -> Vec<Write> {
        let Appends { batch, entry_bytes, cut_every, keep } = self.appends;
        let entry = |_| {
            self.index += 1;
            let data = vec![self.index as u8; entry_bytes];
            let id = LogId::new(TERM, LogIndex(self.index));
            Entry { id, payload: Payload::Command(data.into()) }
        };
        let entries = (0..batch).map(entry).collect();
        let mut writes = vec![self.write(WriteOp::Append(entries))];
        self.batches += 1;
        if self.batches.is_multiple_of(cut_every) && self.index > keep {
            let upto = LogId::new(TERM, LogIndex(self.index - keep));
            writes.push(self.write(WriteOp::Compact(upto)));
        }
        writes
    }
}

/// Synced appends by `groups` groups; the rate counts entries.
pub(crate) fn measure(plan: &Plan, groups: u64, appends: Appends) -> Result<Sample, Missing> {
    let batch = appends.batch;
    let dir = plan.dir.join(format!("wal-{groups}-{batch}"));
    let appenders = (1..=groups).map(|group| Appender::new(group, appends)).collect();
    let measured = match groups {
        // The worker is for what the log prepares beside its writes.
        1 => Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?
            .block_on(alone(&dir, plan, appenders)),
        // One thread and the disk's, as the server has it.
        _ => Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(together(&dir, plan, appenders)),
    };
    std::fs::remove_dir_all(&dir)?;
    let (sample, latencies) = measured?;
    let rate = sample.rate.map(|rate| rate * batch as f64);
    let cpu_us = sample.cpu_us.map(|cpu| cpu / batch as f64);
    let (p50_us, p99_us) = latencies.quantiles();
    Ok(Sample { rate, cpu_us, p50_us, p99_us, ..sample })
}

async fn open(disk: FileDisk) -> Result<Wal, StorageError> {
    let identity = Identity { cluster: ClusterId(1), node: NodeId(1), incarnation: Incarnation(1) };
    Wal::open(Arc::new(disk), identity, WalOptions::default()).await
}

/// One group; the disk's calls block this thread.
async fn alone(
    dir: &Path,
    plan: &Plan,
    mut appenders: Vec<Appender>,
) -> Result<(Sample, Latencies), Missing> {
    let wal = open(FileDisk::inline(dir)?).await?;
    let appender = &mut appenders[0];
    wal.write(vec![appender.vote()]).await?;
    let start = Instant::now();
    while start.elapsed() < plan.warm {
        wal.write(appender.next()).await?;
    }
    let (meter, mut latencies) = (Meter::of_this_process()?, Latencies::default());
    while meter.elapsed() < plan.measure {
        let sent = Instant::now();
        wal.write(appender.next()).await?;
        latencies.add(sent.elapsed());
    }
    let sample = meter.sample(latencies.len() as u64, Latencies::default())?;
    wal.close().await;
    Ok((sample, latencies))
}

/// An append that waits for the writer, and whom to tell when it is durable.
type Append = (Vec<Write>, oneshot::Sender<()>);

/// A task for each group, and one that writes what they have queued; the disk has a thread of its own.
async fn together(
    dir: &Path,
    plan: &Plan,
    appenders: Vec<Appender>,
) -> Result<(Sample, Latencies), Missing> {
    let wal = open(FileDisk::new(dir)?).await?;
    let (queue, queued) = mpsc::unbounded_channel();
    let writer = tokio::spawn(write_all(wal, queued));
    let start = Instant::now();
    let tasks: Vec<_> = appenders
        .into_iter()
        .map(|appender| tokio::spawn(append(appender, queue.clone(), start, plan.clone())))
        .collect();
    drop(queue);
    tokio::time::sleep(plan.warm).await;
    let meter = Meter::of_this_process()?;
    tokio::time::sleep(plan.measure).await;
    // Without the threads' end in it: they last as long as the runtime.
    let whole = meter.sample(1, Latencies::default())?;
    let mut latencies = Latencies::default();
    for task in tasks {
        latencies.append(task.await??);
    }
    writer.await??;
    let done = latencies.len() as f64;
    let rate = Some(done / plan.measure.as_secs_f64());
    Ok((Sample { rate, cpu_us: whole.cpu_us.map(|cpu| cpu / done), ..whole }, latencies))
}

/// Makes one append after the other until the plan says stop; latencies in the measured time only.
async fn append(
    mut appender: Appender,
    queue: mpsc::UnboundedSender<Append>,
    start: Instant,
    plan: Plan,
) -> Result<Latencies, Missing> {
    let mut latencies = Latencies::default();
    let gone = || Missing::Failed("the writer has ended".to_owned());
    let mut writes = vec![appender.vote()];
    while start.elapsed() < plan.warm + plan.measure {
        let sent = Instant::now();
        writes.append(&mut appender.next());
        let (durable, waiting) = oneshot::channel();
        queue.send((std::mem::take(&mut writes), durable)).map_err(|_| gone())?;
        waiting.await.map_err(|_| gone())?;
        if start.elapsed() > plan.warm {
            latencies.add(sent.elapsed());
        }
    }
    Ok(latencies)
}

/// Group commit: each batch is whatever gathered while the one before was synced.
async fn write_all(
    wal: Wal,
    mut queued: mpsc::UnboundedReceiver<Append>,
) -> Result<(), StorageError> {
    let mut taken = Vec::new();
    while queued.recv_many(&mut taken, TAKE_MAX).await > 0 {
        let (writes, waiting): (Vec<_>, Vec<_>) = taken.drain(..).unzip();
        wal.write(writes.into_iter().flatten().collect()).await?;
        for durable in waiting {
            // An appender that has stopped does not wait any more.
            let _ = durable.send(());
        }
    }
    wal.close().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use raft_core::{Membership, SnapshotMeta};

    use super::*;

    #[tokio::test]
    async fn batches_are_consecutive_and_what_is_long_behind_goes() {
        let dir = std::env::temp_dir().join(format!("bench-wal-{}", std::process::id()));
        let wal = open(FileDisk::inline(&dir).unwrap()).await.unwrap();
        let appends = Appends { batch: 16, entry_bytes: 8, cut_every: 100, keep: 1000 };
        let mut appender = Appender::new(7, appends);
        wal.write(vec![appender.vote()]).await.unwrap();
        for _ in 0..150 {
            wal.write(appender.next()).await.unwrap();
        }
        // What is compacted is in a snapshot: without one the log would not be read again.
        let upto = LogId::new(TERM, LogIndex(100 * 16 - 1000));
        let meta = SnapshotMeta { last: upto, membership: Membership::of_voters([NodeId(1)]) };
        wal.create_snapshot(GroupId(7), meta).await.unwrap().finish().await.unwrap();
        let found = wal.load(GroupId(7)).await.unwrap();
        assert_eq!(found.compacted, upto);
        assert_eq!(found.log.last().unwrap().id.index, LogIndex(150 * 16));
        drop(wal);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
