//! Reading batches out of the bytes of a segment.

use bytes::Bytes;
use raft_core::StorageError;

use super::format::{
    BATCH_HEADER_BYTES, BATCH_MAGIC, BatchHeader, HeaderFlaw, RECORD_HEADER_BYTES, RecordHeader,
    SEGMENT_HEADER_BYTES, Salt, SegmentHeader, parse_segment_header, segment_name,
};
use crate::disk::{Disk, OpenMode};

/// No segment is longer: positions and lengths are of 32 bits.
const SEGMENT_BYTES_LIMIT: u64 = 1 << 32;

/// A segment in memory.
pub(crate) struct SegmentBytes {
    pub(crate) sequence: u64,
    pub(crate) header: SegmentHeader,
    pub(crate) salt: Salt,
    pub(crate) bytes: Bytes,
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
        let name = segment_name(sequence);
        let file = disk.open(&name, OpenMode::Read).await?;
        let len = file.size().await?;
        if len > SEGMENT_BYTES_LIMIT {
            return Err(corrupt(name, SEGMENT_BYTES_LIMIT, "no segment is as long as this file"));
        }
        let bytes = file.read_at(0, len).await?;
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
        Ok(Self { sequence, header, salt, bytes })
    }

    pub(crate) fn name(&self) -> String {
        segment_name(self.sequence)
    }

    fn header_at(&self, position: u64) -> Option<BatchHeader> {
        let bytes = self.bytes.get(usize::try_from(position).ok()?..)?;
        BatchHeader::decode(self.salt.at(position), bytes)
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
        let begin = position as usize + BATCH_HEADER_BYTES;
        let body = self.bytes.get(begin..begin + header.body_bytes as usize);
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

    /// The batches from the start on, as far as they verify.
    pub(crate) fn batches(&self) -> impl Iterator<Item = Batch<'_>> {
        let mut position = SEGMENT_HEADER_BYTES;
        std::iter::from_fn(move || {
            let batch = self.batch_at(position).ok()?;
            position = batch.end();
            Some(batch)
        })
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
        let begin = position as usize + BATCH_HEADER_BYTES;
        let rest = segment.bytes.get(begin..)?;
        let body = rest.get(..header.body_bytes as usize).unwrap_or(rest);
        Some(Self { number: header.number, position, salt: segment.salt, body })
    }
}
