//! The file that is being written, and the work on files that is done beside the writes.

use std::sync::Arc;

use raft_core::{Incarnation, StorageError};
use tokio::task::JoinHandle;

use super::format::{SEGMENT_HEADER_BYTES, Salt, segment_header, segment_name};
use crate::disk::{Disk, DiskFile, DiskLock, Durability, OpenMode};

/// A segment that can be written.
pub(crate) struct Segment {
    pub(crate) sequence: u64,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) salt: Salt,
    /// Where the next batch begins.
    pub(crate) position: u64,
    /// Up to here the file holds written bytes, which a sync overwrites at half the cost of new ones.
    pub(crate) filled: u64,
}

/// Work beside the writes; it ends with its owner.
pub(crate) struct Task<T>(JoinHandle<Result<T, StorageError>>);

impl<T: Send + 'static> Task<T> {
    pub(crate) fn spawn(
        work: impl Future<Output = Result<T, StorageError>> + Send + 'static,
    ) -> Self {
        Self(tokio::spawn(work))
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    pub(crate) async fn join(mut self) -> Result<T, StorageError> {
        let stopped = |error| StorageError::Failed { reason: format!("work on the log: {error}") };
        (&mut self.0).await.unwrap_or_else(|error| Err(stopped(error)))
    }

    /// Stops the work and waits until nothing of it is left.
    pub(crate) async fn stop(mut self) {
        self.0.abort();
        let _ = (&mut self.0).await;
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How segments of one directory are made.
#[derive(Clone)]
pub(crate) struct Workshop {
    pub(crate) disk: Arc<dyn Disk>,
    /// Work that outlives its owner for a moment must not meet a successor.
    pub(crate) _lock: DiskLock,
    pub(crate) incarnation: Incarnation,
    pub(crate) fill_bytes: u64,
}

fn temp_name(sequence: u64) -> String {
    format!("{}.tmp", segment_name(sequence))
}

/// Whether this is a segment that was never finished.
pub(crate) fn is_temp_name(name: &str) -> bool {
    name.ends_with(".wal.tmp")
}

impl Workshop {
    /// Makes the segment `sequence`, ready to be written, out of an old one if there is one.
    ///
    /// The old file leaves its old name durably before its header changes, and gets its new name durably
    /// after: a crash finds either the old segment, or a temporary file, or the new segment.
    pub(crate) async fn prepare(
        self,
        sequence: u64,
        recycle: Option<u64>,
    ) -> Result<Segment, StorageError> {
        let (temp, name) = (temp_name(sequence), segment_name(sequence));
        let header = segment_header(sequence, self.incarnation);
        let (file, filled) = match recycle {
            Some(old) => {
                self.disk.rename(&segment_name(old), &temp).await?;
                self.disk.sync_dir().await?;
                let file = self.disk.open(&temp, OpenMode::Write).await?;
                let filled = file.size().await?;
                file.write_at(0, header, Durability::Synced).await?;
                (file, filled)
            }
            None => {
                let file = self.disk.open(&temp, OpenMode::Create).await?;
                let mut bytes = header;
                let fill = FIRST_FILL_BYTES.min(self.fill_bytes);
                bytes.resize((SEGMENT_HEADER_BYTES + fill) as usize, 0);
                let filled = bytes.len() as u64;
                file.write_at(0, bytes, Durability::Synced).await?;
                (file, filled)
            }
        };
        self.disk.rename(&temp, &name).await?;
        if !planted!(SegmentNameNotSynced) {
            self.disk.sync_dir().await?;
        }
        let salt = Salt::new(sequence, self.incarnation);
        Ok(Segment { sequence, file, salt, position: SEGMENT_HEADER_BYTES, filled })
    }

    /// Writes zeros into `begin .. end` of a segment and syncs them; returns `end`.
    pub(crate) async fn fill(
        self,
        file: Arc<dyn DiskFile>,
        mut begin: u64,
        end: u64,
    ) -> Result<u64, StorageError> {
        let mut zeros = Vec::new();
        while begin < end {
            let len = (end - begin).min(self.fill_bytes.max(1));
            zeros.resize(len as usize, 0);
            zeros = file.write_at(begin, zeros, Durability::Cached).await?;
            begin += len;
        }
        file.sync().await?;
        Ok(end)
    }

    /// Removes segments, which must be the oldest ones, in order and one by one: what a crash leaves has no
    /// gaps.
    pub(crate) async fn remove(&self, sequences: &[u64]) -> Result<(), StorageError> {
        for sequence in sequences {
            self.disk.remove(&segment_name(*sequence)).await?;
            self.disk.sync_dir().await?;
        }
        Ok(())
    }
}

/// A new segment begins with so many zeros: a small cluster takes little space and is made at once.
const FIRST_FILL_BYTES: u64 = 64 << 10;
