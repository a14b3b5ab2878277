//! The log's format, version 1: segments, batches, records. All numbers are little-endian.
//!
//! | what | bytes |
//! |---|---|
//! | segment header | magic 8, version 4, zero 4, sequence 8, incarnation 8, crc 4; zeros up to 512 |
//! | batch header | magic 4, crc 4, batch number 8, length of the body 4, digest 4 |
//! | record header | crc 4, kind 1, version 1, origin 1, zero 1, payload length 4, payload crc 4, group 8, term 8, index 8 |
//!
//! A batch is one `write`, made durable by one sync; its records follow its header without padding. Batches
//! are numbered without gaps through all segments.
//!
//! Every header's checksum is salted with the segment's sequence number, the directory's incarnation and the
//! position: what a recycled segment holds of its earlier life never verifies, nor does a write that landed in
//! the wrong place. A record's checksum covers the entry's identity and its payload's checksum, so that a bad
//! payload still says which entry it was. The digest of a batch is the checksum of its records' checksums: a
//! batch is there as a whole or not at all, and no mixture of two batches verifies.

use raft_core::{GroupId, Incarnation, LogId, LogIndex, Term};

use crate::codec::{Fields, put_log_id, salted_crc};

pub(crate) const SEGMENT_MAGIC: &[u8; 8] = b"RAFTWAL\0";
pub(crate) const BATCH_MAGIC: [u8; 4] = *b"rBt1";
pub(crate) const VERSION: u32 = 1;
pub(crate) const RECORD_VERSION: u8 = 1;
/// Where the first batch of a segment begins. A sector of its own: no later write touches it.
pub(crate) const SEGMENT_HEADER_BYTES: u64 = 512;
pub(crate) const BATCH_HEADER_BYTES: usize = 24;
pub(crate) const RECORD_HEADER_BYTES: usize = 40;

/// What tells the records of one life of one segment from all others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Salt(u32);

impl Salt {
    pub(crate) fn new(sequence: u64, incarnation: Incarnation) -> Self {
        if planted!(RecycledRecordsAccepted) {
            return Self(incarnation.0 as u32);
        }
        Self(salted_crc(salted_crc(0, &sequence.to_le_bytes()), &incarnation.0.to_le_bytes()))
    }

    /// The salt of a header at `position`. CRCs of equal bytes differ whenever their salts do.
    pub(crate) fn at(self, position: u64) -> u32 {
        self.0 ^ (position as u32)
    }
}

pub(crate) fn segment_header(sequence: u64, incarnation: Incarnation) -> Vec<u8> {
    let mut out = Vec::with_capacity(SEGMENT_HEADER_BYTES as usize);
    out.extend_from_slice(SEGMENT_MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&incarnation.0.to_le_bytes());
    let crc = salted_crc(0, &out);
    out.extend_from_slice(&crc.to_le_bytes());
    out.resize(SEGMENT_HEADER_BYTES as usize, 0);
    out
}

/// What a segment's header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SegmentHeader {
    pub(crate) sequence: u64,
    pub(crate) incarnation: Incarnation,
}

/// Why a segment's header is not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HeaderFlaw {
    Corrupt,
    OtherVersion(u32),
}

pub(crate) fn parse_segment_header(bytes: &[u8]) -> Result<SegmentHeader, HeaderFlaw> {
    let parse = || {
        let mut fields = Fields(bytes);
        let magic = fields.take(8)?;
        let version = fields.u32()?;
        fields.take(4)?;
        let header =
            SegmentHeader { sequence: fields.u64()?, incarnation: Incarnation(fields.u64()?) };
        let sound = magic == SEGMENT_MAGIC && fields.u32()? == salted_crc(0, &bytes[..32]);
        sound.then_some((version, header))
    };
    match parse() {
        Some((VERSION, header)) => Ok(header),
        Some((version, _)) => Err(HeaderFlaw::OtherVersion(version)),
        None => Err(HeaderFlaw::Corrupt),
    }
}

/// What a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RecordKind {
    /// The group's hard state; the record's term is the state's, the payload the vote.
    HardState,
    /// An entry without a command.
    Noop,
    /// An entry with a command, which is the payload.
    Command,
    /// An entry with a membership.
    Membership,
    /// The log is compacted up to the record's index.
    Compacted,
    /// A snapshot of the record's index was installed; the payload says what became of the log.
    Installed,
    /// The payload is the sequence of the oldest segment that is needed from here on. The first record of each
    /// segment; and no segment is released before such a record is durable.
    OldestNeeded,
    /// A group's hard state and compaction, repeated at the start of a segment.
    GroupState,
}

