//! Reading batches out of the bytes of a segment.

use std::sync::Arc;

use bytes::Bytes;
use raft_core::StorageError;

use super::format::{
    BATCH_HEADER_BYTES, BATCH_MAGIC, BatchHeader, HeaderFlaw, RECORD_HEADER_BYTES, RecordHeader,
    Salt, SegmentHeader, parse_segment_header, segment_name,
};
use crate::disk::{Disk, DiskFile, OpenMode};

/// No segment is longer: positions and lengths are of 32 bits.
const SEGMENT_BYTES_LIMIT: u64 = 1 << 32;

/// Bytes of a part; a batch that is larger is a part of its own.
const PART_BYTES: u64 = 256 << 10;

/// A segment in memory, or a part of it.
pub(crate) struct SegmentBytes {
    pub(crate) sequence: u64,
    pub(crate) header: SegmentHeader,
    pub(crate) salt: Salt,
    /// Where in the segment the bytes begin.
    base: u64,
    pub(crate) bytes: Bytes,
}

/// A segment that is read part by part, for whoever must not have all of it in memory.
pub(crate) struct SegmentParts {
    file: Arc<dyn DiskFile>,
    part: SegmentBytes,
}

/// A batch that verifies as a whole.
#[derive(Clone, Copy)]
pub(crate) struct Batch<'a> {
    pub(crate) number: u64,
    pub(crate) position: u64,
    salt: Salt,
    body: &'a [u8],
}

/// Where and why a place holds no valid batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Flaw {
    pub(crate) position: u64,
    pub(crate) reason: &'static str,
}

/// A record of a batch.
pub(crate) struct RecordAt<'a> {
    pub(crate) position: u64,
    pub(crate) header: RecordHeader,
    pub(crate) crc: u32,
    pub(crate) payload: &'a [u8],
    pub(crate) payload_verifies: bool,
}

pub(crate) const REMEDY: &str = "restore this node from its peers: move the data directory away and let the \
                                 node join again as a new member; do not delete or edit single files";

pub(crate) fn corrupt(file: String, offset: u64, reason: impl Into<String>) -> StorageError {
    StorageError::Corrupt { file, offset, reason: reason.into(), remedy: REMEDY.to_owned() }
}

impl SegmentBytes {
    /// Reads the segment `sequence` and checks its header.
    pub(crate) async fn read(disk: &dyn Disk, sequence: u64) -> Result<Self, StorageError> {
        Ok(Self::read_first(disk, sequence, u64::MAX).await?.1)
    }

    /// The same, of its first `max` bytes.
    async fn read_first(
        disk: &dyn Disk,
        sequence: u64,
        max: u64,
    ) -> Result<(Arc<dyn DiskFile>, Self), StorageError> {
        let name = segment_name(sequence);
        let file = disk.open(&name, OpenMode::Read).await?;
        let len = file.size().await?;
        if len > SEGMENT_BYTES_LIMIT {
            return Err(corrupt(name, SEGMENT_BYTES_LIMIT, "no segment is as long as this file"));
        }
        let bytes = file.read_at(0, len.min(max)).await?;
        let header = parse_segment_header(&bytes).map_err(|flaw| match flaw {
            HeaderFlaw::Corrupt => corrupt(name.clone(), 0, "the segment's header does not verify"),
            HeaderFlaw::OtherVersion(version) => StorageError::Refused {
                reason: format!(
                    "{name} has format version {version}; this program knows version 1: use the \
                     program that wrote it"
                ),
            },
        })?;
        if header.sequence != sequence {
            let reason = format!("its header says it is segment {:016x}", header.sequence);
            return Err(corrupt(name, 0, reason));
        }
        let salt = Salt::new(sequence, header.incarnation);
        Ok((file, Self { sequence, header, salt, base: 0, bytes }))
    }

    /// What there is from `position` on.
    fn from(&self, position: u64) -> Option<&[u8]> {
        self.bytes.get(usize::try_from(position.checked_sub(self.base)?).ok()?..)
    }

    pub(crate) fn name(&self) -> String {
        segment_name(self.sequence)
    }

    fn header_at(&self, position: u64) -> Option<BatchHeader> {
        BatchHeader::decode(self.salt.at(position), self.from(position)?)
    }

    /// The number of the batch whose header stands at `position`, whatever became of its body.
    pub(crate) fn batch_header_number(&self, position: u64) -> Option<u64> {
        self.header_at(position).map(|header| header.number)
    }

