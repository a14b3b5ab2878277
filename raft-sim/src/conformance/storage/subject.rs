//! The store under examination: its lives, its steps, and what it holds.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use raft_core::{
    GroupId, LogIndex, Persisted, SnapshotReader, SnapshotWriter, Storage, StorageError,
};

use super::model::Snapshot;
use super::workload::Step;
use super::{Opened, StorageKit, StorageProperty, Verdict};
use crate::conformance::{Clock, Violation};
use crate::disk::{Mount, SimDisk};

/// An operation that is polled more often is taken to be in a loop.
const POLLS_MAX: u64 = 2_000_000;

pub(super) type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A way to open the store at a place.
pub(super) trait Open<P> {
    fn open(&self, place: P) -> Opened<'_>;
}

/// What the caller of the kit gave.
pub(super) struct Factory<F>(pub(super) F);

impl<P: 'static, S, O, F> Open<P> for Factory<F>
where
    S: Storage,
    O: Future<Output = Result<S, StorageError>> + 'static,
    F: Fn(P) -> O,
{
    fn open(&self, place: P) -> Opened<'_> {
        let opening = (self.0)(place);
        Box::pin(async move { opening.await.map(|store| Box::new(store) as Box<dyn Storage>) })
    }
}

/// A disk for each place.
pub(super) struct OnDisks<'a> {
    pub(super) open: &'a dyn Open<Mount>,
    pub(super) disks: RefCell<BTreeMap<u64, SimDisk>>,
    pub(super) seed: u64,
}

impl Open<u64> for OnDisks<'_> {
    fn open(&self, place: u64) -> Opened<'_> {
        let mut disks = self.disks.borrow_mut();
        let disk = disks.entry(place).or_insert_with(|| SimDisk::new(self.seed ^ place));
        // Nothing of the life before may be left.
        disk.unmount();
        self.open.open(disk.mount())
    }
}

/// A store, and how it is examined.
pub(super) struct Subject<'a, P> {
    pub(super) kit: StorageKit,
    pub(super) clock: Clock,
    pub(super) open: &'a dyn Open<P>,
}

/// Why a property does not hold, before it is known where.
#[derive(Debug)]
pub(super) struct Flaw {
    pub(super) property: StorageProperty,
    pub(super) detail: String,
}

/// What is wrong with an answer of the store.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It failed, and said so.
    Failed(StorageError),
    /// It did not fail, and is wrong.
    Flawed(Flaw),
}

pub(super) fn flaw(property: StorageProperty, detail: impl fmt::Display) -> Flaw {
    Flaw { property, detail: detail.to_string() }
}

impl From<StorageError> for Trouble {
    fn from(error: StorageError) -> Self {
        Self::Failed(error)
    }
}

impl From<Flaw> for Trouble {
    fn from(flaw: Flaw) -> Self {
        Self::Flawed(flaw)
    }
}

impl Trouble {
    /// Where nothing is wrong with the disk, there is no reason to fail.
    pub(super) fn unexcused(self) -> Flaw {
        match self {
            Self::Failed(error) => flaw(StorageProperty::Works, error),
            Self::Flawed(flaw) => flaw,
        }
    }
}

/// What a store was found to hold when it was opened.
pub(super) struct Found {
    pub(super) listed: Vec<GroupId>,
    pub(super) groups: BTreeMap<GroupId, (Persisted, Option<Snapshot>)>,
}

impl<P> Subject<'_, P> {
    /// Waits for an operation, but not for ever.
    pub(super) async fn within<T, E: Into<Trouble>>(
        &self,
        operation: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Trouble> {
        let limit = Duration::from_secs(if self.clock == Clock::Paused { 3600 } else { 60 });
        // A store that is always busy keeps a paused clock from moving.
        let mut polls = 0;
        tokio::pin!(operation);
        let bounded = std::future::poll_fn(|context| {
            polls += 1;
            match operation.as_mut().poll(context) {
                Poll::Pending if polls > POLLS_MAX => Poll::Ready(None),
                poll => poll.map(Some),
            }
        });
        match tokio::time::timeout(limit, bounded).await {
            Ok(Some(outcome)) => outcome.map_err(Into::into),
            Ok(None) | Err(_) => Err(flaw(StorageProperty::Ends, "it was given up").into()),
        }
    }
    pub(super) async fn open(&self, place: P) -> Result<Box<dyn Storage>, Trouble> {
        self.within(self.open.open(place)).await
    }

    /// Does a step.
    pub(super) async fn run(&self, store: &dyn Storage, step: &Step) -> Result<(), Trouble> {
        self.within(run(store, step, &mut |_, _| {})).await
    }

    /// Does a step, and tells of every snapshot that can be opened meanwhile.
    pub(super) async fn run_watched(
        &self,
        store: &dyn Storage,
        step: &Step,
        seen: &mut dyn FnMut(GroupId, LogIndex),
    ) -> Result<(), Trouble> {
        self.within(run(store, step, seen)).await
    }

    pub(super) async fn found(
        &self,
        store: &dyn Storage,
        groups: impl IntoIterator<Item = GroupId>,
    ) -> Result<Found, Trouble> {
        self.within(found(store, groups)).await
    }

    pub(super) fn violation(
        &self,
        step: impl fmt::Display,
        flaw: Flaw,
    ) -> Violation<StorageProperty> {
        let Flaw { property, detail } = flaw;
        Violation { property, step: step.to_string(), seed: self.kit.seed, detail }
    }

    pub(super) fn expect<T>(
        &self,
        step: impl fmt::Display,
        outcome: Result<T, Trouble>,
    ) -> Verdict<T> {
        outcome.map_err(|trouble| self.violation(step, trouble.unexcused()))
    }
}

