//! Snapshot files: written beside, synced, renamed, and the directory synced.
//!
//! A group has one snapshot, the newest. A file has its final name only once all of it is durable; what still
//! has a temporary name at open is left over from a crash and is removed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use raft_core::{
    BoxFuture, GroupId, LogId, SnapshotMeta, SnapshotReader, SnapshotWriter, StorageError,
};

use crate::disk::{Disk, DiskError, DiskLock, OpenMode};
use crate::health::Health;

pub(crate) mod format;
mod reader;
mod writer;

use reader::{FileReader, OpenError};
pub(crate) use writer::FileWriter;
use writer::Temp;

/// How the snapshot files of `group` are named, for messages.
pub(crate) fn pattern(group: GroupId) -> String {
    format!("snapshot-{:016x}-*.snap", group.0)
}

/// The snapshots of all groups.
pub(crate) struct SnapshotStore {
    disk: Arc<dyn Disk>,
    lock: DiskLock,
    health: Arc<Health>,
    /// Whoever reads one of these files shares its `Arc`.
    newest: Mutex<BTreeMap<GroupId, Arc<SnapshotMeta>>>,
    /// Found at open: temporary files, and snapshots that a newer one has replaced.
    left_over: Mutex<Vec<String>>,
    temps: AtomicU64,
    has_spare: AtomicBool,
    /// One file gets its final name at a time.
    installing: tokio::sync::Mutex<()>,
}

impl SnapshotStore {
    /// Finds the newest snapshot of each group. Removes nothing: the directory may yet be refused.
    pub(crate) async fn open(
        disk: Arc<dyn Disk>,
        lock: DiskLock,
        health: Arc<Health>,
    ) -> Result<Self, StorageError> {
        let mut last: BTreeMap<GroupId, LogId> = BTreeMap::new();
        let mut old = Vec::new();
        for name in disk.list().await? {
            if format::is_temp_name(&name) {
                old.push(name);
            } else if let Some((group, id)) = format::parse_file_name(&name) {
                let newest = last.entry(group).or_insert(id);
                if (id.index, id.term) > (newest.index, newest.term) {
                    old.push(format::file_name(group, *newest));
                    *newest = id;
                } else if id != *newest {
                    old.push(name);
                }
            }
        }
        let mut newest = BTreeMap::new();
        for (group, id) in last {
            newest.insert(group, Arc::new(Self::check(&*disk, group, id).await?));
        }
        let (newest, left_over) = (Mutex::new(newest), Mutex::new(old));
        let (temps, has_spare) = (AtomicU64::new(0), AtomicBool::new(false));
        let installing = tokio::sync::Mutex::new(());
        Ok(Self { disk, lock, health, newest, left_over, temps, has_spare, installing })
    }

    /// Removes what is left over from before. Called once the directory is accepted.
    pub(crate) async fn tidy(&self) -> Result<(), DiskError> {
        let names =
            std::mem::take(&mut *self.left_over.lock().unwrap_or_else(PoisonError::into_inner));
        for name in &names {
            self.disk.remove(name).await?;
        }
        Ok(())
    }

    async fn check(
        disk: &dyn Disk,
        group: GroupId,
        id: LogId,
    ) -> Result<SnapshotMeta, StorageError> {
        let name = format::file_name(group, id);
        let reader = match FileReader::open(disk, name.clone()).await {
            Ok(reader) => reader,
            Err(OpenError::Failed(error)) => return Err(error),
            Err(OpenError::NotFound) => {
                return Err(crate::wal::corrupt(name, 0, "the file went away while it was opened"));
            }
        };
        if (reader.header.group, reader.header.meta.last) != (group, id) {
            return Err(crate::wal::corrupt(
                name,
                0,
                "the snapshot is of something else than its name says",
            ));
        }
        Ok(reader.header.meta)
    }