    /// The batch at `position`, if all of it verifies.
    pub(crate) fn batch_at(&self, position: u64) -> Result<Batch<'_>, Flaw> {
        let header = self
            .header_at(position)
            .ok_or(Flaw { position, reason: "the batch's header does not verify" })?;
        let rest = self.from(position + BATCH_HEADER_BYTES as u64);
        let body = rest.and_then(|rest| rest.get(..header.body_bytes as usize));
        let body = body.ok_or(Flaw { position, reason: "the batch goes beyond the file's end" })?;
        let batch = Batch { number: header.number, position, salt: self.salt, body };
        batch.verify(header.digest)?;
        Ok(batch)
    }

    /// The first batch header at or after `position` that verifies and has a number of at least `number`.
    pub(crate) fn header_after(&self, position: u64, number: u64) -> Option<u64> {
        const STEP: usize = 64;
        let mut at = usize::try_from(position).ok()?;
        while at < self.bytes.len() {
            // Zeros are most of what is searched, and hold no magic.
            if self.bytes[at..].starts_with(&[0; STEP]) {
                at += STEP;
                continue;
            }
            let end = self.bytes.len().min(at + STEP);
            for place in at..end {
                if self.bytes[place..].starts_with(&BATCH_MAGIC)
                    && self.header_at(place as u64).is_some_and(|header| header.number >= number)
                {
                    return Some(place as u64);
                }
            }
            at = end;
        }
        None
    }
}

impl SegmentParts {
    /// Opens the segment `sequence` and checks its header.
    pub(crate) async fn open(disk: &dyn Disk, sequence: u64) -> Result<Self, StorageError> {
        let (file, part) = SegmentBytes::read_first(disk, sequence, PART_BYTES).await?;
        Ok(Self { file, part })
    }

    /// The batch at `position`, if all of it verifies. Positions must not go back.
    pub(crate) async fn batch_at(
        &mut self,
        position: u64,
    ) -> Result<Result<Batch<'_>, Flaw>, StorageError> {
        if self.part.batch_at(position).is_err() {
            // It may begin or go on beyond the part. First comes its header, which says how long it is.
            self.read(position, PART_BYTES).await?;
            let header = self.part.header_at(position);
            let whole = header.map_or(0, |header| header.body_bytes as u64);
            if whole + BATCH_HEADER_BYTES as u64 > PART_BYTES {
                self.read(position, whole + BATCH_HEADER_BYTES as u64).await?;
            }
        }
        Ok(self.part.batch_at(position))
    }

    async fn read(&mut self, position: u64, max: u64) -> Result<(), StorageError> {
        self.part.bytes = Bytes::new();
        self.part.bytes = self.file.read_at(position, max).await?;
        self.part.base = position;
        Ok(())
    }
}

impl<'a> Batch<'a> {
    /// The position after the batch.
    pub(crate) fn end(&self) -> u64 {
        self.position + (BATCH_HEADER_BYTES + self.body.len()) as u64
    }

    /// Its records, as far as their headers verify.
    pub(crate) fn records(self) -> impl Iterator<Item = RecordAt<'a>> {
        let first = self.position + BATCH_HEADER_BYTES as u64;
        let mut at = 0;
        std::iter::from_fn(move || {
            let position = first + at as u64;
            let rest = self.body.get(at..)?;
            let (header, crc) = RecordHeader::decode(self.salt.at(position), rest)?;
            let end = RECORD_HEADER_BYTES + header.payload_bytes as usize;
            let payload = rest.get(RECORD_HEADER_BYTES..end)?;
            at += end;
            let payload_verifies = crc32fast::hash(payload) == header.payload_crc;
            Some(RecordAt { position, header, crc, payload, payload_verifies })
        })
    }

    fn verify(self, digest: u32) -> Result<(), Flaw> {
        if planted!(TornTailAccepted) {
            return Ok(());
        }
        let mut hasher = crc32fast::Hasher::new();
        let mut end = self.position + BATCH_HEADER_BYTES as u64;
        for record in self.records() {
            if !record.payload_verifies {
                return Err(Flaw {
                    position: record.position,
                    reason: "the record's header verifies and its payload does not",
                });
            }
            hasher.update(&record.crc.to_le_bytes());
            end = record.position + (RECORD_HEADER_BYTES + record.payload.len()) as u64;
        }
        if end != self.end() {
            return Err(Flaw { position: end, reason: "the record's header does not verify" });
        }
        if hasher.finalize() != digest {
            let position = self.position;
            return Err(Flaw { position, reason: "the batch is a mixture of two" });
        }
        Ok(())
    }

    /// Of a batch whose header verifies and whose body may not: all that can be read.
    pub(crate) fn of_unverified(segment: &'a SegmentBytes, position: u64) -> Option<Self> {
        let header = segment.header_at(position)?;
        let rest = segment.from(position + BATCH_HEADER_BYTES as u64)?;
        let body = rest.get(..header.body_bytes as usize).unwrap_or(rest);
        Some(Self { number: header.number, position, salt: segment.salt, body })
    }
}
