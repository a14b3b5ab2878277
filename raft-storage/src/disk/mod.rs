//! The [`Disk`] trait: one flat directory of files, and exactly what the log needs of it.
//!
//! Everything above this trait runs unchanged on the real file system ([`FileDisk`]) and on the simulated disk
//! of the crate `raft-sim`, which loses power, fails, lies and rots on demand.
//!
//! The rules an implementation must keep:
//!
//! - What was written is lost by a power cut unless the file was synced afterwards; what was created, renamed
//!   or removed may come undone unless the directory was synced afterwards ([`Disk::sync_dir`]).
//! - A failed sync is final: nobody here ever repeats one, because the system may have dropped the data and
//!   would call the second one a success.
//! - An operation whose future is dropped may still happen. It must finish before the directory's lock is
//!   released, so that it cannot meddle with whoever opens the directory next.

use std::any::Any;
use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use raft_core::{BoxFuture, StorageError};

mod file;

pub use file::FileDisk;

/// A directory of files. Names are relative to it and hold no separator.
pub trait Disk: Send + Sync + 'static {
    /// The names of all files, in any order.
    fn list(&self) -> BoxFuture<'_, Result<Vec<String>, DiskError>>;

    /// Opens a file.
    fn open(
        &self,
        name: &str,
        mode: OpenMode,
    ) -> BoxFuture<'_, Result<Arc<dyn DiskFile>, DiskError>>;

    /// Renames a file, replacing what has the name `to`. Handles stay valid.
    fn rename(&self, from: &str, to: &str) -> BoxFuture<'_, Result<(), DiskError>>;

    /// Removes a file. Handles stay valid.
    fn remove(&self, name: &str) -> BoxFuture<'_, Result<(), DiskError>>;

    /// Makes the directory itself durable: files created, renamed and removed.
    fn sync_dir(&self) -> BoxFuture<'_, Result<(), DiskError>>;

    /// Takes the exclusive lock `name`, creating its file if need be; does not wait. An error of kind
    /// [`DiskErrorKind::Locked`] means that somebody has it. A file left by a dead process is no lock.
    fn lock(&self, name: &str) -> BoxFuture<'_, Result<DiskLock, DiskError>>;
}

/// An open file.
pub trait DiskFile: Send + Sync + 'static {
    /// Its size in bytes.
    fn size(&self) -> BoxFuture<'_, Result<u64, DiskError>>;

    /// Up to `max` bytes from `offset` on; fewer only at the end of the file. Allocates no more than that.
    fn read_at(&self, offset: u64, max: u64) -> BoxFuture<'_, Result<Bytes, DiskError>>;

    /// Writes all of `data` at `offset`, extending the file if need be, and syncs it in the same operation
    /// if so asked. Gives the buffer back for the next write.
    fn write_at(
        &self,
        offset: u64,
        data: Vec<u8>,
        durability: Durability,
    ) -> BoxFuture<'_, Result<Vec<u8>, DiskError>>;

    /// Makes the contents and the length durable.
    fn sync(&self) -> BoxFuture<'_, Result<(), DiskError>>;

    /// Cuts the file, or extends it with zeros.
    fn set_len(&self, len: u64) -> BoxFuture<'_, Result<(), DiskError>>;
}

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenMode {
    /// Reading only; the file must exist.
    Read,
    /// Reading and writing; the file must exist.
    Write,
    /// Reading and writing, empty: created, or emptied if it exists.
    Create,
}

/// What holds of a write when it returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// It can be read; a power cut may lose it.
    Cached,
    /// It, and all writes to the file before it, survive a power cut.
    Synced,
}

/// A lock that is held for as long as a clone of this lives.
#[derive(Clone)]
pub struct DiskLock(#[allow(dead_code, reason = "held for its Drop")] Arc<dyn Any + Send + Sync>);

impl DiskLock {
    /// A lock that is released when `guard` and all its other owners are dropped.
    pub fn new(guard: Arc<dyn Any + Send + Sync>) -> Self {
        Self(guard)
    }
}

impl fmt::Debug for DiskLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DiskLock")
    }
}

/// Why an operation failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiskError {
    /// What a caller can tell apart.
    pub kind: DiskErrorKind,
    /// What was being done.
    pub operation: &'static str,
    /// To which file.
    pub file: String,
    /// What the system said.
    pub reason: String,
}

/// The kinds of [`DiskError`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskErrorKind {
    /// There is no such file.
    NotFound,
    /// There is no space, no quota or no inode left: nothing is wrong with the data.
    Full,
    /// Somebody else holds the lock.
    Locked,
    /// Anything else.
    Other,
}

impl DiskError {
    /// The error of `operation` on `file`.
    pub fn new(operation: &'static str, file: &str, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => DiskErrorKind::NotFound,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => DiskErrorKind::Full,
            io::ErrorKind::WouldBlock => DiskErrorKind::Locked,
            _ => DiskErrorKind::Other,
        };
        Self { kind, operation, file: file.to_owned(), reason: error.to_string() }
    }

    /// Whether the disk is full.
    pub fn is_full(&self) -> bool {
        self.kind == DiskErrorKind::Full
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.operation, self.file, self.reason)
    }
}

impl std::error::Error for DiskError {}

impl From<DiskError> for StorageError {
    fn from(error: DiskError) -> Self {
        Self::Io {
            context: format!("cannot {} {}", error.operation, error.file),
            is_full: error.is_full(),
            reason: error.reason,
        }
    }
}
