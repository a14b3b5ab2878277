//! What a node does with its store: steps, and random histories of them.

use std::fmt;

use bytes::Bytes;
use raft_core::{
    Entry, GroupId, HardState, LogId, LogIndex, Membership, NodeId, Payload, SnapshotChunk,
    SnapshotMeta, Suffix, Term, Write, WriteOp, WriteSeq,
};

use super::model::{Group, Model};

/// One thing that is done, and acknowledged or not.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Write(Vec<Write>),
    /// A snapshot, in pieces of so many bytes.
    Snapshot {
        group: GroupId,
        meta: SnapshotMeta,
        data: Bytes,
        piece: usize,
    },
    /// A snapshot that is begun, written, and not finished.
    Abandon {
        group: GroupId,
        meta: SnapshotMeta,
        data: Bytes,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(writes) => {
                f.write_str("write")?;
                for write in writes {
                    let group = write.group;
                    match &write.op {
                        WriteOp::HardState(state) => write!(f, " [{group} {state:?}]")?,
                        WriteOp::Append(entries) => {
                            let first = entries.first().map_or(LogId::ZERO, |entry| entry.id);
                            write!(f, " [{group} append {} from {first}]", entries.len())?;
                        }
                        WriteOp::Compact(id) => write!(f, " [{group} compact {id}]")?,
                        WriteOp::Receive { meta, chunk, suffix } => {
                            let (last, end) = (meta.last, chunk.offset + chunk.data.len() as u64);
                            let (from, total) = (chunk.offset, chunk.total);
                            write!(
                                f,
                                " [{group} receive {last} {from}..{end} of {total} {suffix:?}]"
                            )?;
                        }
                    }
                }
                Ok(())
            }
            Self::Snapshot { group, meta, data, .. } => {
                write!(f, "snapshot of {group} at {}, {} bytes", meta.last, data.len())
            }
            Self::Abandon { group, meta, .. } => {
                write!(f, "snapshot of {group} at {}, not finished", meta.last)
            }
        }
    }
}

pub(super) fn id(term: u64, index: u64) -> LogId {
    LogId::new(Term(term), LogIndex(index))
}

pub(super) fn command(term: u64, index: u64, data: impl Into<Bytes>) -> Entry {
    Entry { id: id(term, index), payload: Payload::Command(data.into()) }
}

pub(super) fn membership(learner: u64) -> Membership {
    let mut membership = Membership::of_voters([1, 2, 3].map(NodeId));
    membership.learners.insert(NodeId(10 + learner));
    membership
}

pub(super) fn meta(last: LogId) -> SnapshotMeta {
    SnapshotMeta { last, membership: membership(last.index.0) }
}

pub(super) fn write(group: u64, op: WriteOp) -> Write {
    Write { group: GroupId(group), seq: WriteSeq(1), op }
}

pub(super) fn hard_state(group: u64, term: u64, vote: Option<u64>) -> Write {
    let state = HardState { term: Term(term), voted_for: vote.map(NodeId) };
    write(group, WriteOp::HardState(state))
}

pub(super) fn append(group: u64, entries: Vec<Entry>) -> Write {
    write(group, WriteOp::Append(entries))
}

/// Bytes that are different everywhere and in every snapshot.
pub(super) fn pattern(salt: u64, len: usize) -> Bytes {
    (0..len as u64).map(|at| (at * 7 + at / 251 + salt * 31) as u8).collect()
}

pub(super) fn snapshot(group: u64, last: LogId, len: usize) -> Step {
    let data = pattern(last.index.0, len);
    Step::Snapshot { group: GroupId(group), meta: meta(last), data, piece: 5000 }
}

pub(super) fn chunk(data: &Bytes, offset: usize, len: usize) -> SnapshotChunk {
    let part = data.slice(offset..data.len().min(offset + len));
    let checksum = crc32fast::hash(&part);
    SnapshotChunk { offset: offset as u64, total: data.len() as u64, data: part, checksum }
}

/// A snapshot that arrives in chunks of `piece` bytes, one write each.
pub(super) fn receive(
    group: u64,
    last: LogId,
    data: &Bytes,
    piece: usize,
    suffix: Suffix,
) -> Vec<Step> {
    let mut offset = 0;
    let mut steps = Vec::new();
    loop {
        let op = WriteOp::Receive { meta: meta(last), chunk: chunk(data, offset, piece), suffix };
        steps.push(Step::Write(vec![write(group, op)]));
        offset += piece;
        if offset >= data.len() {
            return steps;
        }
    }
}

