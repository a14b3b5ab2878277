//! [`DiskModel`]: what a store is to hold after the writes it was given.

use std::collections::BTreeMap;

use raft_core::{
    Entry, HardState, LogId, LogIndex, Membership, Payload, Persisted, SnapshotMeta, Suffix, Term,
    WriteOp,
};

use super::print::Print;

/// A write, as far as a model needs it.
#[derive(Clone, Debug)]
pub enum ModelOp {
    /// The hard state is replaced.
    HardState(HardState),
    /// Entries are written; what stood at the first one and after it is gone.
    Append(Vec<(LogIndex, Print)>, BTreeMap<LogIndex, Membership>),
    /// The log is forgotten up to here.
    Compact(LogId),
    /// A part of a snapshot, not the last.
    Part,
    /// The last part of a snapshot.
    Install(SnapshotMeta, Suffix),
}

impl From<&WriteOp> for ModelOp {
    fn from(op: &WriteOp) -> Self {
        match op {
            WriteOp::HardState(hard_state) => Self::HardState(*hard_state),
            WriteOp::Append(entries) => Self::Append(prints(entries), memberships(entries)),
            WriteOp::Compact(id) => Self::Compact(*id),
            WriteOp::Receive { meta, chunk, suffix } => match chunk.end() == Some(chunk.total) {
                true => Self::Install(meta.clone(), *suffix),
                false => Self::Part,
            },
        }
    }
}

fn prints(entries: &[Entry]) -> Vec<(LogIndex, Print)> {
    entries.iter().map(|entry| (entry.id.index, Print::of(entry))).collect()
}

fn memberships(entries: &[Entry]) -> BTreeMap<LogIndex, Membership> {
    let found = entries.iter().filter_map(|entry| match &entry.payload {
        Payload::Membership(membership) => Some((entry.id.index, (**membership).clone())),
        _ => None,
    });
    found.collect()
}

/// A log and what goes with it, as a disk holds it.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct DiskModel {
    /// The hard state.
    pub hard_state: HardState,
    /// The newest snapshot.
    pub snapshot: Option<SnapshotMeta>,
    /// The entry before the first that is held.
    pub compacted: LogId,
    /// The entries that are held.
    pub entries: BTreeMap<LogIndex, Print>,
    /// The memberships among them.
    pub memberships: BTreeMap<LogIndex, Membership>,
}

impl From<&Persisted> for DiskModel {
    fn from(persisted: &Persisted) -> Self {
        Self {
            hard_state: persisted.hard_state,
            snapshot: persisted.snapshot.clone(),
            compacted: persisted.compacted,
            entries: prints(&persisted.log).into_iter().collect(),
            memberships: memberships(&persisted.log),
        }
    }
}

impl DiskModel {
    /// The last entry.
    pub fn last(&self) -> LogId {
        let last = self.entries.last_key_value();
        last.map_or(self.compacted, |(index, print)| LogId::new(print.term, *index))
    }

    /// The last index that is in the log or in the snapshot.
    pub fn reaches(&self) -> LogIndex {
        self.last().index.max(self.snapshot_index())
    }

    /// The last index in the snapshot; zero without one.
    pub fn snapshot_index(&self) -> LogIndex {
        self.snapshot.as_ref().map_or(LogIndex::ZERO, |meta| meta.last.index)
    }

    /// The term at an index, if it is known.
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        let snapshot = self.snapshot.as_ref().map(|meta| meta.last);
        let known = [Some(self.compacted), snapshot].into_iter().flatten();
        self.entries
            .get(&index)
            .map(|print| print.term)
            .or_else(|| known.into_iter().find(|id| id.index == index).map(|id| id.term))
    }

    /// Whether it has the entry, in its log or in its snapshot.
    pub fn has(&self, index: LogIndex, print: &Print) -> bool {
        match self.entries.get(&index) {
            Some(here) => here == print,
            None => index <= self.snapshot_index(),
        }
    }

    /// The membership in effect: the newest in the log, or else the snapshot's, or else `initial`.
    pub fn membership<'a>(&'a self, initial: &'a Membership) -> &'a Membership {
        let snapshot = self.snapshot.as_ref().map(|meta| &meta.membership);
        let newest = self.memberships.last_key_value().map(|(_, membership)| membership);
        newest.or(snapshot).unwrap_or(initial)
    }

    /// Does what the operation says. Returns the entries that it removed from the log's end, those that it
    /// replaced by others among them.
    pub fn write(&mut self, op: &ModelOp) -> BTreeMap<LogIndex, Print> {
        let mut removed = BTreeMap::new();
        match op {
            ModelOp::HardState(hard_state) => self.hard_state = *hard_state,
            ModelOp::Append(entries, memberships) => {
                if let Some((first, _)) = entries.first() {
                    removed = self.truncate(*first);
                }
                self.entries.extend(entries.iter().copied());
                self.memberships.extend(memberships.iter().map(|(at, m)| (*at, m.clone())));
            }
            ModelOp::Compact(id) => self.forget(*id),
            ModelOp::Part => {}
            ModelOp::Install(meta, suffix) => {
                match suffix {
                    Suffix::Keep => self.forget(meta.last),
                    Suffix::Discard => {
                        removed = self.truncate(meta.last.index.next());
                        self.entries.clear();
                        self.memberships.clear();
                        self.compacted = meta.last;
                    }
                }
                self.take_snapshot(meta);
            }
        }
        removed
    }

    /// There is a snapshot; it counts if it is newer than the one before.
    pub fn take_snapshot(&mut self, meta: &SnapshotMeta) {
        if self.snapshot.is_none() || self.snapshot_index() < meta.last.index {
            self.snapshot = Some(meta.clone());
        }
    }

    fn truncate(&mut self, from: LogIndex) -> BTreeMap<LogIndex, Print> {
        if self.last().index < from {
            return BTreeMap::new();
        }
        self.memberships.split_off(&from);
        self.entries.split_off(&from)
    }

    fn forget(&mut self, upto: LogId) {
        if upto.index <= self.compacted.index {
            return;
        }
        self.compacted = upto;
        forget_before(&mut self.entries, upto.index.next());
        // The snapshot has the membership as of the compaction.
        forget_before(&mut self.memberships, upto.index.next());
    }
}

/// Forgets what is before `index`; costs what is forgotten.
pub(super) fn forget_before<T>(map: &mut BTreeMap<LogIndex, T>, index: LogIndex) {
    while map.first_key_value().is_some_and(|(first, _)| *first < index) {
        map.pop_first();
    }
}
