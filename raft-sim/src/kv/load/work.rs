//! What one client does until it is told that the trouble is over, and what it does then.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kv::{Cause, ClerkError, Expect, Op, Scan, SwapOutcome};
use raft_core::LogIndex;

use super::{KvLoad, VALUE_BYTES_MAX};
use crate::kv::{Calls, SimClerk};

/// What all clients of a run share.
#[derive(Default)]
pub(super) struct Board {
    calm: AtomicBool,
    state: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    counts: BTreeMap<&'static str, u64>,
    /// The call that each client has in flight.
    doing: BTreeMap<String, &'static str>,
}

impl Board {
    fn state(&self) -> MutexGuard<'_, Notes> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn calm(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    pub(super) fn count(&self, what: &'static str) {
        *self.state().counts.entry(what).or_default() += 1;
    }

    pub(super) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.state().counts.clone()
    }

    /// What these clients wait for.
    pub(super) fn doing(&self, clients: &[String]) -> Vec<String> {
        let state = self.state();
        let of = |client: &String| state.doing.get(client).copied().unwrap_or("nothing");
        clients.iter().map(|client| format!("{client}: {}", of(client))).collect()
    }
}

/// The work of one life of a client.
pub(super) struct Work {
    /// No other life of any client has it.
    pub(super) name: String,
    pub(super) keys: Vec<usize>,
    pub(super) load: KvLoad,
    pub(super) rng: fastrand::Rng,
    pub(super) board: Arc<Board>,
}

/// Works until the trouble is over; then writes and reads once.
pub(super) async fn work<C: Calls>(clerk: SimClerk<C>, work: Work) {
    let mut at = Worker { clerk, work, versions: BTreeMap::new(), written: 0 };
    while !at.work.board.calm.load(Ordering::Relaxed) {
        let what = at.draw();
        at.work.board.state().doing.insert(at.work.name.clone(), what);
        let result = at.act(what).await;
        at.note(what, result);
        at.pause().await;
    }
    // Whatever the deadline was: these are to be done.
    let Worker { clerk, work, .. } = at;
    let Work { board, name, keys, load, .. } = work;
    let mut clerk = clerk.with_deadline(Duration::from_secs(3600));
    let key = load.key(keys[0]);
    board.state().doing.insert(name.clone(), "the last write");
    let written = clerk.append(&key, format!("{name}.last;")).await;
    board.state().doing.insert(name, "the last read");
    let read = clerk.get(&key).await;
    if matches!(written, Ok(_) | Err(ClerkError::Refused(_))) && read.is_ok() {
        board.count("clients done");
    }
}

struct Worker<C> {
    clerk: SimClerk<C>,
    work: Work,
    /// The versions that the client was last told.
    versions: BTreeMap<String, Option<LogIndex>>,
    written: u64,
}

