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

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A disk that holds exactly what was written, and a log whose entries are versions: an index counts
        /// as durable only when the disk has the version that the log has.
        #[test]
        fn never_claims_what_is_not_there(
            steps in prop::collection::vec((0..3_u8, 0..6_u64), 0..60),
        ) {
            let (mut writes, mut versions) = (Writes::new(LogIndex(0)), 0..);
            let (mut log, mut disk): (Vec<u64>, Vec<u64>) = (Vec::new(), Vec::new());
            let mut queue: VecDeque<(WriteSeq, Vec<u64>)> = VecDeque::new();
            for (step, number) in steps {
                match step {
                    // Entries from an index on are replaced, or appended, and handed out.
                    0 | 1 => {
                        let keep = if step == 0 { log.len() } else { log.len().min(number as usize) };
                        if keep < log.len() {
                            writes.truncate(LogIndex(keep as u64 + 1));
                            log.truncate(keep);
                        }
                        log.extend(versions.next());
                        let seq = writes.issue(LogIndex(log.len() as u64), 0);
                        queue.push_back((seq, log.clone()));
                    }
                    _ => {
                        let count = (number as usize).min(queue.len());
                        if let Some((seq, written)) = queue.drain(..count).next_back() {
                            disk = written;
                            writes.persist(seq);
                        }
                    }
                }
                let durable = writes.durable().0 as usize;
                prop_assert_eq!(log.get(..durable), disk.get(..durable));
                prop_assert!(!queue.is_empty() || durable == log.len());
            }
        }
    }
}
