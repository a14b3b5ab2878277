//! [`Wal`]: one write-ahead log for all groups of a node, and a snapshot file for each.
//!
//! - A **segment** is a file of the log, numbered without gaps and written from its start to its end.
//! - A **batch** is what one [`Storage::write`] makes durable: one buffer, one write, one sync, for all groups
//!   in it. It is there after a crash as a whole or not at all.
//! - A **record** is an entry, a hard state, a compaction or the installation of a snapshot.
//!
//! The log is read once, at open. Invariants:
//!
//! 1. Batch N + 1 is written only after batch N is durable. So only the last batch can be torn.
//! 2. Each segment begins with the small state of all groups. So a segment is needed only for its live entries,
//!    and segments are released from the oldest on: what is left is always the end of the history.
//! 3. After a failed write or sync nothing is written any more.
//! 4. A snapshot file is durable under its name before the log speaks of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use raft_core::{
    BoxFuture, GroupId, Persisted, SnapshotMeta, SnapshotReader, SnapshotWriter, Storage,
    StorageError, Write,
};

use crate::disk::{Disk, DiskLock};
use crate::health::Health;
use crate::identity::Identity;
use crate::snapshot::{LocalWriter, SnapshotStore, open_boxed};

pub(crate) mod format;
mod inspect;
mod ledger;
mod log;
mod open;
mod options;
mod receive;
mod record;
mod recover;
mod relocate;
mod replay;
mod scan;
mod segment;

pub use format::{Origin, RecordKind};
pub use inspect::{InspectedRecord, Inspection, Verdict, inspect_wal};
pub use open::DirectoryOrigin;
pub use options::WalOptions;
pub(crate) use scan::corrupt;

use log::{Content, Log};
use receive::Receiving;
use replay::GroupReplay;

/// The durable [`Storage`]: a write-ahead log for many groups over a [`Disk`].
///
/// Must be used inside a tokio runtime: segments are prepared by spawned tasks.
pub struct Wal {
    disk: Arc<dyn Disk>,
    identity: Identity,
    origin: DirectoryOrigin,
    health: Arc<Health>,
    snapshots: Arc<SnapshotStore>,
    /// What was read at open and not yet handed out.
    found: Mutex<BTreeMap<GroupId, GroupReplay>>,
    writer: tokio::sync::Mutex<Writer>,
    _lock: DiskLock,
}

/// What only the caller of `write` uses.
struct Writer {
    log: Log,
    receiving: BTreeMap<GroupId, Receiving>,
    phase: Phase,
}

/// Whether the disk is known to hold what the writer believes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    /// A write is under way; found at the start of another one, its caller has given it up.
    Writing,
}

impl Wal {
    /// Opens the data directory, or makes it if it is empty, and reads the log.
    ///
    /// `identity` says whose directory it must be; its incarnation is used only for a new directory, see
    /// [`Wal::identity`]. The directory is locked until the value and all its snapshot readers and writers are
    /// gone; a lock held by another process is waited for half a second, which an earlier life may need to end.
    ///
    /// # Errors
    ///
    /// [`StorageError::Refused`]: in use, another node's, or of a newer format. [`StorageError::Corrupt`]:
    /// something that was acknowledged is missing or damaged. A torn last batch is neither: it is cut.
    pub async fn open(
        disk: Arc<dyn Disk>,
        identity: Identity,
        options: WalOptions,
    ) -> Result<Self, StorageError> {
        open::open(disk, identity, options).await
    }

    /// Whose directory it is, with the incarnation that was minted when it was made.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Whether this open made the directory.
    pub fn origin(&self) -> DirectoryOrigin {
        self.origin
    }

    /// Ends the work in the background. No write succeeds afterwards.
    pub async fn close(&self) {
        self.health.fail(&"the log was closed");
        self.writer.lock().await.log.close().await;
    }

    async fn write_all(&self, writes: Vec<Write>) -> Result<(), StorageError> {
        let mut writer = self.writer.lock().await;
        self.health.check()?;
        if writer.phase == Phase::Writing {
            self.health.fail(&"a write was given up before it was done");
            return self.health.check();
        }
        writer.phase = Phase::Writing;
        let outcome = self.write_in_order(&mut writer, &writes).await;
        writer.phase = Phase::Idle;
        outcome.inspect_err(|error| self.health.fail(error))
    }

    async fn write_in_order(
        &self,
        writer: &mut Writer,
        writes: &[Write],
    ) -> Result<(), StorageError> {
        let mut begin = 0;
        for (at, write) in writes.iter().enumerate() {
            if log::completes_snapshot(&write.op) {
                // The file gets its name only after everything that was to be written before it.
                writer.log.commit(Content::Writes(&writes[begin..at])).await?;
                begin = at;
            }
            receive::stage(&self.snapshots, &mut writer.receiving, write).await?;
        }
        writer.log.commit(Content::Writes(&writes[begin..])).await
    }

    async fn load_group(&self, group: GroupId) -> Result<Persisted, StorageError> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner).remove(&group);
        let snapshot = self.snapshots.newest(group).map(Arc::unwrap_or_clone);
        if let Some(found) = found {
            return Ok(found.into_persisted(snapshot));
        }
        let mut writer = self.writer.lock().await;
        if !writer.log.ledger.groups.contains_key(&group) && snapshot.is_none() {
            return Ok(Persisted::default());
        }
        // Handed out before: read it again. Work on old segments must not run meanwhile.
        writer.log.settle().await?;
        let recovered = recover::recover(&*self.disk, self.identity.incarnation).await?;
        let mut replay = recovered.groups.into_iter().find(|(id, _)| *id == group);
        let mut replay = replay.take().map(|(_, replay)| replay).unwrap_or_default();
        replay.reconcile(group, snapshot.as_ref())?;
        Ok(replay.into_persisted(snapshot))
    }

    async fn all_groups(&self) -> Result<Vec<GroupId>, StorageError> {
        let writer = self.writer.lock().await;
        let mut groups: BTreeSet<GroupId> = writer.log.ledger.groups.keys().copied().collect();
        groups.extend(self.snapshots.groups());
        Ok(groups.into_iter().collect())
    }
}

impl Storage for Wal {
    fn groups(&self) -> BoxFuture<'_, Result<Vec<GroupId>, StorageError>> {
        Box::pin(self.all_groups())
    }

    fn load(&self, group: GroupId) -> BoxFuture<'_, Result<Persisted, StorageError>> {
        Box::pin(self.load_group(group))
    }

    fn write(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(self.write_all(writes))
    }

    fn create_snapshot(
        &self,
        group: GroupId,
        meta: SnapshotMeta,
    ) -> BoxFuture<'_, Result<Box<dyn SnapshotWriter>, StorageError>> {
        Box::pin(async move {
            self.health.check()?;
            let file = self.snapshots.create(group, meta).await?;
            let store = Arc::clone(&self.snapshots);
            Ok(Box::new(LocalWriter { store, file }) as Box<dyn SnapshotWriter>)
        })
    }

    fn open_snapshot(
        &self,
        group: GroupId,
    ) -> BoxFuture<'_, Result<Option<Box<dyn SnapshotReader>>, StorageError>> {
        Box::pin(open_boxed(&self.snapshots, group))
    }
}