impl<C: Calls> Worker<C> {
    fn draw(&mut self) -> &'static str {
        match self.work.rng.u32(0..100) {
            ..30 => "get",
            30..50 => "put",
            50..72 => "append",
            72..84 => "cas",
            84..90 => "delete",
            90..95 => "batch",
            95..98 => "scan",
            _ => "idle",
        }
    }

    fn key(&mut self) -> String {
        let keys = &self.work.keys;
        self.work.load.key(keys[self.work.rng.usize(0..keys.len())])
    }

    /// A value that nobody else writes, if it has room to say so.
    fn value(&mut self) -> Vec<u8> {
        self.written += 1;
        let name = format!("{}.{};", self.work.name, self.written);
        let (rng, max) = (&mut self.work.rng, self.work.load.value_bytes_max);
        let len = match max {
            0 => 0,
            1000.. if rng.u32(0..100) == 0 => VALUE_BYTES_MAX,
            _ => (max as f64).powf(rng.f64()) as u64,
        };
        // Half of the empty ones.
        if len == 0 && rng.bool() {
            return Vec::new();
        }
        let mut value = name.into_bytes();
        let len = value.len().max(len as usize);
        value.resize(len, b'-');
        value
    }

    async fn act(&mut self, what: &'static str) -> Result<(), ClerkError<C::Refusal>> {
        let key = self.key();
        match what {
            "get" => {
                let found = self.clerk.get(&key).await?;
                self.versions.insert(key, found.map(|found| found.version));
            }
            "put" => {
                let value = self.value();
                let version = self.clerk.put(&key, value).await?;
                self.versions.insert(key, Some(version));
            }
            "append" => {
                let value = self.value();
                let appended = self.clerk.append(&key, value).await?;
                self.versions.insert(key, Some(appended.index));
            }
            "delete" => {
                self.clerk.delete(&key).await?;
                self.versions.insert(key, None);
            }
            "cas" => self.compare_and_set(key).await?,
            "batch" => self.batch().await?,
            "scan" => {
                let limit = self.work.rng.u32(1..=8);
                // Unknown where the key is: nothing is asked for.
                if let Some(part) = self.clerk.part_of(&key) {
                    let scan = Scan::range(key, None).limit(limit);
                    self.clerk.scan_part(part, &scan).await?;
                }
            }
            _ => {
                // Past the life of a session, if that is short.
                let ttl = self.work.load.session_ttl.min(Duration::from_secs(5));
                tokio::time::sleep(ttl.mul_f64(2.0 * self.work.rng.f64())).await;
            }
        }
        Ok(())
    }

    /// By the version that the client knows, right or not; or by there being nothing.
    async fn compare_and_set(&mut self, key: String) -> Result<(), ClerkError<C::Refusal>> {
        let known = self.versions.get(&key).copied().flatten();
        let expect = known.map_or(Expect::Absent, Expect::Version);
        let value = self.value();
        let then = if self.work.rng.u32(0..8) == 0 { None } else { Some(&value[..]) };
        let swap = self.clerk.compare_and_set(&key, expect, then).await?;
        let version = match swap.outcome {
            SwapOutcome::Swapped => {
                self.work.board.count("cas swapped");
                then.map(|_| swap.index)
            }
            SwapOutcome::Mismatch { current } => current,
        };
        self.versions.insert(key, version);
        Ok(())
    }

    /// A few operations on as many keys of this client, with one hash tag.
    async fn batch(&mut self) -> Result<(), ClerkError<C::Refusal>> {
        let mut keys = self.work.keys.clone();
        self.work.rng.shuffle(&mut keys);
        let (first, load) = (keys[0], self.work.load.clone());
        keys.retain(|key| load.tag(*key) == load.tag(first));
        keys.truncate(4);
        let parts: Vec<(String, Vec<u8>, u32)> = keys
            .into_iter()
            .map(|number| (load.key(number), self.value(), self.work.rng.u32(0..6)))
            .collect();
        let ops: Vec<Op<'_>> = parts
            .iter()
            .map(|(key, value, kind)| {
                let (key, known) = (key.as_bytes(), self.versions.get(key).copied().flatten());
                match (kind, known) {
                    (0, _) => Op::Delete { key },
                    (1, Some(version)) => {
                        let expect = Expect::Version(version);
                        Op::CompareAndSet { key, expect, then: Some(value) }
                    }
                    (1..4, _) => Op::Append { key, value },
                    _ => Op::Put { key, value },
                }
            })
            .collect();
        self.clerk.batch(&ops).await.map(|_| ())
    }

    fn note(&mut self, what: &'static str, result: Result<(), ClerkError<C::Refusal>>) {
        let board = &self.work.board;
        board.count(what);
        match result {
            Ok(()) => {}
            Err(ClerkError::Refused(_)) => board.count("refused"),
            Err(ClerkError::NotDone(_)) => board.count("not done"),
            Err(ClerkError::Unknown(Cause::SessionExpired)) => {
                board.count("unknown");
                board.count("sessions expired in doubt");
            }
            Err(ClerkError::Unknown(_)) => board.count("unknown"),
        }
    }

    async fn pause(&mut self) {
        let pause = self.work.load.pause_max.mul_f64(self.work.rng.f64());
        tokio::time::sleep(pause).await;
    }
}
