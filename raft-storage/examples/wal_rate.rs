//! How fast the log makes batches durable: `cargo run --release -p raft-storage --example wal_rate -- DIR`.

use std::sync::Arc;
use std::time::Duration;

use raft_core::{
    ClusterId, Entry, GroupId, HardState, Incarnation, LogId, LogIndex, NodeId, Payload, Storage,
    StorageError, Term, Write, WriteOp, WriteSeq,
};
use raft_storage::{FileDisk, Identity, Wal, WalOptions};
use tokio::time::Instant;

const GROUP: GroupId = GroupId(1);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::env::args().nth(1).ok_or("usage: wal_rate DIR")?;
    let identity = Identity { cluster: ClusterId(1), node: NodeId(1), incarnation: Incarnation(1) };
    let wal = Wal::open(Arc::new(FileDisk::inline(root)?), identity, WalOptions::default()).await?;
    let state = HardState { term: Term(1), voted_for: None };
    wal.write(vec![Write { group: GROUP, seq: WriteSeq(1), op: WriteOp::HardState(state) }])
        .await?;
    let mut index = 0;
    // The first round fills segments for the later ones to recycle.
    for batch in [256, 1, 16, 256] {
        measure(&wal, batch, &mut index).await?;
    }
    Ok(())
}

async fn measure(wal: &Wal, batch: u64, index: &mut u64) -> Result<(), StorageError> {
    let payload = bytes::Bytes::from(vec![7; 256]);
    let mut micros = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(2) {
        let one = Instant::now();
        let entries = (*index + 1..=*index + batch).map(|at| Entry {
            id: LogId::new(Term(1), LogIndex(at)),
            payload: Payload::Command(payload.clone()),
        });
        let mut ops = vec![WriteOp::Append(entries.collect())];
        // What a node with a snapshot far behind does.
        if *index > 20_000 {
            ops.push(WriteOp::Compact(LogId::new(Term(1), LogIndex(*index - 20_000))));
        }
        let writes = ops.into_iter().map(|op| Write { group: GROUP, seq: WriteSeq(1), op });
        wal.write(writes.collect()).await?;
        *index += batch;
        micros.push(one.elapsed().as_micros());
    }
    let seconds = begin.elapsed().as_secs_f64();
    micros.sort_unstable();
    let rate = micros.len() as f64 / seconds;
    let (p50, p99) = (micros[micros.len() / 2], micros[micros.len() * 99 / 100]);
    println!(
        "batch {batch:>3}: {rate:>6.0}/s, {:>8.0} entries/s, p50 {p50} us, p99 {p99} us",
        rate * batch as f64
    );
    Ok(())
}
