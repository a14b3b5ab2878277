//! Writing a snapshot file, block by block.

use std::sync::Arc;

use raft_core::{GroupId, SnapshotMeta, StorageError};

use super::format::{BLOCK_BYTES, BLOCK_CRC_BYTES, block_crc, encode_footer, encode_header};
use crate::disk::{Disk, DiskFile, DiskLock, Durability};

/// Data is handed to the system in pieces of this size.
const FLUSH_BYTES: usize = 256 << 10;
/// And synced so often: one sync of a whole snapshot would hold up the log's syncs behind it.
const SYNC_BYTES: u64 = 1 << 20;

/// A snapshot file under a temporary name. Removed when dropped, unless it was finished.
pub(crate) struct FileWriter {
    temp: Option<Temp>,
    file: Arc<dyn DiskFile>,
    pub(crate) group: GroupId,
    pub(crate) meta: SnapshotMeta,
    header_crc: u32,
    /// Not yet written; belongs at `position`. The open block begins at `block` in it.
    buffer: Vec<u8>,
    position: u64,
    block: usize,
    blocks: u64,
    total: u64,
    unsynced: u64,
}

/// The temporary file. Whoever drops it removes it, holding the directory's lock until that is done.
pub(crate) struct Temp {
    pub(crate) name: String,
    disk: Arc<dyn Disk>,
    lock: DiskLock,
}

impl FileWriter {
    /// Writes into `file`, over whatever it holds.
    pub(crate) fn new(
        temp: Temp,
        file: Arc<dyn DiskFile>,
        group: GroupId,
        meta: SnapshotMeta,
    ) -> Self {
        let (buffer, header_crc) = encode_header(group, &meta);
        let block = buffer.len();
        Self {
            temp: Some(temp),
            file,
            group,
            meta,
            header_crc,
            buffer,
            position: 0,
            block,
            blocks: 0,
            total: 0,
            unsynced: 0,
        }
    }

    pub(crate) async fn write(&mut self, mut data: &[u8]) -> Result<(), StorageError> {
        self.total += data.len() as u64;
        while !data.is_empty() {
            if self.block == self.buffer.len() {
                self.buffer.extend_from_slice(&[0; BLOCK_CRC_BYTES as usize]);
            }
            let end = self.block + BLOCK_CRC_BYTES as usize + BLOCK_BYTES as usize;
            let (now, rest) = data.split_at(data.len().min(end - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            data = rest;
            if self.buffer.len() == end {
                self.seal_block();
                if self.buffer.len() >= FLUSH_BYTES {
                    self.flush().await?;
                }
            }
        }
        Ok(())
    }

    fn seal_block(&mut self) {
        let (crc, data) = self.buffer[self.block..].split_at_mut(BLOCK_CRC_BYTES as usize);
        crc.copy_from_slice(&block_crc(self.header_crc, self.blocks, data).to_le_bytes());
        self.blocks += 1;
        self.block = self.buffer.len();
    }

    async fn flush(&mut self) -> Result<(), StorageError> {
        let len = self.buffer.len() as u64;
        self.unsynced += len;
        let durability = match self.unsynced >= SYNC_BYTES {
            true => Durability::Synced,
            false => Durability::Cached,
        };
        let buffer = std::mem::take(&mut self.buffer);
        // Without its name the file cannot be finished any more, if the caller tries in spite of an error.
        let temp = self.temp.take();
        self.buffer = self.file.write_at(self.position, buffer, durability).await?;
        self.temp = temp;
        self.buffer.clear();
        if durability == Durability::Synced {
            self.unsynced = 0;
        }
        self.position += len;
        self.block = 0;
        Ok(())
    }

    /// Completes the file and syncs it; it still has its temporary name.
    pub(crate) async fn complete(mut self) -> Result<Temp, StorageError> {
        if self.block < self.buffer.len() {
            self.seal_block();
        }
        self.buffer.extend_from_slice(&encode_footer(self.total, self.header_crc));
        let buffer = std::mem::take(&mut self.buffer);
        let len = self.position + buffer.len() as u64;
        if self.file.size().await? > len {
            self.file.set_len(len).await?;
        }
        let mut durability = Durability::Synced;
        if planted!(SnapshotNotSynced) {
            durability = Durability::Cached;
        }
        self.file.write_at(self.position, buffer, durability).await?;
        let none =
            || StorageError::Failed { reason: "the snapshot was finished before".to_owned() };
        self.temp.take().ok_or_else(none)
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }
}

impl Temp {
    pub(crate) fn new(name: String, disk: Arc<dyn Disk>, lock: DiskLock) -> Self {
        Self { name, disk, lock }
    }

    /// The file has got its final name.
    pub(crate) fn keep(mut self) {
        self.name.clear();
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        // Outside a runtime the file stays, until the next open removes it.
        if let (false, Ok(runtime)) = (name.is_empty(), tokio::runtime::Handle::try_current()) {
            let (disk, lock) = (Arc::clone(&self.disk), self.lock.clone());
            runtime.spawn(async move {
                // A file that cannot be removed is harmless, and the next open tries again.
                let _ = disk.remove(&name).await;
                drop(lock);
            });
        }
    }
}
