//! Puts the checksums of frames, log segments and snapshot files right, so that a fuzzer gets behind them.
//!
//! This is a second implementation of where the checksums stand and what they cover, from the tables at the heads of
//! `raft-transport/src/codec/frame.rs`, `raft-storage/src/wal/format.rs` and `raft-storage/src/snapshot/format.rs`.
//! It goes as far as lengths lead, and leaves the rest as it is.

use std::ops::Range;

use crc32fast::Hasher;

fn crc(salt: u32, data: &[u8]) -> u32 {
    let mut hasher = Hasher::new_with_initial(salt);
    hasher.update(data);
    hasher.finalize()
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk))
}

fn put(bytes: &mut [u8], at: usize, number: u32) -> Option<()> {
    bytes.get_mut(at..)?.first_chunk_mut::<4>().map(|chunk| *chunk = number.to_le_bytes())
}

/// The checksum of the range, put at `at`.
fn seal_range(bytes: &mut [u8], salt: u32, range: Range<usize>, at: usize) -> Option<u32> {
    let sum = crc(salt, bytes.get(range)?);
    put(bytes, at, sum)?;
    Some(sum)
}

/// A stream of frames.
pub fn frames(stream: &mut [u8]) {
    let mut at = 0;
    while let Some(end) = frame(stream.get_mut(at..).unwrap_or_default()) {
        at += end;
    }
}

/// The frame at the front; where it ends.
fn frame(bytes: &mut [u8]) -> Option<usize> {
    let end = 16_usize.checked_add(number(bytes, 4)? as usize)?;
    let whole = seal_range(bytes, 0, 16..end, 8).is_some();
    seal_range(bytes, 0, 0..12, 12)?;
    whole.then_some(end)
}

/// A segment of the log.
pub fn segment(bytes: &mut [u8]) {
    let Some(identity) = bytes.get(16..32) else { return };
    let salt = crc(crc(0, &identity[..8]), &identity[8..]);
    seal_range(bytes, 0, 0..32, 32);
    let mut at = 512;
    while let Some(end) = batch(bytes, salt, at) {
        at = end;
    }
}

/// The batch at `at`; where it ends.
fn batch(bytes: &mut [u8], salt: u32, at: usize) -> Option<usize> {
    if bytes.get(at..at + 4)? != b"rBt1" {
        return None;
    }
    let body = at + 24;
    let end = body.checked_add(number(bytes, at + 16)? as usize)?;
    let mut digest = Hasher::new();
    let mut record = body;
    while record < end.min(bytes.len()) {
        let payload = record + 40;
        let Some(length) = number(bytes, record + 8) else { break };
        let record_end = payload + length as usize;
        if seal_range(bytes, 0, payload..record_end, record + 12).is_none() {
            break;
        }
        let sum = seal_range(bytes, salt ^ record as u32, record + 4..payload, record)?;
        digest.update(&sum.to_le_bytes());
        record = record_end;
    }
    put(bytes, at + 20, digest.finalize())?;
    seal_range(bytes, salt ^ at as u32, at + 8..body, at + 4)?;
    (end <= bytes.len()).then_some(end)
}

/// A snapshot file.
pub fn snapshot_file(bytes: &mut [u8]) {
    // What does not go on has no more checksums.
    let _ = snapshot(bytes);
}

fn snapshot(bytes: &mut [u8]) -> Option<()> {
    let header = number(bytes, 12)? as usize;
    let sum = seal_range(bytes, 0, 0..header.checked_sub(4)?, header - 4)?;
    let block_bytes = (number(bytes, 40)? as usize).clamp(1, 1 << 24);
    let footer = bytes.len().checked_sub(24).filter(|footer| *footer >= header)?;
    let (mut at, mut block) = (header, 0_u64);
    while at + 4 < footer {
        let end = footer.min(at + 4 + block_bytes);
        seal_range(bytes, crc(sum, &block.to_le_bytes()), at + 4..end, at)?;
        (at, block) = (end, block + 1);
    }
    put(bytes, footer + 16, sum)?;
    seal_range(bytes, 0, footer..footer + 20, footer + 20)?;
    Some(())
}
