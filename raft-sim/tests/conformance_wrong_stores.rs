//! Deliberately wrong stores: each fails the kit for its own reason.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use raft_core::{
    BoxFuture, ClusterId, Entry, GroupId, Incarnation, LogId, LogIndex, NodeId, Payload, Persisted,
    SnapshotMeta, SnapshotReader, SnapshotWriter, Storage, StorageError, Write, WriteOp,
};
use raft_sim::Mount;
use raft_sim::conformance::{StorageKit, StorageProperty as Property, Violation};
use raft_storage::{
    Disk, DiskError, DiskFile, DiskLock, Durability, Identity, OpenMode, Wal, WalOptions,
};

const IDENTITY: Identity =
    Identity { cluster: ClusterId(7), node: NodeId(1), incarnation: Incarnation(0x5eed) };

const SMALL: WalOptions = WalOptions { segment_bytes: 4096, segments_max: 4, fill_bytes: 1024 };

/// What is wrong with a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wrong {
    /// It acknowledges writes to the log before they are synced.
    AcknowledgesBeforeSync,
    /// It does not sync the directory after a snapshot has got its name.
    ForgetsDirectory,
    /// It does not sync what a killed process has left, and answers for it.
    TrustsCache,
    /// It takes a failed write for a good one.
    IgnoresFailedWrite,
    /// It goes on after a failed write.
    GoesOnAfterFailure,
    /// It leaves out what it cannot read.
    DropsUnreadable,
    /// It overwrites entries and keeps those that stood after them.
    LosesTruncation,
    ForgetsVote,
    ForgetsEmptyCommands,
    ForgetsFirstEntry,
    InventsEntry,
    /// It makes the writes of a call durable group by group, the last group first.
    WritesBackwards,
    /// A snapshot is acknowledged and made durable later.
    FinishesLater,
    /// A snapshot can be opened before it is durable; it is acknowledged in time.
    ShowsEarly,
    /// A snapshot can be opened before it is finished.
    ShowsUnfinished,
    /// A reader follows the newest snapshot.
    ReadsNewest,
    AltersSnapshots,
    /// A snapshot that did not fit ends the store.
    DiesOfFullDisk,
    TakesAnyChunk,
    ListsBackwards,
    Hangs,
}

type Early = BTreeMap<GroupId, (SnapshotMeta, Bytes)>;

struct WrongStore {
    wal: Arc<Wal>,
    wrong: Wrong,
    failed: Arc<AtomicBool>,
    /// The logs as they were written, for the store that loses truncations.
    logs: Mutex<BTreeMap<GroupId, BTreeMap<LogIndex, Entry>>>,
    early: Arc<Mutex<Early>>,
}

async fn open(mount: Mount, wrong: Wrong) -> Result<WrongStore, StorageError> {
    let renamed = AtomicBool::new(false);
    let disk = Arc::new(WrongDisk { mount: mount.clone(), wrong, renamed });
    let wal = loop {
        match (Wal::open(disk.clone(), IDENTITY, SMALL).await, wrong) {
            (Err(StorageError::Corrupt { file, offset, .. }), Wrong::DropsUnreadable) => {
                if file.ends_with(".wal") && offset >= 512 {
                    mount.open(&file, OpenMode::Write).await?.set_len(offset).await?;
                } else {
                    mount.remove(&file).await?;
                }
                for later in mount.list().await? {
                    if file.ends_with(".wal") && later.ends_with(".wal") && later > file {
                        mount.remove(&later).await?;
                    }
                }
            }
            (opened, _) => break opened?,
        }
    };
    let (failed, logs, early) = Default::default();
    Ok(WrongStore { wal: Arc::new(wal), wrong, failed, logs, early })
}

