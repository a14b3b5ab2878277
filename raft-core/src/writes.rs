//! Numbered writes: what was handed out to be made durable, and how far that has got.
//!
//! A write that was overtaken by a truncation must not count for entries that replaced its own (the ABA
//! of asynchronous writes): a truncation therefore lowers what every pending write can make durable.

use alloc::collections::VecDeque;

use crate::{LogIndex, WriteSeq};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Writes {
    issued: WriteSeq,
    persisted: WriteSeq,
    /// Writes in flight, and up to which index each makes the current log durable.
    pending: VecDeque<(WriteSeq, LogIndex)>,
    /// Everything up to here in the current log is durable.
    durable: LogIndex,
    /// Ticks since the last durable progress while something was pending.
    stalled_ticks: u32,
}

impl Writes {
    pub(crate) fn new(durable: LogIndex) -> Self {
        Self {
            issued: WriteSeq(0),
            persisted: WriteSeq(0),
            pending: VecDeque::new(),
            durable,
            stalled_ticks: 0,
        }
    }

    /// Numbers a write; when it is durable, so is the current log up to `covers`.
    pub(crate) fn issue(&mut self, covers: LogIndex) -> WriteSeq {
        self.issued = self.issued.next();
        self.pending.push_back((self.issued, covers));
        self.issued
    }

    /// The entries from `index` on are not what they were.
    pub(crate) fn truncate(&mut self, index: LogIndex) {
        let keep = index.prev();
        self.durable = self.durable.min(keep);
        for (_, covers) in &mut self.pending {
            *covers = (*covers).min(keep);
        }
    }

    /// This write and all before it are durable.
    pub(crate) fn persist(&mut self, seq: WriteSeq) {
        assert!(seq <= self.issued, "{seq} was never handed out; the last was {}", self.issued);
        while let Some((done, covers)) = self.pending.pop_front_if(|(number, _)| *number <= seq) {
            self.persisted = done;
            self.durable = self.durable.max(covers);
            self.stalled_ticks = 0;
        }
    }

    /// The number of the newest write.
    pub(crate) fn issued(&self) -> WriteSeq {
        self.issued
    }

    /// The number the next write will get.
    pub(crate) fn upcoming(&self) -> WriteSeq {
        self.issued.next()
    }

    pub(crate) fn is_persisted(&self, seq: WriteSeq) -> bool {
        seq <= self.persisted
    }

    pub(crate) fn durable(&self) -> LogIndex {
        self.durable
    }

    pub(crate) fn tick(&mut self) {
        self.stalled_ticks = if self.pending.is_empty() { 0 } else { self.stalled_ticks + 1 };
    }

    pub(crate) fn stalled_ticks(&self) -> u32 {
        self.stalled_ticks
    }
}
