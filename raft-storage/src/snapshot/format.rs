//! The format of a snapshot file, version 1. All numbers are little-endian.
//!
//! | what | bytes |
//! |---|---|
//! | header | magic 8, version 4, header length 4, group 8, term 8, index 8, block length 4, membership, crc 4 |
//! | block | crc 4, data: the block length, less in the last one |
//! | footer | magic 8, data bytes in all 8, crc of the header 4, crc 4 |
//!
//! A block's checksum is salted with its number and the header's checksum; the footer names the header: no
//! part of another file, or of another place in this one, verifies.

use raft_core::{GroupId, LogId, LogIndex, SnapshotMeta, Term};

use crate::codec::{Fields, put_log_id, put_membership, salted_crc, take_membership};

const MAGIC: &[u8; 8] = b"RAFTSNAP";
const FOOTER_MAGIC: &[u8; 8] = b"SNAPEND\0";
const VERSION: u32 = 1;
pub(crate) const BLOCK_BYTES: u32 = 64 << 10;
pub(crate) const BLOCK_CRC_BYTES: u64 = 4;
pub(crate) const FOOTER_BYTES: u64 = 24;
/// A header is never longer: some 100,000 members.
pub(crate) const HEADER_BYTES_MAX: u64 = 1 << 20;

/// What a snapshot file's header says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    pub(crate) group: GroupId,
    pub(crate) meta: SnapshotMeta,
    pub(crate) block_bytes: u32,
    pub(crate) header_bytes: u64,
    pub(crate) crc: u32,
}

/// Why a header is not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HeaderFlaw {
    Corrupt,
    OtherVersion(u32),
}

pub(crate) fn encode_header(group: GroupId, meta: &SnapshotMeta) -> (Vec<u8>, u32) {
    let mut out = Vec::new();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&group.0.to_le_bytes());
    put_log_id(&mut out, meta.last);
    out.extend_from_slice(&BLOCK_BYTES.to_le_bytes());
    put_membership(&mut out, &meta.membership);
    let len = out.len() as u32 + 4;
    out[12..16].copy_from_slice(&len.to_le_bytes());
    let crc = salted_crc(0, &out);
    out.extend_from_slice(&crc.to_le_bytes());
    (out, crc)
}

/// Reads a header at the front of `bytes`.
pub(crate) fn decode_header(bytes: &[u8]) -> Result<Header, HeaderFlaw> {
    let parse = || {
        let mut fields = Fields(bytes);
        let magic = fields.take(8)?;
        let (version, len) = (fields.u32()?, fields.u32()? as usize);
        let sealed = bytes.get(..len.checked_sub(4)?)?;
        let crc = Fields(bytes.get(sealed.len()..)?).u32()?;
        if magic != MAGIC || crc != salted_crc(0, sealed) {
            return None;
        }
        if version != VERSION {
            return Some(Err(HeaderFlaw::OtherVersion(version)));
        }
        let mut fields = Fields(sealed.get(16..)?);
        let group = GroupId(fields.u64()?);
        let term = Term(fields.u64()?);
        let last = LogId::new(term, LogIndex(fields.u64()?));
        let block_bytes = fields.u32().filter(|bytes| (1..=16 << 20).contains(bytes))?;
        let meta = SnapshotMeta { last, membership: take_membership(&mut fields)? };
        fields.end()?;
        Some(Ok(Header { group, meta, block_bytes, header_bytes: len as u64, crc }))
    };
    parse().unwrap_or(Err(HeaderFlaw::Corrupt))
}

pub(crate) fn encode_footer(total: u64, header_crc: u32) -> [u8; FOOTER_BYTES as usize] {
    let mut out = [0; FOOTER_BYTES as usize];
    out[..8].copy_from_slice(FOOTER_MAGIC);
    out[8..16].copy_from_slice(&total.to_le_bytes());
    out[16..20].copy_from_slice(&header_crc.to_le_bytes());
    let crc = salted_crc(0, &out[..20]);
    out[20..].copy_from_slice(&crc.to_le_bytes());
    out
}

/// The number of data bytes, if this is the footer of the file with that header.
pub(crate) fn decode_footer(bytes: &[u8], header_crc: u32) -> Option<u64> {
    let mut fields = Fields(bytes);
    let magic = fields.take(8)?;
    let (total, header, crc) = (fields.u64()?, fields.u32()?, fields.u32()?);
    fields.end()?;
    let sound = magic == FOOTER_MAGIC && header == header_crc && crc == salted_crc(0, &bytes[..20]);
    sound.then_some(total)
}

pub(crate) fn block_crc(header_crc: u32, number: u64, data: &[u8]) -> u32 {
    salted_crc(salted_crc(header_crc, &number.to_le_bytes()), data)
}

/// The length of a whole file, if it can be one at all.
pub(crate) fn file_bytes(header: &Header, total: u64) -> Option<u64> {
    let blocks = total.div_ceil(u64::from(header.block_bytes));
    let framing = blocks.checked_mul(BLOCK_CRC_BYTES)?;
    header.header_bytes.checked_add(total)?.checked_add(framing)?.checked_add(FOOTER_BYTES)
}

/// The file name of a snapshot. Made of what it is of, so that no clock and no counter can make two collide.
pub(crate) fn file_name(group: GroupId, last: LogId) -> String {
    format!("snapshot-{:016x}-{:016x}-{:016x}.snap", group.0, last.index.0, last.term.0)
}

/// What the snapshot with this name is of.
pub(crate) fn parse_file_name(name: &str) -> Option<(GroupId, LogId)> {
    let mut parts = name.strip_prefix("snapshot-")?.strip_suffix(".snap")?.split('-');
    let mut number = || u64::from_str_radix(parts.next()?, 16).ok();
    let group = GroupId(number()?);
    let index = LogIndex(number()?);
    let last = LogId::new(Term(number()?), index);
    (file_name(group, last) == name).then_some((group, last))
}

/// How a snapshot is named while it is being written; such files are removed at open.
pub(crate) fn temp_name(group: GroupId, number: u64) -> String {
    format!("snapshot-{:016x}-{number}.tmp", group.0)
}

/// How a replaced snapshot is named that is kept to be written over; removed at open as well.
pub(crate) const SPARE_NAME: &str = "snapshot-spare";

pub(crate) fn is_temp_name(name: &str) -> bool {
    name == SPARE_NAME || name.starts_with("snapshot-") && name.ends_with(".tmp")
}
