//! The slow second implementation: what a store must hold after each step.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use raft_core::{
    Entry, GroupId, HardState, LogId, LogIndex, SnapshotChunk, SnapshotMeta, Suffix, Write, WriteOp,
};

use super::workload::Step;

/// A snapshot: what it is of, and its bytes.
pub(super) type Snapshot = (SnapshotMeta, Bytes);

/// All groups.
#[derive(Clone, Default, PartialEq, Debug)]
pub(super) struct Model {
    pub(super) groups: BTreeMap<GroupId, Group>,
}

/// One group. The log keeps what a snapshot covers: a store may drop that whenever it likes.
#[derive(Clone, Default, PartialEq, Debug)]
pub(super) struct Group {
    pub(super) hard_state: HardState,
    pub(super) log: BTreeMap<LogIndex, Entry>,
    pub(super) snapshot: Option<Snapshot>,
    /// What the log follows since it was discarded.
    pub(super) base: LogId,
    receiving: Option<(SnapshotMeta, Vec<u8>)>,
}

/// The models before and after each step of a history.
pub(super) struct History {
    pub(super) steps: Vec<Step>,
    /// One more than there are steps.
    pub(super) states: Vec<Model>,
}

impl Group {
    pub(super) fn snapshot_last(&self) -> LogId {
        self.snapshot.as_ref().map_or(LogId::ZERO, |(meta, _)| meta.last)
    }

    /// The last entry, in the log or in the snapshot.
    pub(super) fn last(&self) -> LogId {
        let log = self.log.values().next_back().map_or(LogId::ZERO, |entry| entry.id);
        if log.index > self.snapshot_last().index { log } else { self.snapshot_last() }
    }

    fn apply(&mut self, op: &WriteOp) {
        match op {
            WriteOp::HardState(state) => self.hard_state = *state,
            WriteOp::Append(entries) => {
                if let Some(first) = entries.first() {
                    self.log.split_off(&first.id.index);
                }
                self.log.extend(entries.iter().map(|entry| (entry.id.index, entry.clone())));
            }
            // Only a permission.
            WriteOp::Compact(_) => {}
            WriteOp::Receive { meta, chunk, suffix } => self.receive(meta, chunk, *suffix),
        }
    }

    fn receive(&mut self, meta: &SnapshotMeta, chunk: &SnapshotChunk, suffix: Suffix) {
        if chunk.offset == 0 {
            self.receiving = Some((meta.clone(), Vec::new()));
        }
        let Some((_, data)) = &mut self.receiving else { return };
        data.extend_from_slice(&chunk.data);
        if chunk.end() == Some(chunk.total) {
            let data = std::mem::take(data).into();
            self.receiving = None;
            if suffix == Suffix::Discard {
                self.log.clear();
                self.base = meta.last;
            }
            self.snapshot = Some((meta.clone(), data));
        }
    }

    pub(super) fn finish(&mut self, meta: &SnapshotMeta, data: &Bytes) {
        if self.snapshot_last().index <= meta.last.index {
            self.snapshot = Some((meta.clone(), data.clone()));
        }
    }

    /// A restart forgets what was received in part.
    pub(super) fn restart(&mut self) {
        self.receiving = None;
    }

    /// Whether the group has durable state.
    pub(super) fn is_written(&self) -> bool {
        let state = Self { receiving: None, ..self.clone() };
        state != Self::default()
    }
}

impl Model {
    pub(super) fn group(&self, group: GroupId) -> Group {
        self.groups.get(&group).cloned().unwrap_or_default()
    }

    pub(super) fn write(&mut self, write: &Write) {
        self.groups.entry(write.group).or_default().apply(&write.op);
    }

    pub(super) fn step(&mut self, step: &Step) {
        match step {
            Step::Write(writes) => writes.iter().for_each(|write| self.write(write)),
            Step::Snapshot { group, meta, data, .. } => {
                self.groups.entry(*group).or_default().finish(meta, data);
            }
            Step::Abandon { .. } => {}
        }
    }

    pub(super) fn restart(&mut self) {
        self.groups.values_mut().for_each(Group::restart);
    }
}

impl History {
    pub(super) fn of(steps: Vec<Step>) -> Self {
        let mut states = vec![Model::default()];
        for step in &steps {
            let mut next = states.last().cloned().unwrap_or_default();
            next.step(step);
            states.push(next);
        }
        Self { steps, states }
    }

    /// The entries that were submitted by the time when `done` steps were acknowledged.
    pub(super) fn submitted(&self, group: GroupId, done: usize) -> BTreeSet<LogId> {
        let mut ids = BTreeSet::new();
        for step in self.steps.iter().take(done + 1) {
            let Step::Write(writes) = step else { continue };
            for write in writes.iter().filter(|write| write.group == group) {
                if let WriteOp::Append(entries) = &write.op {
                    ids.extend(entries.iter().map(|entry| entry.id));
                }
            }
        }
        ids
    }

    /// What may be there after a crash when `done` steps were acknowledged: they, and a prefix of the next.
    pub(super) fn candidates(&self, done: usize) -> Vec<Model> {
        let mut candidates = vec![self.states[done].clone()];
        match self.steps.get(done) {
            Some(Step::Write(writes)) => {
                let mut state = self.states[done].clone();
                for write in writes {
                    state.write(write);
                    candidates.push(state.clone());
                }
            }
            Some(Step::Snapshot { .. }) => candidates.push(self.states[done + 1].clone()),
            Some(Step::Abandon { .. }) | None => {}
        }
        candidates
    }
}
