//! Which membership is in effect at which index.
//!
//! A membership counts from the moment its entry is in the log, committed or not (paper, section 6), and
//! ceases to count when the entry is truncated. A snapshot needs the one at its own index, which may be
//! older than the current one.

use alloc::vec::Vec;

use crate::{Entry, LogIndex, Membership, Payload};

/// Memberships with the index from which on each is in effect, in order; never empty.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Memberships {
    /// The oldest that is known.
    base: (LogIndex, Membership),
    later: Vec<(LogIndex, Membership)>,
}

impl Memberships {
    pub(crate) fn new(from: LogIndex, base: Membership) -> Self {
        Self { base: (from, base), later: Vec::new() }
    }

    /// The newest.
    pub(crate) fn current(&self) -> &Membership {
        &self.later.last().unwrap_or(&self.base).1
    }

    /// From which index on the newest is in effect, as far as is known: where its entry stands, or where a
    /// snapshot that has it ends.
    pub(crate) fn since(&self) -> LogIndex {
        self.later.last().unwrap_or(&self.base).0
    }

    /// The one before the newest, if that is known.
    pub(crate) fn previous(&self) -> Option<&Membership> {
        let before = self.later.len().checked_sub(2).map(|at| &self.later[at]);
        let before = before.or_else(|| (!self.later.is_empty()).then_some(&self.base));
        before.map(|(_, membership)| membership)
    }

    /// The one in effect at `index`; `None` when that was too long ago.
    pub(crate) fn at(&self, index: LogIndex) -> Option<&Membership> {
        let newest_first = self.later.iter().rev().chain(core::iter::once(&self.base));
        newest_first.into_iter().find(|(from, _)| *from <= index).map(|(_, membership)| membership)
    }

    /// An entry was appended.
    pub(crate) fn observe(&mut self, entry: &Entry) {
        if let Payload::Membership(membership) = &entry.payload {
            self.later.push((entry.id.index, (**membership).clone()));
        }
    }

    /// The entries from `index` on were truncated.
    pub(crate) fn truncate(&mut self, index: LogIndex) {
        if planted!(MembershipNotRolledBack) {
            return;
        }
        self.later.retain(|(from, _)| *from < index);
    }

    /// A snapshot says what is in effect at `index`; later changes stand.
    pub(crate) fn rebase(&mut self, index: LogIndex, membership: Membership) {
        self.later.retain(|(from, _)| *from > index);
        self.base = (index, membership);
    }

    /// Nobody will ask about indexes before `index`.
    pub(crate) fn forget_before(&mut self, index: LogIndex) {
        let done = self.later.partition_point(|(from, _)| *from <= index);
        if let Some(newest) = self.later.drain(..done).next_back() {
            self.base = newest;
        }
    }
}
