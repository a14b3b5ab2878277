//! Snapshots that a group takes of itself: when one is due, and the task that writes it.
//!
//! ```text
//! Idle --due or asked for--> Waiting --its turn--> Viewing --view--> Writing --durable, or failed--> Idle
//! ```
//!
//! One at a time on a node, see [`Turns`]. `Viewing` may also end in `Held`, until the next tick, when the core
//! does not know the view's index: a snapshot from the leader is being installed meanwhile. Whoever asks gets a
//! snapshot whose view was taken after he asked. A full disk is no reason to stop: the log is intact; it is
//! tried again, later and later.
//!
//! The replicas of a group apply the same bytes, and would all be busy with a snapshot at the same time. So the
//! first is due earlier on one node than on another, and what follows keeps the distance.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

use super::SnapshotError;
use super::inbox::{Ask, SnapshotReply};
use super::shared::GroupPort;
use super::signal::Token;
use super::turns::{Pace, Turns};
use crate::{
    GroupId, LogId, Membership, NodeId, SnapshotMeta, SnapshotSource, Storage, StorageError,
};

/// Ticks until a snapshot that failed for lack of space is tried again; doubled each time.
const RETRY_TICKS_MIN: u32 = 20;
/// The most ticks until it is tried again.
const RETRY_TICKS_MAX: u32 = 1280;

/// How far a group is with its snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Idle,
    Waiting,
    Viewing,
    Writing,
    Held,
}

/// The snapshots of a group.
pub(super) struct Compaction {
    token: Token,
    phase: Phase,
    /// Take one at this many bytes; `None`: only when asked.
    bytes: Option<u64>,
    /// Take the next one so much earlier.
    earlier: u64,
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
    /// `earlier`: see [`earlier`].
    pub(super) fn new(token: Token, bytes: Option<u64>, earlier: u64) -> Self {
        Self {
            token,
            phase: Phase::Idle,
            bytes,
            earlier,
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
    pub(super) fn begin(&mut self, unsnapshotted_bytes: u64, turns: &mut Turns) -> bool {
        let passed = |bytes: u64| unsnapshotted_bytes.saturating_add(self.earlier) >= bytes;
        let due = self.pause == 0 && self.bytes.is_some_and(passed);
        let is_late = self.bytes.is_some_and(|bytes| unsnapshotted_bytes / 2 >= bytes);
        let wanted = due || !self.asking.is_empty();
        if self.phase == Phase::Idle && wanted {
            self.phase = Phase::Waiting;
            turns.join(self.token);
        } else if self.phase == Phase::Waiting && !wanted {
            self.leave(Phase::Idle, turns);
        }
        if self.phase != Phase::Idle && (is_late || self.is_awaited()) {
            turns.hurry();
        }
        if self.phase != Phase::Waiting || !turns.is_next(self.token) {
            return false;
        }
        self.phase = Phase::Viewing;
        self.waiting = mem::take(&mut self.asking);
        true
    }

    fn is_awaited(&self) -> bool {
        !self.asking.is_empty() || !self.waiting.is_empty()
    }

    /// The view is there and is being written.
    pub(super) fn writing(&mut self) {
        debug_assert_eq!(self.phase, Phase::Viewing);
        self.phase = Phase::Writing;
    }

    /// The snapshot up to `last` is durable.
    pub(super) fn done(&mut self, last: LogId, turns: &mut Turns) {
        self.next_pause = RETRY_TICKS_MIN;
        self.earlier = 0;
        self.leave(Phase::Idle, turns);
        self.answer(&Ok(last));
    }

    /// The core does not know the view's index: another view is tried after the next tick.
    pub(super) fn hold(&mut self, turns: &mut Turns) {
        self.leave(Phase::Held, turns);
        self.asking.append(&mut self.waiting);
    }

    /// The disk is full.
    pub(super) fn full(&mut self, error: &StorageError, turns: &mut Turns) {
        self.failures += 1;
        self.pause = self.next_pause;
        self.next_pause = (self.next_pause * 2).min(RETRY_TICKS_MAX);
        self.leave(Phase::Idle, turns);
        self.answer(&Err(SnapshotError::Full { reason: error.to_string() }));
    }

    /// The group stops.
    pub(super) fn stop(&mut self, turns: &mut Turns) {
        self.waiting.append(&mut self.asking);
        self.leave(Phase::Idle, turns);
        self.answer(&Err(SnapshotError::Stopped));
    }

    fn leave(&mut self, phase: Phase, turns: &mut Turns) {
        self.phase = phase;
        turns.leave(self.token);
    }

    fn answer(&mut self, outcome: &Result<LogId, SnapshotError>) {
        for reply in self.waiting.drain(..) {
            let _ = reply.send(outcome.clone());
        }
    }
}

/// The most callers that wait for the next snapshot of a group.
const ASKING_MAX: usize = 64;

/// How many of `bytes` earlier than the others `node` takes its first snapshot: the replicas of a group share
/// half of `bytes` out evenly, and each group begins with another node.
pub(super) fn earlier(bytes: u64, group: GroupId, node: NodeId, membership: &Membership) -> u64 {
    let (mut count, mut place) = (0, 0);
    for member in membership.members() {
        place += u64::from(member < node);
        count += 1;
    }
    match count {
        0 => 0,
        _ => bytes / (2 * count) * ((place + group.0 % count) % count),
    }
}

/// What a snapshot is made of.
pub(super) struct Job {
    pub(super) port: Arc<dyn GroupPort>,
    pub(super) storage: Arc<dyn Storage>,
    pub(super) group: GroupId,
    pub(super) meta: SnapshotMeta,
    pub(super) source: Box<dyn SnapshotSource>,
    pub(super) piece_bytes: usize,
    pub(super) release: fn(Box<dyn Send>),
    pub(super) pace: Pace,
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
        job.pace.rest().await;
    }
    writer.finish().await
}