    fn map(&self) -> MutexGuard<'_, BTreeMap<GroupId, Arc<SnapshotMeta>>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn groups(&self) -> Vec<GroupId> {
        self.map().keys().copied().collect()
    }

    pub(crate) fn newest(&self, group: GroupId) -> Option<Arc<SnapshotMeta>> {
        self.map().get(&group).cloned()
    }

    pub(crate) async fn create(
        &self,
        group: GroupId,
        meta: SnapshotMeta,
    ) -> Result<FileWriter, StorageError> {
        let name = format::temp_name(group, self.temps.fetch_add(1, Ordering::Relaxed));
        // Whatever is wrong with the spare, there is another way.
        let reused = self.has_spare.swap(false, Ordering::Relaxed)
            && self.disk.rename(format::SPARE_NAME, &name).await.is_ok();
        let mode = if reused { OpenMode::Write } else { OpenMode::Create };
        let file = self.disk.open(&name, mode).await?;
        let temp = Temp::new(name, Arc::clone(&self.disk), self.lock.clone());
        Ok(FileWriter::new(temp, file, group, meta))
    }

    pub(crate) async fn open_newest(
        &self,
        group: GroupId,
    ) -> Result<Option<FileReader>, StorageError> {
        let mut missing = None;
        loop {
            let Some(meta) = self.newest(group) else { return Ok(None) };
            let name = format::file_name(group, meta.last);
            match FileReader::open(&*self.disk, name.clone()).await {
                Ok(reader) => return Ok(Some(reader.sharing(meta))),
                Err(OpenError::Failed(error)) => return Err(error),
                // Replaced in the meantime; the same one missing twice was not.
                Err(OpenError::NotFound) if missing == Some(meta.last) => {
                    return Err(crate::wal::corrupt(name, 0, "the snapshot file is missing"));
                }
                Err(OpenError::NotFound) => missing = Some(meta.last),
            }
        }
    }

    /// Makes a complete file the group's snapshot, unless the store has a later one.
    pub(crate) async fn install(&self, writer: FileWriter) -> Result<(), StorageError> {
        self.health.check()?;
        let (group, meta) = (writer.group, writer.meta.clone());
        let outcome = self.install_file(writer, group, meta).await;
        match &outcome {
            // No space is no damage: the file is dropped and the log goes on.
            Err(StorageError::Io { is_full: true, .. }) | Ok(()) => {}
            Err(error) => self.health.fail(error),
        }
        outcome
    }

    async fn install_file(
        &self,
        writer: FileWriter,
        group: GroupId,
        meta: SnapshotMeta,
    ) -> Result<(), StorageError> {
        let temp = writer.complete().await?;
        let _one = self.installing.lock().await;
        let old = self.newest(group);
        if old.as_ref().is_some_and(|old| old.last.index > meta.last.index) {
            return Ok(());
        }
        let name = format::file_name(group, meta.last);
        self.disk.rename(&temp.name, &name).await?;
        temp.keep();
        if !planted!(SnapshotNameNotSynced) {
            self.disk.sync_dir().await?;
        }
        let last = meta.last;
        self.map().insert(group, Arc::new(meta));
        if let Some(old) = old.filter(|old| old.last != last) {
            // Left behind it is harmless: the next open removes it.
            let _ = self.retire(group, old).await;
        }
        Ok(())
    }

    /// Keeps the file of a replaced snapshot for the next one to be written over: the system takes tens of
    /// milliseconds to free a large file, and the log's syncs wait meanwhile. Not while somebody reads it.
    async fn retire(&self, group: GroupId, old: Arc<SnapshotMeta>) -> Result<(), DiskError> {
        let name = format::file_name(group, old.last);
        if Arc::into_inner(old).is_none() {
            return self.disk.remove(&name).await;
        }
        self.disk.rename(&name, format::SPARE_NAME).await?;
        self.has_spare.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// A snapshot that this node takes.
pub(crate) struct LocalWriter {
    pub(crate) store: Arc<SnapshotStore>,
    pub(crate) file: FileWriter,
}

impl SnapshotWriter for LocalWriter {
    fn write(&mut self, data: Bytes) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async move { self.file.write(&data).await })
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<(), StorageError>> {
        Box::pin(async move { self.store.install(self.file).await })
    }
}

/// Opens the newest snapshot for reading, as the trait wants it.
pub(crate) async fn open_boxed(
    store: &SnapshotStore,
    group: GroupId,
) -> Result<Option<Box<dyn SnapshotReader>>, StorageError> {
    let reader = store.open_newest(group).await?;
    Ok(reader.map(|reader| Box::new(reader) as Box<dyn SnapshotReader>))
}
