//! A node that does not read: what is for it is dropped in the end, and nobody waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use raft_core::{Message, Payload};

use super::bench::{Bench, Flaw, flaw, part};
use super::messages::append;
use super::{Endpoints, TransportKit, TransportProperty as Property, TransportReport, Verdict};

const COMMAND_BYTES: usize = 32 << 10;
/// So many messages are sent at a time.
const BATCH: u64 = 16;

pub(super) fn check<E: Endpoints>(
    kit: &TransportKit,
    make: &impl Fn() -> E,
    report: &mut TransportReport,
) -> Verdict<()> {
    part(kit, make(), "a node that does not read", report, flood)
}

/// A command that is counted for as long as somebody holds it.
struct Counted {
    data: Vec<u8>,
    held: Arc<AtomicU64>,
}

impl Counted {
    fn make(number: u64, held: &Arc<AtomicU64>) -> Bytes {
        let mut data = vec![7; COMMAND_BYTES];
        data[..8].copy_from_slice(&number.to_le_bytes());
        held.fetch_add(data.len() as u64, Ordering::Relaxed);
        Bytes::from_owner(Self { data, held: Arc::clone(held) })
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.held.fetch_sub(self.data.len() as u64, Ordering::Relaxed);
    }
}

async fn flood<E: Endpoints>(bench: &mut Bench<E>) -> Result<(), Flaw> {
    bench.all_talk(&bench.all(), Property::Delivers).await?;
    let (held, mut number) = (Arc::new(AtomicU64::new(0)), 0);
    let max = bench.kit.held_bytes_max;
    let mut flooded = 0;
    while flooded < 2 * max {
        let mut messages = Vec::new();
        for _ in 0..BATCH {
            number += 1;
            messages.push(append(1, 2, number, Counted::make(number, &held)));
        }
        bench.send(1, messages)?;
        flooded += BATCH * COMMAND_BYTES as u64;
        tokio::time::sleep(Duration::from_millis(10)).await;
        let now = held.load(Ordering::Relaxed);
        if now > max {
            let detail = format!("{now} bytes of commands alone, of {flooded} that were sent");
            return Err(flaw(Property::Bounded, detail));
        }
    }
    // Meanwhile the others are served.
    bench.all_talk(&[1, 3], Property::Independent).await?;
    let arrived = drain(bench).await?;
    bench.report.flooded_bytes += flooded;
    bench.report.held_bytes += arrived;
    if arrived > max {
        let detail = format!("{arrived} of {flooded} bytes arrived when it read at last");
        return Err(flaw(Property::Bounded, detail));
    }
    bench.all_talk(&bench.all(), Property::Recovers).await
}

/// Reads what was held for node 2.
async fn drain<E: Endpoints>(bench: &mut Bench<E>) -> Result<u64, Flaw> {
    let mut bytes = 0;
    loop {
        let arrived = bench.receive(2, bench.kit.patience / 10).await?;
        if arrived.is_empty() {
            return Ok(bytes);
        }
        for message in &arrived {
            let Message::AppendEntries(append) = &message.message else { continue };
            let commands = append.entries.iter().map(|entry| match &entry.payload {
                Payload::Command(command) => command.len() as u64,
                _ => 0,
            });
            bytes += commands.sum::<u64>();
        }
    }
}