impl WrongStore {
    fn alter(&self, write: &mut Write) {
        match (&mut write.op, self.wrong) {
            (WriteOp::HardState(state), Wrong::ForgetsVote) => state.voted_for = None,
            (WriteOp::Append(entries), Wrong::ForgetsEmptyCommands) => {
                for entry in entries {
                    if entry.payload == Payload::Command(Bytes::new()) {
                        entry.payload = Payload::Noop;
                    }
                }
            }
            (WriteOp::Append(entries), Wrong::LosesTruncation) => {
                let mut logs = self.logs.lock().expect("not poisoned");
                let log = logs.entry(write.group).or_default();
                log.extend(entries.iter().map(|entry| (entry.id.index, entry.clone())));
                let first = entries[0].id.index;
                *entries = log.range(first..).map(|(_, entry)| entry.clone()).collect();
            }
            (WriteOp::Receive { chunk, .. }, Wrong::TakesAnyChunk) => {
                chunk.checksum = crc32fast::hash(&chunk.data);
            }
            _ => {}
        }
    }

    async fn write_wrongly(&self, mut writes: Vec<Write>) -> Result<(), StorageError> {
        writes.iter_mut().for_each(|write| self.alter(write));
        match self.wrong {
            Wrong::IgnoresFailedWrite => match self.wal.write(writes).await {
                Err(StorageError::Io { .. } | StorageError::Failed { .. }) => Ok(()),
                outcome => outcome,
            },
            Wrong::GoesOnAfterFailure if self.failed.load(Ordering::Relaxed) => Ok(()),
            Wrong::DiesOfFullDisk if self.failed.load(Ordering::Relaxed) => {
                Err(StorageError::Failed { reason: "a snapshot failed".to_owned() })
            }
            Wrong::WritesBackwards => {
                writes.sort_by_key(|write| std::cmp::Reverse(write.group));
                for group in writes.chunk_by(|a, b| a.group == b.group) {
                    self.wal.write(group.to_vec()).await?;
                }
                Ok(())
            }
            Wrong::Hangs if writes.len() > 2 => std::future::pending().await,
            _ => {
                let outcome = self.wal.write(writes).await;
                self.failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
                outcome
            }
        }
    }
}

impl Storage for WrongStore {
    fn groups(&self) -> BoxFuture<'_, Result<Vec<GroupId>, StorageError>> {
        Box::pin(async move {
            let mut groups = self.wal.groups().await?;
            if self.wrong == Wrong::ListsBackwards {
                groups.reverse();
            }
            Ok(groups)
        })
    }

    fn load(&self, group: GroupId) -> BoxFuture<'_, Result<Persisted, StorageError>> {
        Box::pin(async move {
            let mut state = self.wal.load(group).await?;
            match self.wrong {
                Wrong::ForgetsFirstEntry if state.log.len() > 2 => {
                    state.compacted = state.log.remove(0).id;
                }
                Wrong::InventsEntry => {
                    if let Some(mut last) = state.log.last().cloned() {
                        last.id = LogId::new(last.id.term.next(), last.id.index.next());
                        state.log.push(last);
                    }
                }
                _ => {}
            }
            Ok(state)
        })
    }

    fn write(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(self.write_wrongly(writes))
    }

    fn create_snapshot(
        &self,
        group: GroupId,
        meta: SnapshotMeta,
    ) -> BoxFuture<'_, Result<Box<dyn SnapshotWriter>, StorageError>> {
        Box::pin(async move {
            let outcome = self.wal.create_snapshot(group, meta.clone()).await;
            self.failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
            let (failed, early) = (Arc::clone(&self.failed), Arc::clone(&self.early));
            let (inner, wrong) = (outcome?, self.wrong);
            let data = Vec::new();
            Ok(Box::new(WrongWriter { inner, wrong, failed, early, group, meta, data })
                as Box<dyn SnapshotWriter>)
        })
    }

    fn open_snapshot(
        &self,
        group: GroupId,
    ) -> BoxFuture<'_, Result<Option<Box<dyn SnapshotReader>>, StorageError>> {
        Box::pin(async move {
            let early = self.early.lock().expect("not poisoned").get(&group).cloned();
            if let Some((meta, data)) = early {
                return Ok(Some(Box::new(EarlyReader { meta, data }) as Box<dyn SnapshotReader>));
            }
            let Some(inner) = self.wal.open_snapshot(group).await? else { return Ok(None) };
            let (wal, wrong) = (Arc::clone(&self.wal), self.wrong);
            Ok(Some(Box::new(WrongReader { inner, wrong, wal, group })))
        })
    }
}

