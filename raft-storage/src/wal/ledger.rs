//! Which segments are still needed, and by whom.

use std::collections::{BTreeMap, VecDeque};

use raft_core::{GroupId, HardState, LogId, LogIndex, Suffix, WriteOp};

use super::record::entry_bytes;
use super::replay::GroupReplay;

/// Where the live entries of all groups stand, by runs of indexes; and the small state that is repeated at
/// the start of every segment.
///
/// Invariants: the runs of a group are in order and without gaps; a segment's `live` is the sum of the runs
/// in it; segments are numbered without gaps, the last one is being written.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) groups: BTreeMap<GroupId, GroupLedger>,
    pub(crate) segments: VecDeque<SegmentUse>,
}

#[derive(Default)]
pub(crate) struct GroupLedger {
    pub(crate) hard_state: HardState,
    pub(crate) compacted: LogId,
    runs: VecDeque<Run>,
}

/// Entries that stand in one segment.
#[derive(Clone, Copy)]
struct Run {
    first: LogIndex,
    last: LogIndex,
    segment: u64,
    /// Of all of them together; what is cut off takes its share.
    bytes: u64,
}

/// One segment.
pub(crate) struct SegmentUse {
    pub(crate) sequence: u64,
    /// How far it is written.
    pub(crate) end: u64,
    /// Live entries, and about how many bytes they are.
    pub(crate) live: u64,
    pub(crate) live_bytes: u64,
}

impl SegmentUse {
    pub(crate) fn new(sequence: u64) -> Self {
        Self { sequence, end: 0, live: 0, live_bytes: 0 }
    }
}

impl Run {
    fn count(&self) -> u64 {
        self.last.0 - self.first.0 + 1
    }

    /// Takes `count` entries off the books of the run, and says how many bytes they are.
    fn take(&mut self, count: u64) -> u64 {
        let bytes = (u128::from(self.bytes) * u128::from(count) / u128::from(self.count())) as u64;
        self.bytes -= bytes;
        bytes
    }
}

impl Ledger {
    pub(crate) fn restore(&mut self, group: GroupId, replay: &GroupReplay) {
        let ledger = self.groups.entry(group).or_default();
        ledger.hard_state = replay.hard_state();
        ledger.compacted = replay.compacted();
        for (index, bytes, segment) in replay.places() {
            append(&mut self.segments, &mut ledger.runs, index, bytes, segment);
        }
    }

    /// Books `op`, written to the newest segment.
    pub(crate) fn apply(&mut self, group: GroupId, op: &WriteOp) {
        let ledger = self.groups.entry(group).or_default();
        let segments = &mut self.segments;
        match op {
            WriteOp::HardState(state) => ledger.hard_state = *state,
            WriteOp::Append(entries) => {
                let Some(newest) = segments.back().map(|segment| segment.sequence) else { return };
                if let Some(first) = entries.first() {
                    ledger.truncate(segments, first.id.index);
                }
                for entry in entries {
                    append(
                        segments,
                        &mut ledger.runs,
                        entry.id.index,
                        entry_bytes(entry) as u64,
                        newest,
                    );
                }
            }
            WriteOp::Compact(id) => ledger.compact(segments, *id),
            WriteOp::Receive { meta, chunk, suffix } if chunk.end() == Some(chunk.total) => {
                self.install(group, meta.last, *suffix);
            }
            WriteOp::Receive { .. } => {}
        }
    }

    pub(crate) fn install(&mut self, group: GroupId, last: LogId, suffix: Suffix) {
        let ledger = self.groups.entry(group).or_default();
        match suffix {
            Suffix::Keep => ledger.compact(&mut self.segments, last),
            Suffix::Discard => {
                ledger.truncate(&mut self.segments, LogIndex::ZERO);
                ledger.compacted = last;
            }
        }
    }

    /// Whether the live copy of an entry is the one in `segment`.
    pub(crate) fn is_live_in(&self, group: GroupId, index: LogIndex, segment: u64) -> bool {
        self.groups.get(&group).is_some_and(|ledger| {
            let at = ledger.runs.partition_point(|run| run.last < index);
            ledger.runs.get(at).is_some_and(|run| run.first <= index && run.segment == segment)
        })
    }

