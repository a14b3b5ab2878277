//! What was sent, and what became of it.

use std::collections::BTreeMap;

use super::{HostId, Kind};

/// How many, and how much.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Count {
    /// Sent.
    pub messages: u64,
    /// Their sizes.
    pub bytes: u64,
    /// Of them, lost on the way.
    pub lost: u64,
    /// Of them, those that arrived twice.
    pub doubled: u64,
    /// Of them, those that took a detour.
    pub detours: u64,
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.detours += other.detours;
    }
}

/// What was sent since the beginning, or since the last reset: for each directed link and kind.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Traffic {
    counts: BTreeMap<(HostId, HostId, Kind), Count>,
}

impl Traffic {
    pub(super) fn sent(&mut self, from: HostId, to: HostId, kind: Kind, bytes: u64) {
        let count = self.counts.entry((from, to, kind)).or_default();
        count.messages += 1;
        count.bytes += bytes;
    }

    pub(super) fn lost(&mut self, from: HostId, to: HostId, kind: Kind) {
        self.counts.entry((from, to, kind)).or_default().lost += 1;
    }

    pub(super) fn doubled(&mut self, from: HostId, to: HostId, kind: Kind) {
        self.counts.entry((from, to, kind)).or_default().doubled += 1;
    }

    pub(super) fn detour(&mut self, from: HostId, to: HostId, kind: Kind) {
        self.counts.entry((from, to, kind)).or_default().detours += 1;
    }

    /// The sum over everything for which `which` says so.
    pub fn sum(&self, mut which: impl FnMut(HostId, HostId, Kind) -> bool) -> Count {
        let mut sum = Count::default();
        for ((from, to, kind), count) in &self.counts {
            if which(*from, *to, *kind) {
                sum += *count;
            }
        }
        sum
    }

    /// Everything.
    pub fn total(&self) -> Count {
        self.sum(|_, _, _| true)
    }

    /// Messages that ask for something, as the labs count remote procedure calls: replies do not count.
    pub fn requests(&self) -> u64 {
        self.sum(|_, _, kind| !kind.is_reply()).messages
    }
}
