//! Clients that write to one shard at a steady rate, and the longest time in which no put was done.
//!
//! Each client has one put in flight at a time and is due to begin one each so often, whatever became of the one
//! before; a latency counts from when the put was due. So a shard that stands still for a while shows in all the
//! puts that were due meanwhile, and a load that is not the most that the nodes can do shows what a move does,
//! and not what a full machine does.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::measure::Latencies;
use crate::sample::Missing;

/// Bytes of a value.
pub(super) const VALUE: [u8; 64] = [b'v'; 64];
/// How often a client is due to put.
const EVERY: Duration = Duration::from_millis(8);

/// Keys of one shard: they have its tag in common.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) tag: String,
    pub(super) count: u64,
}

impl Keys {
    pub(super) fn key(&self, n: u64) -> Vec<u8> {
        format!("{{{}}}{:08x}", self.tag, n % self.count).into_bytes()
    }

    /// Puts all of them, in batches.
    pub(super) async fn fill(&self, clerk: &shardkv::Clerk) -> Result<(), Missing> {
        const BATCH: u64 = 100;
        const AT_ONCE: usize = 8;
        let mut batches = tokio::task::JoinSet::new();
        for first in (0..self.count).step_by(BATCH as usize) {
            if batches.len() == AT_ONCE {
                done(batches.join_next().await)?;
            }
            let (keys, clerk) = (self.clone(), clerk.clone());
            batches.spawn_local(async move {
                let numbers = first..(first + BATCH).min(keys.count);
                let keys: Vec<Vec<u8>> = numbers.map(|n| keys.key(n)).collect();
                let ops: Vec<kv::Op<'_>> =
                    keys.iter().map(|key| kv::Op::Put { key, value: &VALUE }).collect();
                clerk.batch(&ops).await.map(drop)
            });
        }
        while !batches.is_empty() {
            done(batches.join_next().await)?;
        }
        Ok(())
    }
}

type Joined = Option<Result<Result<(), shardkv::ClerkError>, tokio::task::JoinError>>;

fn done(joined: Joined) -> Result<(), Missing> {
    joined.transpose()?.transpose()?;
    Ok(())
}

/// What was done since the last look.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) latencies: Latencies,
    /// The longest time between one put that was done and the next, whoever's.
    pub(super) pause: Duration,
}

struct Pulse {
    seen: Seen,
    last: Instant,
    stop: bool,
    error: Option<String>,
}

/// Clients at work.
pub(super) struct Writers {
    pulse: Rc<RefCell<Pulse>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Writers {
    /// So many clients begin, evenly apart. Within a [`tokio::task::LocalSet`] only.
    pub(super) fn start(clerks: &[shardkv::Clerk], count: usize, keys: &Keys) -> Self {
        let (seen, last) = (Seen::default(), Instant::now());
        let pulse = Rc::new(RefCell::new(Pulse { seen, last, stop: false, error: None }));
        let one = |n: usize| {
            let (clerk, keys) = (clerks[n % clerks.len()].clone(), keys.clone());
            let due = last + EVERY * n as u32 / count as u32;
            tokio::task::spawn_local(write(clerk, keys, n as u64, due, Rc::clone(&pulse)))
        };
        Self { tasks: (0..count).map(one).collect(), pulse }
    }

    /// What was done since this was called last. A pause that is not over counts as far as it is.
    pub(super) fn look(&self) -> Seen {
        let mut pulse = self.pulse.borrow_mut();
        let mut seen = std::mem::take(&mut pulse.seen);
        seen.pause = seen.pause.max(pulse.last.elapsed());
        pulse.last = Instant::now();
        seen
    }

    /// They end when the calls in flight have.
    pub(super) async fn stop(self) -> Result<(), Missing> {
        self.pulse.borrow_mut().stop = true;
        for task in self.tasks {
            task.await?;
        }
        let error = self.pulse.borrow_mut().error.take();
        error.map_or(Ok(()), |error| Err(Missing::Failed(format!("a put failed: {error}"))))
    }
}

async fn write(
    clerk: shardkv::Clerk,
    keys: Keys,
    n: u64,
    mut due: Instant,
    pulse: Rc<RefCell<Pulse>>,
) {
    let mut at = n * 7919;
    while !pulse.borrow().stop {
        tokio::time::sleep_until(due.into()).await;
        let done = clerk.put(&keys.key(at), &VALUE).await;
        // A prime step visits all keys, and none twice in a row.
        at += 104_729;
        let mut pulse = pulse.borrow_mut();
        match done {
            Ok(_) => {
                let since = pulse.last.elapsed();
                pulse.seen.pause = pulse.seen.pause.max(since);
                pulse.seen.latencies.add(due.elapsed());
                pulse.last = Instant::now();
            }
            Err(error) => {
                pulse.error = Some(error.to_string());
                pulse.stop = true;
            }
        }
        due += EVERY;
    }
}
