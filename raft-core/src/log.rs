//! The retained log, in memory.
//!
//! A node holds the entries after its compaction point; snapshots bound how many those are. Holding them
//! here keeps the core free of I/O: a store is read only when a node starts.
//!
//! Invariants, asserted in every build:
//! 1. indexes are consecutive, from `compacted.index + 1` on;
//! 2. terms never decrease (paper, section 5.3);
//! 3. nothing at or before `compacted` is ever truncated.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::{Entry, LogId, LogIndex, Term};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Log {
    /// The entry before the first that is held.
    compacted: LogId,
    entries: VecDeque<Entry>,
    bytes: u64,
}

impl Log {
    pub(crate) fn new(compacted: LogId, entries: Vec<Entry>) -> Self {
        let mut log = Self { compacted, entries: VecDeque::with_capacity(entries.len()), bytes: 0 };
        for entry in entries {
            log.push(entry);
        }
        log
    }

    pub(crate) fn compacted(&self) -> LogId {
        self.compacted
    }

    pub(crate) fn last(&self) -> LogId {
        self.entries.back().map_or(self.compacted, |entry| entry.id)
    }

    pub(crate) fn last_index(&self) -> LogIndex {
        self.last().index
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The entry at `index`, if it is held.
    pub(crate) fn get(&self, index: LogIndex) -> Option<&Entry> {
        let at = index.0.checked_sub(self.compacted.index.0 + 1)?;
        self.entries.get(usize::try_from(at).ok()?)
    }

    /// The term of the entry at `index`; known for held entries and for the compaction point.
    pub(crate) fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index == self.compacted.index {
            return Some(self.compacted.term);
        }
        self.get(index).map(|entry| entry.id.term)
    }

    /// Whether the log holds, or was compacted exactly behind, the entry `id`.
    pub(crate) fn contains(&self, id: LogId) -> bool {
        self.term_at(id.index) == Some(id.term)
    }

    /// The last entry at or before `index` whose term is at most `term`: the place to try next when two
    /// logs disagree (paper, end of section 5.3). Not before the compaction point.
    pub(crate) fn last_of_term_at_most(&self, term: Term, index: LogIndex) -> LogId {
        let upto = index.0.saturating_sub(self.compacted.index.0).min(self.entries.len() as u64);
        let count = self.entries.partition_point(|entry| entry.id.term <= term).min(upto as usize);
        match count.checked_sub(1) {
            Some(at) => self.entries[at].id,
            None => self.compacted,
        }
    }

    /// Appends one entry.
    pub(crate) fn push(&mut self, entry: Entry) {
        let last = self.last();
        assert_eq!(entry.id.index, last.index.next(), "the log has no gaps");
        assert!(entry.id.term >= last.term, "terms in the log never decrease");
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
    }

    /// Removes the entries from `index` on, and returns how many bytes they had.
    pub(crate) fn truncate(&mut self, index: LogIndex) -> u64 {
        assert!(
            index > self.compacted.index,
            "what is compacted is committed, and never truncated"
        );
        let keep = (index.0 - self.compacted.index.0 - 1) as usize;
        let removed: u64 = self.entries.iter().skip(keep).map(Entry::bytes).sum();
        self.entries.truncate(keep);
        self.bytes -= removed;
        removed
    }

    /// Forgets the first entry and gives it back.
    pub(crate) fn pop_front(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.bytes -= entry.bytes();
        self.compacted = entry.id;
        Some(entry)
    }

    /// Forgets everything and goes on after `id`.
    pub(crate) fn reset(&mut self, id: LogId) {
        self.entries.clear();
        self.bytes = 0;
        self.compacted = id;
    }

    /// The held entries with indexes in `[from, to]`.
    pub(crate) fn range(
        &self,
        from: LogIndex,
        to: LogIndex,
    ) -> alloc::collections::vec_deque::Iter<'_, Entry> {
        let base = self.compacted.index.0 + 1;
        let len = self.entries.len();
        let begin = (from.0.saturating_sub(base) as usize).min(len);
        let end = ((to.0 + 1).saturating_sub(base) as usize).clamp(begin, len);
        self.entries.range(begin..end)
    }

    /// The entries in `[from, to]`, as many as fit into `bytes_max`, but at least one if there is any;
    /// and what they count.
    pub(crate) fn batch(&self, from: LogIndex, to: LogIndex, bytes_max: u64) -> (Vec<Entry>, u64) {
        let (mut count, mut bytes) = (0, 0);
        let rest = self.range(from, to);
        for entry in rest.clone() {
            let with = bytes + entry.bytes();
            if count > 0 && with > bytes_max {
                break;
            }
            (count, bytes) = (count + 1, with);
        }
        let mut entries = Vec::with_capacity(count);
        entries.extend(rest.take(count).cloned());
        (entries, bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Payload;

    proptest! {
        /// A log does what a plain list does: (0) push, (1) truncate, (2) forget the first.
        #[test]
        fn agrees_with_a_list(steps in prop::collection::vec((0..4_u8, 0..8_u64), 0..60)) {
            let mut log = Log::new(LogId::ZERO, Vec::new());
            let (mut list, mut first): (Vec<LogId>, usize) = (alloc::vec![LogId::ZERO], 0);
            for (step, number) in steps {
                match step {
                    0 | 3 => {
                        let last = *list.last().expect("never empty");
                        let id = LogId::new(Term(last.term.0 + number / 6), last.index.next());
                        log.push(Entry { id, payload: Payload::Noop });
                        list.push(id);
                    }
                    1 => {
                        let index = first + 1 + (number as usize) % (list.len() - first);
                        log.truncate(LogIndex(index as u64));
                        list.truncate(index);
                    }
                    _ => {
                        log.pop_front();
                        first = (first + 1).min(list.len() - 1);
                    }
                }
                prop_assert_eq!((log.compacted(), log.last()), (list[first], list[list.len() - 1]));
                prop_assert_eq!(log.bytes(), 64 * (list.len() - 1 - first) as u64);
                for index in 0..list.len() + 2 {
                    let known = list.get(index).filter(|_| index >= first).map(|id| id.term);
                    prop_assert_eq!(log.term_at(LogIndex(index as u64)), known);
                    let mut held = list[first + 1..].iter();
                    let fits = |id: &&LogId| id.term.0 <= number && id.index.0 <= index as u64;
                    let expected = held.rfind(fits).copied().unwrap_or(list[first]);
                    let hint = log.last_of_term_at_most(Term(number), LogIndex(index as u64));
                    prop_assert_eq!(hint, expected);
                }
            }
        }
    }
}
