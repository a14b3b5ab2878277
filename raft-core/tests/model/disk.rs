//! A disk: what is durable, what is queued, and what a crash leaves.

use std::collections::VecDeque;

use bytes::Bytes;
use raft_core::{
    Entry, HardState, LogId, LogIndex, NodeId, Persisted, SnapshotChunk, SnapshotMeta, Suffix,
    Write, WriteOp,
};

/// A snapshot in a store.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Snapshot {
    pub(crate) meta: SnapshotMeta,
    pub(crate) data: Bytes,
}

/// What a store holds, if every write so far counts.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Image {
    pub(crate) hard_state: HardState,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) compacted: LogId,
    pub(crate) log: Vec<Entry>,
    /// A snapshot that is being received.
    pub(crate) partial: Option<(SnapshotMeta, Vec<u8>)>,
}

impl Image {
    pub(crate) fn of(persisted: Persisted) -> Self {
        let Persisted { hard_state, compacted, log, .. } = persisted;
        Self { hard_state, compacted, log, ..Self::default() }
    }

    pub(crate) fn persisted(&self) -> Persisted {
        Persisted {
            hard_state: self.hard_state,
            snapshot: self.snapshot.as_ref().map(|snapshot| snapshot.meta.clone()),
            compacted: self.compacted,
            log: self.log.clone(),
        }
    }

    pub(crate) fn last(&self) -> LogId {
        self.log.last().map_or(self.compacted, |entry| entry.id)
    }

    pub(crate) fn get(&self, index: LogIndex) -> Option<&Entry> {
        self.log.get(index.0.checked_sub(self.compacted.index.0 + 1)? as usize)
    }

    /// Whether the image has the entry, in the log or behind its compaction point.
    pub(crate) fn has(&self, entry: &Entry) -> bool {
        entry.id.index <= self.compacted.index || self.get(entry.id.index) == Some(entry)
    }

    /// Applies a write, as the contract of `Storage` says, and returns the entries it overwrote.
    pub(crate) fn apply(&mut self, op: &WriteOp) -> Vec<Entry> {
        match op {
            WriteOp::HardState(hard_state) => self.write_hard_state(*hard_state),
            WriteOp::Append(entries) => return self.append(entries),
            WriteOp::Compact(id) => self.compact(*id),
            WriteOp::Receive { meta, chunk, suffix } => self.receive(meta, chunk, *suffix),
        }
        Vec::new()
    }

    fn write_hard_state(&mut self, new: HardState) {
        let old = self.hard_state;
        assert!(new.term >= old.term, "a durable term never goes back: {old:?} {new:?}");
        assert!(
            new.term > old.term
                || old.voted_for.is_none_or(|candidate| candidate == NodeId::NOBODY)
                || old.voted_for == new.voted_for,
            "a durable vote of a term never changes: {old:?} {new:?}"
        );
        self.hard_state = new;
    }

    fn append(&mut self, entries: &[Entry]) -> Vec<Entry> {
        let first = entries.first().expect("an append is never empty").id.index;
        assert!(first > self.compacted.index, "what is compacted is never written again");
        let keep = (first.0 - self.compacted.index.0 - 1) as usize;
        assert!(keep <= self.log.len(), "a gap in the log of the store");
        let overwritten = self.log.split_off(keep);
        self.log.extend_from_slice(entries);
        let indexes = self.log.windows(2).all(|w| w[0].id.index.next() == w[1].id.index);
        assert!(indexes, "a gap in an append");
        overwritten
    }

    fn compact(&mut self, id: LogId) {
        let covered = self.snapshot.as_ref().is_some_and(|s| s.meta.last.index >= id.index);
        assert!(covered, "only what a durable snapshot covers is compacted");
        if id.index <= self.compacted.index {
            return;
        }
        assert_eq!(self.get(id.index).map(|entry| entry.id), Some(id), "compacts what is there");
        self.log.drain(..(id.index.0 - self.compacted.index.0) as usize);
        self.compacted = id;
    }

    fn receive(&mut self, meta: &SnapshotMeta, chunk: &SnapshotChunk, suffix: Suffix) {
        if chunk.offset == 0 {
            self.partial = Some((meta.clone(), Vec::new()));
        }
        let (of, data) = self.partial.as_mut().expect("a chunk in the middle of nothing");
        assert_eq!((&*of, data.len() as u64), (meta, chunk.offset), "chunks are consecutive");
        data.extend_from_slice(&chunk.data);
        if (data.len() as u64) < chunk.total {
            return;
        }
        let data = self.partial.take().map(|(_, data)| data.into()).unwrap_or_default();
        match suffix {
            Suffix::Keep => {
                let last = meta.last;
                if last.index > self.compacted.index {
                    assert_eq!(self.get(last.index).map(|entry| entry.id), Some(last));
                    self.log.drain(..(last.index.0 - self.compacted.index.0) as usize);
                }
            }
            Suffix::Discard => self.log.clear(),
        }
        self.compacted = meta.last;
        self.install(Snapshot { meta: meta.clone(), data });
    }

    /// A snapshot is durable; an older one never replaces a newer one.
    pub(crate) fn install(&mut self, snapshot: Snapshot) {
        if self.snapshot.as_ref().is_none_or(|old| old.meta.last.index < snapshot.meta.last.index) {
            self.snapshot = Some(snapshot);
        }
    }
}

/// The disk of one node.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Disk {
    pub(crate) durable: Image,
    /// What is durable when all that is queued is: the log in the node's memory.
    pub(crate) latest: Image,
    pub(crate) queue: VecDeque<Write>,
}

impl Disk {
    pub(crate) fn of(persisted: Persisted) -> Self {
        let durable = Image::of(persisted);
        Self { latest: durable.clone(), durable, queue: VecDeque::new() }
    }

    pub(crate) fn write(&mut self, write: Write) -> Vec<Entry> {
        let overwritten = self.latest.apply(&write.op);
        self.queue.push_back(write);
        overwritten
    }

    /// Makes the oldest write durable.
    pub(crate) fn persist(&mut self) -> Option<raft_core::WriteSeq> {
        let write = self.queue.pop_front()?;
        self.durable.apply(&write.op);
        Some(write.seq)
    }

    /// A snapshot the node took itself became durable; it does not go through the queue.
    pub(crate) fn install(&mut self, snapshot: Snapshot) {
        self.durable.install(snapshot.clone());
        self.latest.install(snapshot);
    }

    /// Power loss: what is queued is gone.
    pub(crate) fn crash(&mut self) {
        self.queue.clear();
        self.latest = self.durable.clone();
    }
}
