//! A torn write: what a crash in the middle of an append leaves behind the last whole batch.
//!
//! The log's segments are filled with zeros ahead of the writes, so the write goes over zeros and the file
//! keeps its length. Most of the time the batch is forged as its writer would have written it (`raft-storage`,
//! `wal/format.rs`): its header and its record's header verify, and half of the payload is missing. Now and
//! then it is stale bytes: half of the last real record, which must not be taken for a batch here.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const RECORD_HEADER_BYTES: u64 = 40;
const PAYLOAD_BYTES: usize = 600;

/// What was written where.
pub(super) struct Torn {
    pub(super) file: PathBuf,
    pub(super) at: u64,
    bytes: Vec<u8>,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// The next batch, half of it.
    HalfBatch,
    /// Half of the last record again.
    StaleBytes,
}

/// The last record that verifies, as `shardkv inspect wal` shows it.
#[derive(PartialEq, Eq, Debug)]
struct Last {
    file: String,
    offset: u64,
    batch: u64,
    payload_bytes: u64,
}

impl Last {
    fn end(&self) -> u64 {
        self.offset + RECORD_HEADER_BYTES + self.payload_bytes
    }
}

impl Torn {
    /// Writes it into the log at `dir`, whose node is dead. `inspect` is `shardkv inspect wal`.
    pub(super) fn write(inspect: &mut Command, dir: &Path, kind: Kind) -> Result<Self, String> {
        let (text, _) = said(inspect)?;
        let last = last(&text).ok_or_else(|| format!("no record in {}", dir.display()))?;
        let path = dir.join(&last.file);
        let failed = |error| format!("{}: {error}", path.display());
        let segment = fs::read(&path).map_err(failed)?;
        let at = last.end();
        let bytes = match kind {
            Kind::HalfBatch => half_batch(&segment, at, last.batch + 1)
                .ok_or_else(|| format!("{} has no header", path.display()))?,
            Kind::StaleBytes => {
                let half = (RECORD_HEADER_BYTES + last.payload_bytes) / 2;
                segment[last.offset as usize..(last.offset + half) as usize].to_vec()
            }
        };
        let file = File::options().write(true).open(&path).map_err(failed)?;
        file.write_all_at(&bytes, at).and_then(|()| file.sync_all()).map_err(failed)?;
        let (text, sound) = said(inspect)?;
        let due = format!(" batch {} ", last.batch + 1);
        let seen = text.lines().any(|line| line.contains(&due) && line.ends_with("DAMAGED"));
        if kind == Kind::HalfBatch && (sound || !seen) {
            return Err(format!("`inspect wal` does not show the torn batch {}", last.batch + 1));
        }
        Ok(Self { file: path, at, bytes, kind })
    }

    /// Whether the node that runs there again has cut it: zeros, or the real batch, are in its place.
    pub(super) fn is_cut(&self) -> Result<bool, String> {
        let Ok(segment) = fs::read(&self.file) else {
            // The segment has been released since.
            return Ok(!self.file.exists());
        };
        let now = segment.get(self.at as usize..).unwrap_or_default();
        Ok(!now.starts_with(&self.bytes))
    }
}

/// What it printed, and whether it found the log sound.
fn said(inspect: &mut Command) -> Result<(String, bool), String> {
    let output = inspect.output().map_err(|error| error.to_string())?;
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), output.status.success()))
}

/// `FILE+OFFSET batch N KIND ORIGIN GROUP ID SIZE bytes ok`
fn last(text: &str) -> Option<Last> {
    let line = text.lines().rev().find(|line| line.ends_with(" bytes ok"))?;
    let words: Vec<_> = line.split_whitespace().collect();
    let (file, offset) = words.first()?.split_once('+')?;
    let batch = words.iter().position(|word| *word == "batch")?;
    Some(Last {
        file: file.to_owned(),
        offset: offset.parse().ok()?,
        batch: words.get(batch + 1)?.parse().ok()?,
        payload_bytes: words[words.len() - 3].parse().ok()?,
    })
}

/// The first half of a batch of one command, to stand at `at` in this segment.
fn half_batch(segment: &[u8], at: u64, number: u64) -> Option<Vec<u8>> {
    // The segment's header: magic 8, version 4, zero 4, sequence 8, incarnation 8.
    let (sequence, incarnation) = (segment.get(16..24)?, segment.get(24..32)?);
    let salt = crc(crc(0, sequence), incarnation);
    let salt_at = |position: u64| salt ^ position as u32;
    let payload: Vec<u8> = (0..PAYLOAD_BYTES).map(|n| (n * 7 % 251) as u8 + 1).collect();

    let mut record = vec![3, 1, 0, 0];
    record.extend((PAYLOAD_BYTES as u32).to_le_bytes());
    record.extend(crc(0, &payload).to_le_bytes());
    // Group, term, index.
    for number in [1_u64, 1 << 40, 1 << 40] {
        record.extend(number.to_le_bytes());
    }
    let record_crc = crc(salt_at(at + 24), &record).to_le_bytes();

    let mut header = number.to_le_bytes().to_vec();
    header.extend((RECORD_HEADER_BYTES as u32 + PAYLOAD_BYTES as u32).to_le_bytes());
    header.extend(crc(0, &record_crc).to_le_bytes());
    let header_crc = crc(salt_at(at), &header).to_le_bytes();
    let half = &payload[..PAYLOAD_BYTES / 2];
    Some([&b"rBt1"[..], &header_crc, &header, &record_crc, &record, half].concat())
}

/// CRC-32 (IEEE), continued from `crc`.
fn crc(crc: u32, bytes: &[u8]) -> u32 {
    let mut state = !crc;
    for byte in bytes {
        state ^= u32::from(*byte);
        for _ in 0..8 {
            state = (state >> 1) ^ (0xedb8_8320 & (state & 1).wrapping_neg());
        }
    }
    !state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_usual_one_and_can_be_continued() {
        assert_eq!(crc(0, b"123456789"), 0xcbf4_3926);
        assert_eq!(crc(crc(0, b"1234"), b"56789"), 0xcbf4_3926);
    }

    #[test]
    fn the_last_whole_record_is_found() {
        let text = "node 1 of cluster 7, incarnation 00\n\
                    0000000000000002.wal+536 batch 3 Command Appended g1 t1 i5 77 bytes ok\n\
                    0000000000000002.wal+653 batch 4 Command Appended g1 t1 i6 9 bytes PAYLOAD DAMAGED\n";
        let expected = Last {
            file: "0000000000000002.wal".to_owned(),
            offset: 536,
            batch: 3,
            payload_bytes: 77,
        };
        assert_eq!(last(text), Some(expected));
        assert_eq!(last("nothing"), None);
    }
}
