//! Copying live entries of the oldest segment forward, when they alone keep it from being released: those of a
//! group that writes little, among many of one that writes much.
//!
//! They are found beside the writes, by a task that reads the segment part by part, and move along with the
//! batches, a few with each. Only when the log is far over its limit does a batch wait for them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use raft_core::{GroupId, LogId, LogIndex, StorageError};

use super::format::{RECORD_HEADER_BYTES, RecordKind, SEGMENT_HEADER_BYTES, segment_name};
use super::ledger::Ledger;
use super::record::Record;
use super::scan::{SegmentParts, corrupt};
use super::segment::Task;
use crate::disk::Disk;

/// Entries that move with one batch are twice as many bytes as its own, within these bounds; so the log ends
/// faster at its oldest end than it grows.
const MOVED_BYTES_MIN: usize = 32 << 10;
const MOVED_BYTES_MAX: usize = 256 << 10;

/// A live entry of the oldest segment, to be copied forward.
pub(crate) struct Live {
    from: u64,
    pub(crate) group: GroupId,
    pub(crate) id: LogId,
    pub(crate) kind: RecordKind,
    pub(crate) payload: Bytes,
}

impl Live {
    pub(crate) fn bytes(&self) -> usize {
        RECORD_HEADER_BYTES + self.payload.len()
    }
}

/// How much a log needs that its oldest segment is released.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Need {
    None,
    /// Its live entries are to be found and moved along.
    Some,
    /// The log is over its limit: they are waited for.
    Urgent,
}

/// The entries that are copied forward.
#[derive(Default)]
pub(crate) enum Relocation {
    #[default]
    Idle,
    /// The live entries of a segment are being read.
    Finding(u64, Task<VecDeque<Live>>),
    /// What is left of them.
    Moving(VecDeque<Live>),
}

/// What is looked for in a segment.
struct Search {
    sequence: u64,
    /// How far it is written.
    end: u64,
    /// The first and the last index of each run of live entries.
    runs: BTreeMap<GroupId, Vec<(LogIndex, LogIndex)>>,
}

impl Relocation {
    /// Finds what there is to move.
    pub(crate) async fn find(
        &mut self,
        need: Need,
        ledger: &Ledger,
        disk: &Arc<dyn Disk>,
    ) -> Result<(), StorageError> {
        if matches!(self, Self::Idle) && need != Need::None {
            let Some((sequence, end)) = ledger.oldest_pinned() else { return Ok(()) };
            let search = Search { sequence, end, runs: ledger.live_runs(sequence) };
            let disk = Arc::clone(disk);
            *self = Self::Finding(sequence, Task::spawn(async move { search.run(&*disk).await }));
        }
        match std::mem::take(self) {
            Self::Finding(_, task) if need == Need::Urgent || task.is_finished() => {
                *self = Self::Moving(task.join().await?);
            }
            other => *self = other,
        }
        Ok(())
    }

    /// The entries to move with a batch of `own_bytes`. What is not live any more by now stays behind.
    pub(crate) fn take(&mut self, need: Need, own_bytes: usize, ledger: &Ledger) -> Vec<Live> {
        let (mut moved, mut bytes) = (Vec::new(), 0);
        let Self::Moving(found) = self else { return moved };
        let enough = match need {
            Need::Urgent => MOVED_BYTES_MAX,
            _ => (2 * own_bytes).clamp(MOVED_BYTES_MIN, MOVED_BYTES_MAX),
        };
        while bytes < enough {
            let Some(live) = found.pop_front() else {
                *self = Self::Idle;
                break;
            };
            if ledger.is_live_in(live.group, live.id.index, live.from) {
                bytes += live.bytes();
                moved.push(live);
            }
        }
        moved
    }

    /// The segments before `oldest` are about to be removed, or written anew: nothing is looked for in them,
    /// and nothing of them is live.
    pub(crate) fn forget_before(&mut self, oldest: u64) {
        let from = match self {
            Self::Idle => return,
            Self::Finding(sequence, _) => Some(*sequence),
            Self::Moving(found) => found.front().map(|live| live.from),
        };
        if from.is_some_and(|from| from < oldest) {
            *self = Self::Idle;
        }
    }

    /// Stops the work beside the writes.
    pub(crate) async fn close(&mut self) {
        if let Self::Finding(_, task) = std::mem::take(self) {
            task.stop().await;
        }
    }
}

impl Search {
    async fn run(self, disk: &dyn Disk) -> Result<VecDeque<Live>, StorageError> {
        let mut segment = SegmentParts::open(disk, self.sequence).await?;
        // Of entries that overwrote each other, the last.
        let mut newest = BTreeMap::new();
        let mut position = SEGMENT_HEADER_BYTES;
        while position < self.end {
            // All of it must be there: without its last batches the segment would give away entries that
            // they overwrote, as sound copies.
            let Ok(batch) = segment.batch_at(position).await? else {
                let reason = "the segment ends before what was written to it";
                return Err(corrupt(segment_name(self.sequence), position, reason));
            };
            position = batch.end();
            for at in batch.records() {
                let Some(Record::Entry(..)) = Record::decode(&at.header, at.payload) else {
                    continue;
                };
                let (group, id) = (at.header.group, at.header.id);
                if self.is_wanted(group, id.index) {
                    let payload = Bytes::copy_from_slice(at.payload);
                    let kind = at.header.kind;
                    let live = Live { from: self.sequence, group, id, kind, payload };
                    newest.insert((group, id.index), live);
                }
            }
        }
        if newest.is_empty() {
            let reason = "entries that were written to the segment are not in it";
            return Err(corrupt(segment_name(self.sequence), SEGMENT_HEADER_BYTES, reason));
        }
        Ok(newest.into_values().collect())
    }

    fn is_wanted(&self, group: GroupId, index: LogIndex) -> bool {
        self.runs.get(&group).is_some_and(|runs| {
            let at = runs.partition_point(|(_, last)| *last < index);
            runs.get(at).is_some_and(|(first, _)| *first <= index)
        })
    }
}