struct WrongWriter {
    inner: Box<dyn SnapshotWriter>,
    wrong: Wrong,
    failed: Arc<AtomicBool>,
    early: Arc<Mutex<Early>>,
    group: GroupId,
    meta: SnapshotMeta,
    data: Vec<u8>,
}

impl SnapshotWriter for WrongWriter {
    fn write(&mut self, data: Bytes) -> BoxFuture<'_, Result<(), StorageError>> {
        self.data.extend_from_slice(&data);
        if self.wrong == Wrong::ShowsUnfinished {
            let early = (self.meta.clone(), self.data.clone().into());
            self.early.lock().expect("not poisoned").insert(self.group, early);
        }
        let failed = Arc::clone(&self.failed);
        let writing = self.inner.write(data);
        Box::pin(async move {
            let outcome = writing.await;
            failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
            outcome
        })
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<(), StorageError>> {
        let Self { inner, wrong, failed, early, group, meta, data } = *self;
        if matches!(wrong, Wrong::FinishesLater | Wrong::ShowsEarly) {
            early.lock().expect("not poisoned").insert(group, (meta, data.into()));
        }
        let finishing = async move {
            let outcome = inner.finish().await;
            early.lock().expect("not poisoned").remove(&group);
            failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
            outcome
        };
        if wrong == Wrong::FinishesLater {
            tokio::spawn(finishing);
            return Box::pin(async { Ok(()) });
        }
        Box::pin(finishing)
    }
}

struct WrongReader {
    inner: Box<dyn SnapshotReader>,
    wrong: Wrong,
    wal: Arc<Wal>,
    group: GroupId,
}

impl SnapshotReader for WrongReader {
    fn meta(&self) -> &SnapshotMeta {
        self.inner.meta()
    }

    fn total(&self) -> u64 {
        self.inner.total()
    }

    fn read(&mut self, offset: u64, max: usize) -> BoxFuture<'_, Result<Bytes, StorageError>> {
        Box::pin(async move {
            if self.wrong == Wrong::ReadsNewest
                && let Some(mut newest) = self.wal.open_snapshot(self.group).await?
            {
                return newest.read(offset, max).await;
            }
            let data = self.inner.read(offset, max).await?;
            match self.wrong {
                Wrong::AltersSnapshots if offset > 0 => {
                    Ok(data.iter().map(|byte| byte & 0x7f).collect())
                }
                _ => Ok(data),
            }
        })
    }
}

struct EarlyReader {
    meta: SnapshotMeta,
    data: Bytes,
}

impl SnapshotReader for EarlyReader {
    fn meta(&self) -> &SnapshotMeta {
        &self.meta
    }

    fn total(&self) -> u64 {
        self.data.len() as u64
    }

    fn read(&mut self, offset: u64, max: usize) -> BoxFuture<'_, Result<Bytes, StorageError>> {
        let begin = self.data.len().min(offset as usize);
        let data = self.data.slice(begin..self.data.len().min(begin + max));
        Box::pin(async move { Ok(data) })
    }
}

/// The disk as a wrong store uses it.
struct WrongDisk {
    mount: Mount,
    wrong: Wrong,
    /// Whether the last file to be renamed is a snapshot.
    renamed: AtomicBool,
}

struct WrongFile {
    file: Arc<dyn DiskFile>,
    name: String,
    wrong: Wrong,
}

impl Disk for WrongDisk {
    fn list(&self) -> BoxFuture<'_, Result<Vec<String>, DiskError>> {
        self.mount.list()
    }

    fn open(
        &self,
        name: &str,
        mode: OpenMode,
    ) -> BoxFuture<'_, Result<Arc<dyn DiskFile>, DiskError>> {
        let (opening, name, wrong) = (self.mount.open(name, mode), name.to_owned(), self.wrong);
        Box::pin(async move {
            let file = opening.await?;
            Ok(Arc::new(WrongFile { file, name, wrong }) as Arc<dyn DiskFile>)
        })
    }

    fn rename(&self, from: &str, to: &str) -> BoxFuture<'_, Result<(), DiskError>> {
        self.renamed.store(to.ends_with(".snap"), Ordering::Relaxed);
        self.mount.rename(from, to)
    }

    fn remove(&self, name: &str) -> BoxFuture<'_, Result<(), DiskError>> {
        self.mount.remove(name)
    }

    fn sync_dir(&self) -> BoxFuture<'_, Result<(), DiskError>> {
        match self.wrong {
            Wrong::ForgetsDirectory if self.renamed.load(Ordering::Relaxed) => {
                Box::pin(async { Ok(()) })
            }
            _ => self.mount.sync_dir(),
        }
    }

    fn lock(&self, name: &str) -> BoxFuture<'_, Result<DiskLock, DiskError>> {
        self.mount.lock(name)
    }
}

