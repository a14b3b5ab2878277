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
    pending: VecDeque<Pending>,
    pending_bytes: u64,
    /// Everything up to here in the current log is durable.
    durable: LogIndex,
    /// Ticks since the last durable progress while something was pending.
    stalled_ticks: u32,
}

/// A write in flight.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Pending {
    seq: WriteSeq,
    /// Up to which index it makes the current log durable.
    covers: LogIndex,
    bytes: u64,
}

impl Writes {
    pub(crate) fn new(durable: LogIndex) -> Self {
        Self {
            issued: WriteSeq(0),
            persisted: WriteSeq(0),
            pending: VecDeque::new(),
            pending_bytes: 0,
            durable,
            stalled_ticks: 0,
        }
    }

    /// Numbers a write of `bytes`; when it is durable, so is the current log up to `covers`.
    pub(crate) fn issue(&mut self, covers: LogIndex, bytes: u64) -> WriteSeq {
        self.issued = self.issued.next();
        self.pending.push_back(Pending { seq: self.issued, covers, bytes });
        self.pending_bytes += bytes;
        self.issued
    }

    /// The entries from `index` on are not what they were.
    pub(crate) fn truncate(&mut self, index: LogIndex) {
        let keep = index.prev();
        self.durable = self.durable.min(keep);
        for write in &mut self.pending {
            write.covers = write.covers.min(keep);
        }
    }

    /// This write and all before it are durable.
    pub(crate) fn persist(&mut self, seq: WriteSeq) {
        assert!(seq <= self.issued, "{seq} was never handed out; the last was {}", self.issued);
        while let Some(done) = self.pending.pop_front_if(|write| write.seq <= seq) {
            self.persisted = done.seq;
            self.pending_bytes -= done.bytes;
            self.durable = self.durable.max(done.covers);
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

    /// Bytes of entries and chunks that were handed out and are not durable yet.
    pub(crate) fn pending_bytes(&self) -> u64 {
        self.pending_bytes
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
