//! What the records of one group add up to.

use std::collections::BTreeMap;

use raft_core::{
    Entry, GroupId, HardState, LogId, LogIndex, Persisted, SnapshotMeta, StorageError, Suffix,
};

use super::format::Origin;
use super::record::{Record, entry_bytes};
use super::scan::corrupt;

/// A group while its records are read.
///
/// Reading begins at the oldest segment left, so entries that were compacted or overwritten later may be
/// missing on the way; only the end result has to be without gaps.
#[derive(Default)]
pub(crate) struct GroupReplay {
    hard_state: HardState,
    compacted: LogId,
    entries: BTreeMap<LogIndex, Placed>,
}

/// An entry, and the newest segment that has it.
struct Placed {
    entry: Entry,
    segment: u64,
}

/// Whether the log on the disk has yet to be told of a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reconciled {
    /// Log and snapshot agree.
    Agreed,
    /// A crash came between the snapshot and its record: the log was discarded just now, and that has to be
    /// written before anything else.
    Discarded(LogId),
}

/// Where a live entry stands: its index, the bytes of its record, its segment.
pub(crate) type Place = (LogIndex, u64, u64);

impl GroupReplay {
    pub(crate) fn apply(&mut self, record: Record, segment: u64) {
        match record {
            Record::HardState(state) => self.hard_state = state,
            Record::Entry(origin, entry) => {
                let index = entry.id.index;
                if origin == Origin::Appended && !planted!(TruncationLost) {
                    self.truncate(index);
                }
                if index > self.compacted.index {
                    self.entries.insert(index, Placed { entry, segment });
                }
            }
            Record::Compacted(id) => self.compact(id),
            Record::Installed(id, Suffix::Keep) => self.compact(id),
            Record::Installed(id, Suffix::Discard) => {
                self.entries.clear();
                self.compacted = id;
            }
            Record::GroupState(state, compacted) => {
                self.hard_state = state;
                self.compact(compacted);
            }
            Record::OldestNeeded { .. } => {}
        }
    }

    fn truncate(&mut self, from: LogIndex) {
        if self.entries.last_key_value().is_some_and(|(last, _)| *last >= from) {
            self.entries.split_off(&from);
        }
    }

    fn compact(&mut self, id: LogId) {
        if id.index > self.compacted.index {
            self.compacted = id;
            self.entries = self.entries.split_off(&id.index.next());
        }
    }

    /// Brings log and snapshot together and checks what must hold of them.
    pub(crate) fn reconcile(
        &mut self,
        group: GroupId,
        snapshot: Option<&SnapshotMeta>,
    ) -> Result<Reconciled, StorageError> {
        let last = snapshot.map_or(LogId::ZERO, |meta| meta.last);
        if self.compacted.index > last.index
            || (self.compacted.index == last.index && self.compacted != last)
        {
            return Err(corrupt(
                crate::snapshot::pattern(group),
                0,
                format!(
                    "the log of group {group} is compacted up to {} and the newest snapshot here is \
                     of {last}: a snapshot is missing",
                    self.compacted
                ),
            ));
        }
        let mut outcome = Reconciled::Agreed;
        if self.compacted.index < last.index && self.term_of(last.index) != Some(last) {
            self.entries.clear();
            self.compacted = last;
            outcome = Reconciled::Discarded(last);
        }
        self.check(group)?;
        Ok(outcome)
    }

    fn term_of(&self, index: LogIndex) -> Option<LogId> {
        self.entries.get(&index).map(|placed| placed.entry.id)
    }

    fn check(&self, group: GroupId) -> Result<(), StorageError> {
        let mut expected = self.compacted.index.next();
        for index in self.entries.keys() {
            if *index != expected {
                let reason =
                    format!("the log of group {group} has no entry {expected} before {index}");
                return Err(corrupt("the log".to_owned(), 0, reason));
            }
            expected = index.next();
        }
        let last = self.entries.values().next_back().map_or(LogId::ZERO, |placed| placed.entry.id);
        if last.term > self.hard_state.term {
            let reason = format!(
                "group {group} has an entry of {} and a hard state of {}: the hard state is missing",
                last.term, self.hard_state.term
            );
            return Err(corrupt("the log".to_owned(), 0, reason));
        }
        Ok(())
    }

    pub(crate) fn hard_state(&self) -> HardState {
        self.hard_state
    }

    pub(crate) fn compacted(&self) -> LogId {
        self.compacted
    }

    /// Where each entry stands, in order.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        self.entries
            .iter()
            .map(|(index, placed)| (*index, entry_bytes(&placed.entry) as u64, placed.segment))
    }

    pub(crate) fn into_persisted(self, snapshot: Option<SnapshotMeta>) -> Persisted {
        Persisted {
            hard_state: self.hard_state,
            snapshot,
            compacted: self.compacted,
            log: self.entries.into_values().map(|placed| placed.entry).collect(),
        }
    }
}
