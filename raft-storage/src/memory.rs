//! [`MemoryStorage`]: the same rules without a disk.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use raft_core::{
    BoxFuture, Entry, GroupId, HardState, LogId, LogIndex, Persisted, SnapshotChunk, SnapshotMeta,
    SnapshotReader, SnapshotWriter, Storage, StorageError, Suffix, Write, WriteOp,
};

/// A [`Storage`] in memory, for tests and for measurements. Writes are "durable" at once and never wait; a
/// clone is the same store, so that a node can be "restarted" on it.
#[derive(Clone, Default)]
pub struct MemoryStorage {
    groups: Arc<Mutex<BTreeMap<GroupId, Group>>>,
}

#[derive(Default)]
struct Group {
    hard_state: HardState,
    compacted: LogId,
    log: VecDeque<Entry>,
    snapshot: Option<Snapshot>,
    receiving: Option<(SnapshotMeta, BytesMut)>,
}

#[derive(Clone)]
struct Snapshot {
    meta: SnapshotMeta,
    data: Bytes,
}

impl MemoryStorage {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn groups(&self) -> MutexGuard<'_, BTreeMap<GroupId, Group>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn install(&self, group: GroupId, snapshot: Snapshot) {
        self.groups().entry(group).or_default().install(snapshot);
    }
}

impl Group {
    fn apply(&mut self, group: GroupId, op: WriteOp) -> Result<(), StorageError> {
        match op {
            WriteOp::HardState(state) => self.hard_state = state,
            WriteOp::Append(entries) => {
                if let Some(first) = entries.first() {
                    let keep = first.id.index.0.saturating_sub(self.compacted.index.0 + 1);
                    self.log.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
                }
                self.log.extend(entries);
            }
            WriteOp::Compact(id) => self.compact(id),
            WriteOp::Receive { meta, chunk, suffix } => self.receive(group, meta, chunk, suffix)?,
        }
        Ok(())
    }

    fn compact(&mut self, id: LogId) {
        if id.index > self.compacted.index {
            let gone = (id.index.0 - self.compacted.index.0).min(self.log.len() as u64);
            self.log.drain(..gone as usize);
            self.compacted = id;
        }
    }

    fn receive(
        &mut self,
        group: GroupId,
        meta: SnapshotMeta,
        chunk: SnapshotChunk,
        suffix: Suffix,
    ) -> Result<(), StorageError> {
        if chunk.offset == 0 {
            self.receiving = Some((meta.clone(), BytesMut::new()));
        }
        let part = self.receiving.as_mut();
        let part = part.filter(|(of, data)| *of == meta && data.len() as u64 == chunk.offset);
        let (Some((_, data)), Some(end)) = (part, chunk.end()) else {
            let (last, offset) = (meta.last, chunk.offset);
            return Err(StorageError::Refused {
                reason: format!(
                    "a chunk of group {group}'s snapshot of {last} at offset {offset} does not continue \
                     what was received: the snapshot has to be begun anew at offset 0"
                ),
            });
        };
        if crc32fast::hash(&chunk.data) != chunk.checksum {
            return Err(StorageError::Corrupt {
                file: format!("a received chunk of group {group}'s snapshot"),
                offset: chunk.offset,
                reason: "its checksum is wrong".to_owned(),
                remedy: "nothing was written; receive the snapshot again".to_owned(),
            });
        }
        data.extend_from_slice(&chunk.data);
        if end == chunk.total {
            let data = std::mem::take(data).freeze();
            self.receiving = None;
            match suffix {
                Suffix::Keep => self.compact(meta.last),
                Suffix::Discard => {
                    self.log.clear();
                    self.compacted = meta.last;
                }
            }
            self.install(Snapshot { meta, data });
        }
        Ok(())
    }

    fn install(&mut self, snapshot: Snapshot) {
        let later = |old: &Snapshot| old.meta.last.index > snapshot.meta.last.index;
        if !self.snapshot.as_ref().is_some_and(later) {
            self.snapshot = Some(snapshot);
        }
    }

    /// What a restart finds: as on a disk, a snapshot that the log does not reach replaces the log.
    fn load(&mut self) -> Persisted {
        let meta = self.snapshot.as_ref().map(|snapshot| snapshot.meta.clone());
        if let Some(last) = meta.as_ref().map(|meta| meta.last)
            && last.index > self.compacted.index
            && self.at(last.index) != Some(last)
        {
            self.log.clear();
            self.compacted = last;
        }
        Persisted {
            hard_state: self.hard_state,
            snapshot: meta,
            compacted: self.compacted,
            log: self.log.iter().cloned().collect(),
        }
    }

    fn at(&self, index: LogIndex) -> Option<LogId> {
        let at = index.0.checked_sub(self.compacted.index.0 + 1)?;
        self.log.get(usize::try_from(at).ok()?).map(|entry| entry.id)
    }
}

impl Storage for MemoryStorage {
    fn groups(&self) -> BoxFuture<'_, Result<Vec<GroupId>, StorageError>> {
        Box::pin(async move { Ok(self.groups().keys().copied().collect()) })
    }

    fn load(&self, group: GroupId) -> BoxFuture<'_, Result<Persisted, StorageError>> {
        Box::pin(
            async move { Ok(self.groups().get_mut(&group).map(Group::load).unwrap_or_default()) },
        )
    }

    fn write(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async move {
            let mut groups = self.groups();
            for write in writes {
                groups.entry(write.group).or_default().apply(write.group, write.op)?;
            }
            Ok(())
        })
    }

    fn create_snapshot(
        &self,
        group: GroupId,
        meta: SnapshotMeta,
    ) -> BoxFuture<'_, Result<Box<dyn SnapshotWriter>, StorageError>> {
        let writer = MemoryWriter { store: self.clone(), group, meta, data: BytesMut::new() };
        Box::pin(async move { Ok(Box::new(writer) as Box<dyn SnapshotWriter>) })
    }

    fn open_snapshot(
        &self,
        group: GroupId,
    ) -> BoxFuture<'_, Result<Option<Box<dyn SnapshotReader>>, StorageError>> {
        Box::pin(async move {
            let snapshot = self.groups().get(&group).and_then(|group| group.snapshot.clone());
            Ok(snapshot.map(|snapshot| Box::new(MemoryReader(snapshot)) as Box<dyn SnapshotReader>))
        })
    }
}

struct MemoryWriter {
    store: MemoryStorage,
    group: GroupId,
    meta: SnapshotMeta,
    data: BytesMut,
}

impl SnapshotWriter for MemoryWriter {
    fn write(&mut self, data: Bytes) -> BoxFuture<'_, Result<(), StorageError>> {
        self.data.extend_from_slice(&data);
        Box::pin(async { Ok(()) })
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<(), StorageError>> {
        Box::pin(async move {
            let snapshot = Snapshot { meta: self.meta, data: self.data.freeze() };
            self.store.install(self.group, snapshot);
            Ok(())
        })
    }
}

struct MemoryReader(Snapshot);

impl SnapshotReader for MemoryReader {
    fn meta(&self) -> &SnapshotMeta {
        &self.0.meta
    }

    fn total(&self) -> u64 {
        self.0.data.len() as u64
    }

    fn read(&mut self, offset: u64, max: usize) -> BoxFuture<'_, Result<Bytes, StorageError>> {
        let len = self.0.data.len();
        let begin = usize::try_from(offset).unwrap_or(len).min(len);
        let data = self.0.data.slice(begin..begin.saturating_add(max).min(len));
        Box::pin(async move { Ok(data) })
    }
}
