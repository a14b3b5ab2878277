//! The [`Storage`] trait: what the driver needs of a disk.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::{BoxFuture, GroupId, Persisted, SnapshotMeta, Write};

/// Durable state of all groups of a node: hard states, logs and snapshots.
///
/// The driver calls [`write`](Self::write) from one task, one call at a time; snapshots are read and written
/// by other tasks meanwhile. `raft-storage` has implementations, and `raft-sim` a conformance kit for yours.
pub trait Storage: Send + Sync + 'static {
    /// The groups that have state here, in order.
    fn groups(&self) -> BoxFuture<'_, Result<Vec<GroupId>, StorageError>>;

    /// What is durable of `group`; the default value for a group that was never written.
    /// Called before the first write of the group.
    fn load(&self, group: GroupId) -> BoxFuture<'_, Result<Persisted, StorageError>>;

    /// Makes all of `writes` durable, in their order: after a crash a prefix of them is there. When this
    /// returns `Ok` they all survive a power cut. An error is final: what is on the disk is unknown, and
    /// the node stops without calling again.
    fn write(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<(), StorageError>>;

    /// Begins a snapshot of `group`, taken by this node itself. It replaces the group's snapshot only
    /// when it is finished; dropped before, it leaves nothing behind.
    fn create_snapshot(
        &self,
        group: GroupId,
        meta: SnapshotMeta,
    ) -> BoxFuture<'_, Result<Box<dyn SnapshotWriter>, StorageError>>;

    /// Opens the newest durable snapshot of `group`. The reader goes on working after a newer snapshot
    /// has replaced this one.
    fn open_snapshot(
        &self,
        group: GroupId,
    ) -> BoxFuture<'_, Result<Option<Box<dyn SnapshotReader>>, StorageError>>;
}

/// A snapshot that is being written.
pub trait SnapshotWriter: Send {
    /// Appends `data`.
    fn write(&mut self, data: Bytes) -> BoxFuture<'_, Result<(), StorageError>>;

    /// Makes the snapshot durable and the group's newest one, unless the store has a later one already.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<(), StorageError>>;
}

/// A durable snapshot.
pub trait SnapshotReader: Send {
    /// What it is of.
    fn meta(&self) -> &SnapshotMeta;

    /// Its size in bytes.
    fn total(&self) -> u64;

    /// Up to `max` bytes from `offset` on, verified against the store's checksums; fewer than `max` only
    /// at the end.
    fn read(&mut self, offset: u64, max: usize) -> BoxFuture<'_, Result<Bytes, StorageError>>;
}

/// Why a store failed. The kinds call for different remedies.
#[derive(Debug)]
#[non_exhaustive]
pub enum StorageError {
    /// The operating system refused an operation.
    Io {
        /// What was being done, and to which file.
        context: String,
        /// What the system said.
        reason: String,
        /// Whether the disk is full: the remedy is space, and nothing is wrong with the data.
        is_full: bool,
    },
    /// What was read is not what was written.
    Corrupt {
        /// The file.
        file: String,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        reason: String,
        /// What an operator can do.
        remedy: String,
    },
    /// The store belongs to somebody else, is in use, or is of another format.
    Refused {
        /// What is wrong, and what to do.
        reason: String,
    },
    /// An earlier write failed: the store takes no more of them until it is opened anew.
    Failed {
        /// The first failure.
        reason: String,
    },
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { context, reason, is_full: false } => write!(f, "{context}: {reason}"),
            Self::Io { context, reason, is_full: true } => {
                write!(f, "{context}: {reason}; free space on the disk, then start the node again")
            }
            Self::Corrupt { file, offset, reason, remedy } => {
                write!(f, "{file} is corrupt at offset {offset}: {reason}; {remedy}")
            }
            Self::Refused { reason } => f.write_str(reason),
            Self::Failed { reason } => {
                write!(f, "the store stopped after an earlier failure: {reason}")
            }
        }
    }
}

impl core::error::Error for StorageError {}