impl DiskFile for WrongFile {
    fn size(&self) -> BoxFuture<'_, Result<u64, DiskError>> {
        self.file.size()
    }

    fn read_at(&self, offset: u64, max: u64) -> BoxFuture<'_, Result<Bytes, DiskError>> {
        self.file.read_at(offset, max)
    }

    fn write_at(
        &self,
        offset: u64,
        data: Vec<u8>,
        durability: Durability,
    ) -> BoxFuture<'_, Result<Vec<u8>, DiskError>> {
        // A segment is made properly.
        let lies = self.wrong == Wrong::AcknowledgesBeforeSync && self.name.ends_with(".wal");
        self.file.write_at(offset, data, if lies { Durability::Cached } else { durability })
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), DiskError>> {
        match self.wrong {
            Wrong::AcknowledgesBeforeSync | Wrong::TrustsCache => Box::pin(async { Ok(()) }),
            _ => self.file.sync(),
        }
    }

    fn set_len(&self, len: u64) -> BoxFuture<'_, Result<(), DiskError>> {
        self.file.set_len(len)
    }
}

fn check(wrong: Wrong, kit: StorageKit) -> Violation<Property> {
    let outcome = kit.check(move |mount| open(mount, wrong));
    let violation = outcome.expect_err("a wrong store was not found out");
    println!("{wrong:?}: {violation}");
    violation
}

#[test]
fn each_wrong_store_fails_for_its_own_reason() {
    let cases = [
        (Wrong::AcknowledgesBeforeSync, Property::HardStateKept),
        (Wrong::ForgetsDirectory, Property::SnapshotsKept),
        (Wrong::TrustsCache, Property::VisibleIsDurable),
        (Wrong::IgnoresFailedWrite, Property::FailuresSurface),
        (Wrong::GoesOnAfterFailure, Property::FailuresFinal),
        (Wrong::DropsUnreadable, Property::RotDetected),
        (Wrong::LosesTruncation, Property::TruncationsKept),
        (Wrong::ForgetsVote, Property::HardStateKept),
        (Wrong::ForgetsEmptyCommands, Property::EntriesKept),
        (Wrong::ForgetsFirstEntry, Property::CompactionsCovered),
        (Wrong::InventsEntry, Property::NothingInvented),
        (Wrong::WritesBackwards, Property::OrderKept),
        (Wrong::FinishesLater, Property::SnapshotsKept),
        (Wrong::ShowsEarly, Property::VisibleIsDurable),
        (Wrong::ShowsUnfinished, Property::UnfinishedLeavesNothing),
        (Wrong::ReadsNewest, Property::ReadersUndisturbed),
        (Wrong::AltersSnapshots, Property::SnapshotsIntact),
        (Wrong::DiesOfFullDisk, Property::FullDiskSurvived),
        (Wrong::TakesAnyChunk, Property::ChunksChecked),
        (Wrong::ListsBackwards, Property::GroupsListed),
        (Wrong::Hangs, Property::Ends),
    ];
    let mut others = Vec::new();
    for (wrong, property) in cases {
        let violation = check(wrong, StorageKit { steps: 20, ..StorageKit::default() });
        if violation.property != property {
            others.push(format!("{wrong:?} is not {property:?}: {violation}"));
        }
    }
    assert!(others.is_empty(), "{}", others.join("\n"));
}

/// The same violation, to the letter, whenever it is run.
#[test]
fn a_seed_finds_the_same_again() {
    let kit = StorageKit { seed: 5, steps: 20, ..StorageKit::default() };
    assert_eq!(check(Wrong::ShowsEarly, kit), check(Wrong::ShowsEarly, kit));
}