async fn run(
    store: &dyn Storage,
    step: &Step,
    seen: &mut dyn FnMut(GroupId, LogIndex),
) -> Result<(), Trouble> {
    match step {
        Step::Write(writes) => store.write(writes.clone()).await.map_err(Trouble::from),
        Step::Snapshot { group, meta, data, piece } => {
            let mut writer = store.create_snapshot(*group, meta.clone()).await?;
            write_pieces(&mut *writer, data, *piece).await?;
            finish_watched(store, *group, writer, seen).await
        }
        Step::Abandon { group, meta, data } => {
            let mut writer = store.create_snapshot(*group, meta.clone()).await?;
            write_pieces(&mut *writer, data, 5000).await
        }
    }
}

pub(super) async fn write_pieces(
    writer: &mut dyn SnapshotWriter,
    data: &Bytes,
    piece: usize,
) -> Result<(), Trouble> {
    for offset in (0..data.len()).step_by(piece.max(1)) {
        writer.write(data.slice(offset..data.len().min(offset + piece))).await?;
    }
    Ok(())
}

/// Finishes a snapshot while others look for it. The reader of the one before is undisturbed.
async fn finish_watched(
    store: &dyn Storage,
    group: GroupId,
    writer: Box<dyn SnapshotWriter>,
    seen: &mut dyn FnMut(GroupId, LogIndex),
) -> Result<(), Trouble> {
    let finishing = writer.finish();
    tokio::pin!(finishing);
    loop {
        tokio::select! {
            biased;
            outcome = &mut finishing => return outcome.map_err(Trouble::from),
            reader = store.open_snapshot(group) => {
                if let Ok(Some(reader)) = reader {
                    seen(group, reader.meta().last.index);
                }
            }
        }
        tokio::task::yield_now().await;
    }
}

async fn found(
    store: &dyn Storage,
    groups: impl IntoIterator<Item = GroupId>,
) -> Result<Found, Trouble> {
    let listed = store.groups().await?;
    let mut found = BTreeMap::new();
    for group in groups {
        let persisted = store.load(group).await?;
        let snapshot = match store.open_snapshot(group).await? {
            Some(mut reader) => Some((reader.meta().clone(), read_all(&mut *reader).await?)),
            None => None,
        };
        let opened = snapshot.as_ref().map(|(meta, _)| meta);
        if opened != persisted.snapshot.as_ref() {
            let detail = format!(
                "group {group} was loaded with the snapshot {:?} and opened with {opened:?}",
                persisted.snapshot
            );
            return Err(flaw(StorageProperty::SnapshotsKept, detail).into());
        }
        found.insert(group, (persisted, snapshot));
    }
    Ok(Found { listed, groups: found })
}

/// Reads a snapshot from its start to its end, and a little beyond.
pub(super) async fn read_all(reader: &mut dyn SnapshotReader) -> Result<Bytes, Trouble> {
    let (total, mut data) = (reader.total(), BytesMut::new());
    while (data.len() as u64) < total {
        let part = reader.read(data.len() as u64, 60_000).await?;
        let left = total - data.len() as u64;
        if part.len() as u64 != left.min(60_000) {
            let detail =
                format!("a read of 60000 bytes at {} of {total} gave {}", data.len(), part.len());
            return Err(flaw(StorageProperty::SnapshotsIntact, detail).into());
        }
        data.extend_from_slice(&part);
    }
    let beyond = reader.read(total, 10).await?;
    if !beyond.is_empty() {
        let detail = format!("a read beyond the end gave {} bytes", beyond.len());
        return Err(flaw(StorageProperty::SnapshotsIntact, detail).into());
    }
    Ok(data.freeze())
}