    /// Books the copy of a live entry into the newest segment.
    pub(crate) fn relocate(&mut self, group: GroupId, index: LogIndex, bytes: u64) {
        let Some(newest) = self.segments.back().map(|segment| segment.sequence) else { return };
        let Some(ledger) = self.groups.get_mut(&group) else { return };
        let at = ledger.runs.partition_point(|run| run.last < index);
        let Some(run) = ledger.runs.get(at).copied().filter(|run| run.first <= index) else {
            return;
        };
        // The run in three: what is before the entry, the entry, what is after it.
        let (mut rest, mut parts) = (run, Vec::with_capacity(3));
        if run.first < index {
            let part = rest.take(index.0 - run.first.0);
            parts.push(Run { last: index.prev(), bytes: part, ..run });
            rest.first = index;
        }
        let released = rest.take(1);
        parts.push(Run { first: index, last: index, segment: newest, bytes });
        if index < run.last {
            parts.push(Run { first: index.next(), ..rest });
        }
        ledger.runs.remove(at);
        for part in parts.into_iter().rev() {
            ledger.runs.insert(at, part);
        }
        ledger.merge_around(at);
        release(&mut self.segments, run.segment, 1, released);
        hold(&mut self.segments, newest, bytes);
    }

    /// The oldest segment that is needed: it has live entries, or it is the one being written.
    pub(crate) fn oldest_needed(&self) -> Option<u64> {
        let last = self.segments.back()?.sequence;
        Some(self.segments.iter().find(|segment| segment.live > 0).map_or(last, |it| it.sequence))
    }

    /// The oldest segment that is needed, other than the one being written, and how far it is written.
    pub(crate) fn oldest_pinned(&self) -> Option<(u64, u64)> {
        let oldest = self.segments.iter().find(|segment| segment.live > 0)?;
        let written = self.segments.back()?.sequence;
        (oldest.sequence != written).then_some((oldest.sequence, oldest.end))
    }

    /// The live entries of `segment`: of each group, the first and the last index of each run.
    pub(crate) fn live_runs(&self, segment: u64) -> BTreeMap<GroupId, Vec<(LogIndex, LogIndex)>> {
        let runs_of = |ledger: &GroupLedger| {
            let here = ledger.runs.iter().filter(|run| run.segment == segment);
            here.map(|run| (run.first, run.last)).collect::<Vec<_>>()
        };
        let groups = self.groups.iter().map(|(group, ledger)| (*group, runs_of(ledger)));
        groups.filter(|(_, runs)| !runs.is_empty()).collect()
    }

    pub(crate) fn live_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.live_bytes).sum()
    }
}

impl GroupLedger {
    fn truncate(&mut self, segments: &mut VecDeque<SegmentUse>, from: LogIndex) {
        while let Some(run) = self.runs.back_mut().filter(|run| run.last >= from) {
            let count = run.last.0 - from.max(run.first).0 + 1;
            let bytes = run.take(count);
            release(segments, run.segment, count, bytes);
            if from <= run.first {
                self.runs.pop_back();
            } else {
                run.last = from.prev();
            }
        }
    }

    fn compact(&mut self, segments: &mut VecDeque<SegmentUse>, id: LogId) {
        while let Some(run) = self.runs.front_mut().filter(|run| run.first <= id.index) {
            let count = id.index.min(run.last).0 - run.first.0 + 1;
            let bytes = run.take(count);
            release(segments, run.segment, count, bytes);
            if id.index >= run.last {
                self.runs.pop_front();
            } else {
                run.first = id.index.next();
            }
        }
        if id.index > self.compacted.index {
            self.compacted = id;
        }
    }

    /// Joins a run of one segment that was split, with its neighbours at `at - 1 ..= at + 1`.
    fn merge_around(&mut self, at: usize) {
        for right in (at.max(1)..=at + 1).rev() {
            let (Some(a), Some(b)) = (self.runs.get(right - 1), self.runs.get(right)) else {
                continue;
            };
            if a.segment == b.segment && a.last.next() == b.first {
                let joined = Run { last: b.last, bytes: a.bytes + b.bytes, ..*a };
                self.runs.remove(right);
                self.runs[right - 1] = joined;
            }
        }
    }
}

fn append(
    segments: &mut VecDeque<SegmentUse>,
    runs: &mut VecDeque<Run>,
    index: LogIndex,
    bytes: u64,
    segment: u64,
) {
    match runs.back_mut() {
        Some(run) if run.segment == segment && run.last.next() == index => {
            run.last = index;
            run.bytes += bytes;
        }
        _ => runs.push_back(Run { first: index, last: index, segment, bytes }),
    }
    hold(segments, segment, bytes);
}

fn find(segments: &mut VecDeque<SegmentUse>, sequence: u64) -> Option<&mut SegmentUse> {
    let first = segments.front()?.sequence;
    segments.get_mut(usize::try_from(sequence.checked_sub(first)?).ok()?)
}

fn hold(segments: &mut VecDeque<SegmentUse>, sequence: u64, bytes: u64) {
    if let Some(segment) = find(segments, sequence) {
        segment.live += 1;
        segment.live_bytes += bytes;
    }
}

fn release(segments: &mut VecDeque<SegmentUse>, sequence: u64, count: u64, bytes: u64) {
    if let Some(segment) = find(segments, sequence) {
        segment.live -= count;
        segment.live_bytes -= bytes;
    }
}
