//! Snapshots that a group takes of itself: when one is due, and the task that writes it.
//!
//! ```text
//! Idle --due or asked for--> Viewing --view--> Writing --durable, or failed--> Idle
//! ```
//!
//! One at a time. `Viewing` may also end in `Held`, until the next tick, when the core does not know the
//! view's index: a snapshot from the leader is being installed meanwhile. Whoever asks gets a snapshot whose view was taken after he asked. A full disk is no
//! reason to stop: the log is intact; it is tried again, later and later.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

use super::SnapshotError;
use super::inbox::{Ask, SnapshotReply};
use super::shared::GroupPort;
use crate::{GroupId, LogId, SnapshotMeta, SnapshotSource, Storage, StorageError};

/// Ticks until a snapshot that failed for lack of space is tried again; doubled each time.
const RETRY_TICKS_MIN: u32 = 20;
/// The most ticks until it is tried again.
const RETRY_TICKS_MAX: u32 = 1280;

/// How far a group is with its snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Idle,
    Viewing,
    Writing,
    Held,
}

/// The snapshots of a group.
pub(super) struct Compaction {
    phase: Phase,
    /// Take one at this many bytes; `None`: only when asked.
    bytes: Option<u64>,
    /// Whoever asked after the view under way was ordered. Bounded by the inbox and by who calls.
    asking: Vec<SnapshotReply>,
    /// Whoever waits for the one under way.
    waiting: Vec<SnapshotReply>,
    /// Ticks during which none is begun.
    pause: u32,
    next_pause: u32,
    failures: u64,
}

impl Compaction {
    pub(super) fn new(bytes: Option<u64>) -> Self {
        Self {
            phase: Phase::Idle,
            bytes,
            asking: Vec::new(),
            waiting: Vec::new(),
            pause: 0,
            next_pause: RETRY_TICKS_MIN,
            failures: 0,
        }
    }

    /// Snapshots that failed so far.
    pub(super) fn failures(&self) -> u64 {
        self.failures
    }

    /// Somebody asks for one.
    pub(super) fn ask(&mut self, reply: SnapshotReply) {
        if self.asking.len() >= ASKING_MAX {
            let _ = reply.send(Err(SnapshotError::Busy));
        } else {
            self.asking.push(reply);
        }
    }

    /// Time has passed.
    pub(super) fn tick(&mut self) {
        self.pause = self.pause.saturating_sub(1);
        if self.phase == Phase::Held {
            self.phase = Phase::Idle;
        }
    }

    /// Whether to order a view now; if so, it is ordered.
    pub(super) fn begin(&mut self, unsnapshotted_bytes: u64) -> bool {
        let due = self.pause == 0 && self.bytes.is_some_and(|bytes| unsnapshotted_bytes >= bytes);
        let wanted = due || !self.asking.is_empty();
        if self.phase != Phase::Idle || !wanted {
            return false;
        }
        self.phase = Phase::Viewing;
        self.waiting = mem::take(&mut self.asking);
        true
    }

    /// The view is there and is being written.
    pub(super) fn writing(&mut self) {
        debug_assert_eq!(self.phase, Phase::Viewing);
        self.phase = Phase::Writing;
    }

    /// The snapshot up to `last` is durable.
    pub(super) fn done(&mut self, last: LogId) {
        self.next_pause = RETRY_TICKS_MIN;
        self.end(&Ok(last));
    }

    /// The core does not know the view's index: another view is tried after the next tick.
    pub(super) fn hold(&mut self) {
        self.phase = Phase::Held;
        self.asking.append(&mut self.waiting);
    }

    /// The disk is full.
    pub(super) fn full(&mut self, error: &StorageError) {
        self.failures += 1;
        self.pause = self.next_pause;
        self.next_pause = (self.next_pause * 2).min(RETRY_TICKS_MAX);
        self.end(&Err(SnapshotError::Full { reason: error.to_string() }));
    }

    /// The node stops.
    pub(super) fn stop(&mut self) {
        self.waiting.append(&mut self.asking);
        self.end(&Err(SnapshotError::Stopped));
    }

    fn end(&mut self, outcome: &Result<LogId, SnapshotError>) {
        self.phase = Phase::Idle;
        for reply in self.waiting.drain(..) {
            let _ = reply.send(outcome.clone());
        }
    }
}

/// The most callers that wait for the next snapshot of a group.
const ASKING_MAX: usize = 64;

/// What a snapshot is made of.
pub(super) struct Job {
    pub(super) port: Arc<dyn GroupPort>,
    pub(super) storage: Arc<dyn Storage>,
    pub(super) group: GroupId,
    pub(super) meta: SnapshotMeta,
    pub(super) source: Box<dyn SnapshotSource>,
    pub(super) piece_bytes: usize,
    pub(super) release: fn(Box<dyn Send>),
}

/// Writes a snapshot and tells the loop.
pub(super) async fn write(mut job: Job) {
    let outcome = write_all(&mut job).await;
    (job.release)(Box::new(job.source));
    job.port.tell(Ask::Written(outcome.map(|()| job.meta)));
}

async fn write_all(job: &mut Job) -> Result<(), StorageError> {
    let mut writer = job.storage.create_snapshot(job.group, job.meta.clone()).await?;
    while let Some(piece) = job.source.next_chunk(job.piece_bytes) {
        writer.write(piece).await?;
        // A store in memory is never busy: without this, one thread would serve nothing else.
        tokio::task::yield_now().await;
    }
    writer.finish().await
}
