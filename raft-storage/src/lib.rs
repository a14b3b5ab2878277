//! Storage for [`raft_core`]: [`Wal`] keeps a node's groups on a disk, [`MemoryStorage`] in memory.
//!
//! ```
//! use std::sync::Arc;
//! use raft_core::{ClusterId, Entry, GroupId, HardState, Incarnation, LogId, LogIndex, NodeId, Payload};
//! use raft_core::{Storage, Term, Write, WriteOp, WriteSeq};
//! use raft_storage::{FileDisk, Identity, Wal, WalOptions};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! # let directory = tempfile::tempdir().unwrap();
//! # let directory = directory.path().join("node-1");
//! let identity =
//!     Identity { cluster: ClusterId(7), node: NodeId(1), incarnation: Incarnation(0x5eed) };
//! let disk = Arc::new(FileDisk::new(directory)?);
//! let wal = Wal::open(disk, identity, WalOptions::default()).await?;
//!
//! let group = GroupId(1);
//! let hard_state = HardState { term: Term(1), voted_for: Some(NodeId(1)) };
//! let entry = Entry { id: LogId::new(Term(1), LogIndex(1)), payload: Payload::Noop };
//! wal.write(vec![
//!     Write { group, seq: WriteSeq(1), op: WriteOp::HardState(hard_state) },
//!     Write { group, seq: WriteSeq(2), op: WriteOp::Append(vec![entry]) },
//! ])
//! .await?;
//! // Both survive a power cut from here on.
//! # Ok::<(), raft_core::StorageError>(())
//! # }).unwrap();
//! ```
//!
//! Beneath the log is the small trait [`Disk`]: [`FileDisk`] is the real one; the crate `raft-sim` has one that
//! loses power, fails and rots on demand. [`inspect_wal`] reads a log offline.

#![forbid(unsafe_code)]

#[macro_use]
mod planted;

mod codec;
mod disk;
mod health;
mod identity;
mod memory;
mod snapshot;
mod wal;

pub use disk::{
    Disk, DiskError, DiskErrorKind, DiskFile, DiskLock, Durability, FileDisk, OpenMode,
};
pub use identity::{Identity, read_identity};
pub use memory::MemoryStorage;
pub use wal::{
    DirectoryOrigin, InspectedRecord, Inspection, Origin, RecordKind, Verdict, Wal, WalOptions,
    inspect_wal,
};
