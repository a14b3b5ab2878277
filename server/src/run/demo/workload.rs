//! What the demonstration keeps doing: each lane writes its key again and again and reads it back, so that a
//! write that was confirmed and is not there shows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::cli::Connect;
use crate::client::{Clerk, clerk};
use crate::exit::Failure;

/// Lanes: more than there are shards, so that both groups have some.
const LANES: u64 = 32;
/// A lane's pause after each round: the machine is for whoever tries things out.
const PAUSE: Duration = Duration::from_millis(100);

/// What came of it so far.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) confirmed: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) unanswered: AtomicU64,
    pub(super) slowest_ms: AtomicU64,
}

/// Runs until it is dropped.
pub(super) fn start(connect: &Connect) -> Result<(Arc<Counts>, JoinSet<()>), Failure> {
    let (counts, clerk) = (Arc::new(Counts::default()), clerk(connect, LANES as usize)?);
    let lanes = (0..LANES).map(|number| lane(number, clerk.clone(), counts.clone())).collect();
    Ok((counts, lanes))
}

async fn lane(number: u64, clerk: Clerk, counts: Arc<Counts>) {
    let key = format!("demo/{number}");
    for round in 0_u64.. {
        let (value, begun) = (round.to_string(), Instant::now());
        match clerk.put(key.as_bytes(), value.as_bytes()).await {
            Ok(_) => {
                counts.confirmed.fetch_add(1, Ordering::Relaxed);
                let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                counts.slowest_ms.fetch_max(took, Ordering::Relaxed);
                let found = clerk.get(key.as_bytes()).await;
                let is_there = found.is_ok_and(|found| match found {
                    Some(found) => found.value[..] == *value.as_bytes(),
                    None => false,
                });
                counts.lost.fetch_add(u64::from(!is_there), Ordering::Relaxed);
            }
            Err(_) => _ = counts.unanswered.fetch_add(1, Ordering::Relaxed),
        }
        sleep(PAUSE).await;
    }
}

impl Counts {
    /// In one line; the slowest is that since the last time.
    pub(super) fn line(&self) -> String {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let slowest = self.slowest_ms.swap(0, Ordering::Relaxed);
        let mut line = format!(
            "workload    {} writes confirmed, {} lost, slowest {slowest} ms",
            read(&self.confirmed),
            read(&self.lost)
        );
        match read(&self.unanswered) {
            0 => {}
            unanswered => line.push_str(&format!(", {unanswered} without an answer")),
        }
        line
    }
}