/// Draws what a correct node might do.
struct Generator {
    rng: fastrand::Rng,
    groups: u64,
    model: Model,
    steps: Vec<Step>,
}

/// A random history. It ends with a plain write.
pub(super) fn random(seed: u64, groups: u64, len: usize) -> Vec<Step> {
    let rng = fastrand::Rng::with_seed(seed);
    let mut generator =
        Generator { rng, groups: groups.max(1), model: Model::default(), steps: vec![] };
    while generator.steps.len() < len {
        generator.step();
    }
    generator.appends();
    generator.steps
}

impl Generator {
    fn push(&mut self, step: Step) {
        self.model.step(&step);
        self.steps.push(step);
    }

    fn step(&mut self) {
        let group = self.rng.u64(1..=self.groups);
        let state = self.model.group(GroupId(group));
        match self.rng.u32(0..20) {
            0..=11 => self.appends(),
            12..=16 => self.take(group, &state),
            17 => self.abandon(group, &state),
            18 if state.hard_state.term > Term(0) => self.receive(group, &state),
            19 if state.hard_state.term > Term(0) => self.receive_known(group, &state),
            _ => {}
        }
    }

    fn appends(&mut self) {
        let mut model = self.model.clone();
        let mut writes = Vec::new();
        for _ in 0..self.rng.u32(1..4) {
            let group = self.rng.u64(1..=self.groups);
            let state = model.group(GroupId(group));
            for write in self.append(group, &state) {
                model.write(&write);
                writes.push(write);
            }
        }
        self.push(Step::Write(writes));
    }

    fn append(&mut self, group: u64, state: &Group) -> Vec<Write> {
        let rng = &mut self.rng;
        let mut writes = Vec::new();
        let mut term = state.hard_state.term.0;
        let mut begin = state.last().index.0 + 1;
        if term == 0 || rng.u32(0..4) == 0 {
            term += 1;
            let vote = [None, Some(rng.u64(1..4))][rng.usize(0..2)];
            writes.push(hard_state(group, term, vote));
            // Only a new term overwrites.
            let uncovered = begin - 1 - state.snapshot_last().index.0;
            begin -= rng.u64(0..=uncovered.min(3));
        }
        let count = rng.u64(1..4);
        let entries = (begin..begin + count).map(|index| {
            let payload = match rng.u32(0..8) {
                0 => Payload::Noop,
                1 => Payload::Membership(Box::new(membership(index))),
                _ => Payload::Command(pattern(index, rng.usize(0..300))),
            };
            Entry { id: id(term, index), payload }
        });
        writes.push(append(group, entries.collect()));
        writes
    }

    /// An index of an entry that the snapshot does not cover.
    fn covered(&mut self, state: &Group) -> Option<LogId> {
        let ids = state.log.range(state.snapshot_last().index.next()..);
        let ids: Vec<LogId> = ids.map(|(_, entry)| entry.id).collect();
        (!ids.is_empty()).then(|| ids[self.rng.usize(0..ids.len())])
    }

    fn take(&mut self, group: u64, state: &Group) {
        let Some(last) = self.covered(state) else { return };
        let len = [0, 1, 700, 3000, 70_000, 140_000][self.rng.usize(0..6)];
        let more = self.rng.usize(0..100) * len.min(1);
        self.push(snapshot(group, last, len + more));
        if self.rng.u32(0..4) > 0 {
            self.push(Step::Write(vec![write(group, WriteOp::Compact(last))]));
        }
    }

    fn abandon(&mut self, group: u64, state: &Group) {
        if let Some(last) = self.covered(state) {
            let data = pattern(99, self.rng.usize(0..70_000));
            self.push(Step::Abandon { group: GroupId(group), meta: meta(last), data });
        }
    }

    /// Of entries that this node has not got: its log ends before them.
    fn receive(&mut self, group: u64, state: &Group) {
        let last =
            LogId::new(state.hard_state.term, LogIndex(state.last().index.0 + self.rng.u64(1..5)));
        let data = pattern(last.index.0, self.rng.usize(0..4000));
        for step in receive(group, last, &data, 1300, Suffix::Discard) {
            self.push(step);
        }
    }

    /// Of an entry that this node has: what follows it stays.
    fn receive_known(&mut self, group: u64, state: &Group) {
        let Some(last) = self.covered(state) else { return };
        let data = pattern(last.index.0, self.rng.usize(0..4000));
        for step in receive(group, last, &data, 1300, Suffix::Keep) {
            self.push(step);
        }
    }
}