impl RecordKind {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::HardState => 1,
            Self::Noop => 2,
            Self::Command => 3,
            Self::Membership => 4,
            Self::Compacted => 5,
            Self::Installed => 6,
            Self::OldestNeeded => 7,
            Self::GroupState => 8,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::HardState,
            2 => Self::Noop,
            3 => Self::Command,
            4 => Self::Membership,
            5 => Self::Compacted,
            6 => Self::Installed,
            7 => Self::OldestNeeded,
            8 => Self::GroupState,
            _ => return None,
        })
    }
}

/// How an entry came to be where it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// It was written by an append: whatever stood at its index and after it is gone.
    Appended,
    /// It was copied from a segment that is to be released: entries after it stay.
    Relocated,
}

/// The identity of a record, apart from its payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RecordHeader {
    pub(crate) kind: RecordKind,
    pub(crate) origin: Origin,
    pub(crate) group: GroupId,
    pub(crate) id: LogId,
    pub(crate) payload_bytes: u32,
    pub(crate) payload_crc: u32,
}

impl RecordHeader {
    /// Appends the header, to stand at a position with this salt, and returns its checksum.
    pub(crate) fn encode(&self, salt: u32, out: &mut Vec<u8>) -> u32 {
        let begin = out.len();
        let origin = match self.origin {
            Origin::Appended => 0,
            Origin::Relocated => 1,
        };
        out.extend_from_slice(&[0, 0, 0, 0, self.kind.code(), RECORD_VERSION, origin, 0]);
        out.extend_from_slice(&self.payload_bytes.to_le_bytes());
        out.extend_from_slice(&self.payload_crc.to_le_bytes());
        out.extend_from_slice(&self.group.0.to_le_bytes());
        put_log_id(out, self.id);
        let crc = salted_crc(salt, &out[begin + 4..]);
        out[begin..begin + 4].copy_from_slice(&crc.to_le_bytes());
        crc
    }

    /// Reads a header. `None`: it does not verify, or says what no version 1 writer says.
    pub(crate) fn decode(salt: u32, bytes: &[u8]) -> Option<(Self, u32)> {
        let mut fields = Fields(bytes.get(..RECORD_HEADER_BYTES)?);
        let crc = fields.u32()?;
        if salted_crc(salt, fields.0) != crc {
            return None;
        }
        let kind = RecordKind::from_code(fields.u8()?)?;
        if fields.u8()? != RECORD_VERSION {
            return None;
        }
        let origin = match fields.u8()? {
            0 => Origin::Appended,
            1 => Origin::Relocated,
            _ => return None,
        };
        fields.u8()?;
        let (payload_bytes, payload_crc) = (fields.u32()?, fields.u32()?);
        let group = GroupId(fields.u64()?);
        let term = Term(fields.u64()?);
        let id = LogId::new(term, LogIndex(fields.u64()?));
        Some((Self { kind, origin, group, id, payload_bytes, payload_crc }, crc))
    }
}

/// The header of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BatchHeader {
    pub(crate) number: u64,
    pub(crate) body_bytes: u32,
    pub(crate) digest: u32,
}

impl BatchHeader {
    pub(crate) fn encode(&self, salt: u32) -> [u8; BATCH_HEADER_BYTES] {
        let mut out = [0; BATCH_HEADER_BYTES];
        out[..4].copy_from_slice(&BATCH_MAGIC);
        out[8..16].copy_from_slice(&self.number.to_le_bytes());
        out[16..20].copy_from_slice(&self.body_bytes.to_le_bytes());
        out[20..].copy_from_slice(&self.digest.to_le_bytes());
        let crc = salted_crc(salt, &out[8..]);
        out[4..8].copy_from_slice(&crc.to_le_bytes());
        out
    }

    pub(crate) fn decode(salt: u32, bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes.get(..BATCH_HEADER_BYTES)?);
        if fields.take(4)? != BATCH_MAGIC {
            return None;
        }
        if fields.u32()? != salted_crc(salt, fields.0) {
            return None;
        }
        Some(Self { number: fields.u64()?, body_bytes: fields.u32()?, digest: fields.u32()? })
    }
}

/// The file name of a segment.
pub(crate) fn segment_name(sequence: u64) -> String {
    format!("{sequence:016x}.wal")
}

/// The sequence of the segment that has this name.
pub(crate) fn parse_segment_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".wal")?;
    let sequence = u64::from_str_radix(digits, 16).ok()?;
    (segment_name(sequence) == name).then_some(sequence)
}
