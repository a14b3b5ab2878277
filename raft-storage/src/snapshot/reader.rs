//! Reading a snapshot file.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use raft_core::{BoxFuture, SnapshotMeta, SnapshotReader, StorageError};

use super::format::{
    BLOCK_CRC_BYTES, FOOTER_BYTES, HEADER_BYTES_MAX, Header, HeaderFlaw, block_crc, decode_footer,
    decode_header, file_bytes,
};
use crate::disk::{Disk, DiskFile, OpenMode};

/// A snapshot file that is open. The handle outlives the file's name.
pub(crate) struct FileReader {
    name: String,
    file: Arc<dyn DiskFile>,
    pub(crate) header: Header,
    total: u64,
    #[allow(dead_code, reason = "shared, it tells the store that the file is being read")]
    shared: Option<Arc<SnapshotMeta>>,
}

fn corrupt(file: &str, offset: u64, reason: &str) -> StorageError {
    crate::wal::corrupt(file.to_owned(), offset, reason)
}

impl FileReader {
    /// Opens the file and checks its header and its footer; the blocks are checked when they are read.
    pub(crate) async fn open(disk: &dyn Disk, name: String) -> Result<Self, OpenError> {
        let file = disk.open(&name, OpenMode::Read).await.map_err(|error| {
            match error.kind == crate::disk::DiskErrorKind::NotFound {
                true => OpenError::NotFound,
                false => OpenError::Failed(error.into()),
            }
        })?;
        Self::check(name, file).await.map_err(OpenError::Failed)
    }

    async fn check(name: String, file: Arc<dyn DiskFile>) -> Result<Self, StorageError> {
        let len = file.size().await?;
        let front = file.read_at(0, HEADER_BYTES_MAX.min(4096)).await?;
        let header = match decode_header(&front) {
            // Of a membership beyond all measure.
            Err(HeaderFlaw::Corrupt) => decode_header(&file.read_at(0, HEADER_BYTES_MAX).await?),
            other => other,
        };
        let header = header.map_err(|flaw| match flaw {
            HeaderFlaw::Corrupt => corrupt(&name, 0, "the snapshot's header does not verify"),
            HeaderFlaw::OtherVersion(version) => StorageError::Refused {
                reason: format!(
                    "{name} has format version {version}; this program knows version 1: use the \
                     program that wrote it"
                ),
            },
        })?;
        let at = len.saturating_sub(FOOTER_BYTES);
        let footer = file.read_at(at, FOOTER_BYTES).await?;
        let total = decode_footer(&footer, header.crc)
            .filter(|total| file_bytes(&header, *total) == Some(len))
            .ok_or_else(|| corrupt(&name, at, "the snapshot's footer does not verify"))?;
        Ok(Self { name, file, header, total, shared: None })
    }

    /// The store's newest snapshot, which stays whole for as long as `newest` is shared.
    pub(crate) fn sharing(self, newest: Arc<SnapshotMeta>) -> Self {
        Self { shared: Some(newest), ..self }
    }

    async fn read_range(&mut self, offset: u64, max: usize) -> Result<Bytes, StorageError> {
        let begin = offset.min(self.total);
        let end = begin.saturating_add(max as u64).min(self.total);
        if begin == end {
            return Ok(Bytes::new());
        }
        let block = u64::from(self.header.block_bytes);
        let frame = block + BLOCK_CRC_BYTES;
        let (first, last) = (begin / block, (end - 1) / block);
        let base = self.header.header_bytes + first * frame;
        let body = self.total - first * block;
        let frames = (last - first + 1) * block;
        let len = body.min(frames) + (last - first + 1) * BLOCK_CRC_BYTES;
        let raw = self.file.read_at(base, len).await?;
        if raw.len() as u64 != len {
            return Err(corrupt(
                &self.name,
                base + raw.len() as u64,
                "the file has become shorter",
            ));
        }
        let mut out =
            BytesMut::with_capacity(if first == last { 0 } else { (end - begin) as usize });
        for number in first..=last {
            let at = ((number - first) * frame) as usize;
            let data = self.block(&raw, at, number)?;
            let from = begin.saturating_sub(number * block) as usize;
            let to = (end - number * block).min(data.len() as u64) as usize;
            if first == last {
                return Ok(data.slice(from..to));
            }
            out.extend_from_slice(&data[from..to]);
        }
        Ok(out.freeze())
    }

    fn block(&self, raw: &Bytes, at: usize, number: u64) -> Result<Bytes, StorageError> {
        let crc_end = at + BLOCK_CRC_BYTES as usize;
        let end = raw.len().min(crc_end + self.header.block_bytes as usize);
        let data = raw.slice(crc_end..end);
        if raw[at..crc_end] != block_crc(self.header.crc, number, &data).to_le_bytes() {
            let frame = u64::from(self.header.block_bytes) + BLOCK_CRC_BYTES;
            let offset = self.header.header_bytes + number * frame;
            return Err(corrupt(&self.name, offset, "a block of the snapshot does not verify"));
        }
        Ok(data)
    }
}

/// Why a file could not be opened.
pub(crate) enum OpenError {
    NotFound,
    Failed(StorageError),
}

impl SnapshotReader for FileReader {
    fn meta(&self) -> &SnapshotMeta {
        &self.header.meta
    }

    fn total(&self) -> u64 {
        self.total
    }

    fn read(&mut self, offset: u64, max: usize) -> BoxFuture<'_, Result<Bytes, StorageError>> {
        Box::pin(self.read_range(offset, max))
    }
}
