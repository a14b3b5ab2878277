//! Payloads of records, and the encoder of batches.

use raft_core::{
    Entry, GroupId, HardState, LogId, LogIndex, NodeId, Payload, Suffix, Term, WriteOp,
};

use super::format::{
    BATCH_HEADER_BYTES, BatchHeader, Origin, RECORD_HEADER_BYTES, RecordHeader, RecordKind, Salt,
};
use crate::codec::{Fields, membership_bytes, put_membership, take_membership};

/// Builds one batch in a buffer that is used again and again.
pub(crate) struct BatchEncoder {
    buffer: Vec<u8>,
    salt: Salt,
    position: u64,
    digest: crc32fast::Hasher,
}

impl BatchEncoder {
    pub(crate) fn new() -> Self {
        let digest = crc32fast::Hasher::new();
        Self { buffer: Vec::new(), salt: Salt::new(0, 0.into()), position: 0, digest }
    }

    /// Begins a batch that will stand at `position`.
    pub(crate) fn begin(&mut self, salt: Salt, position: u64) {
        self.buffer.clear();
        self.buffer.resize(BATCH_HEADER_BYTES, 0);
        self.digest.reset();
        (self.salt, self.position) = (salt, position);
    }

    pub(crate) fn record(
        &mut self,
        kind: RecordKind,
        origin: Origin,
        group: GroupId,
        id: LogId,
        payload: &[u8],
    ) {
        let header = RecordHeader {
            kind,
            origin,
            group,
            id,
            payload_bytes: payload.len() as u32,
            payload_crc: crc32fast::hash(payload),
        };
        let salt = self.salt.at(self.position + self.buffer.len() as u64);
        let crc = header.encode(salt, &mut self.buffer);
        self.digest.update(&crc.to_le_bytes());
        self.buffer.extend_from_slice(payload);
    }

    pub(crate) fn entry(&mut self, group: GroupId, entry: &Entry) {
        let (kind, origin) = (entry_kind(&entry.payload), Origin::Appended);
        match &entry.payload {
            Payload::Noop => self.record(kind, origin, group, entry.id, &[]),
            Payload::Command(command) => self.record(kind, origin, group, entry.id, command),
            Payload::Membership(membership) => {
                let mut payload = Vec::new();
                put_membership(&mut payload, membership);
                self.record(kind, origin, group, entry.id, &payload);
            }
        }
    }

    pub(crate) fn op(&mut self, group: GroupId, op: &WriteOp) {
        let origin = Origin::Appended;
        match op {
            WriteOp::HardState(state) => {
                let id = LogId::new(state.term, LogIndex::ZERO);
                self.record(RecordKind::HardState, origin, group, id, &vote(state));
            }
            WriteOp::Append(entries) => entries.iter().for_each(|entry| self.entry(group, entry)),
            WriteOp::Compact(id) => self.record(RecordKind::Compacted, origin, group, *id, &[]),
            WriteOp::Receive { meta, chunk, suffix } => {
                if chunk.end() == Some(chunk.total) {
                    self.installed(group, meta.last, *suffix);
                }
            }
        }
    }

    pub(crate) fn installed(&mut self, group: GroupId, last: LogId, suffix: Suffix) {
        let code = match suffix {
            Suffix::Keep => 0,
            Suffix::Discard => 1,
        };
        self.record(RecordKind::Installed, Origin::Appended, group, last, &[code]);
    }

    pub(crate) fn oldest_needed(&mut self, oldest: u64) {
        let (group, id) = (GroupId(0), LogId::ZERO);
        let payload = oldest.to_le_bytes();
        self.record(RecordKind::OldestNeeded, Origin::Appended, group, id, &payload);
    }

    pub(crate) fn group_state(&mut self, group: GroupId, state: &HardState, compacted: LogId) {
        let mut payload = [0; GROUP_STATE_BYTES];
        payload[..8].copy_from_slice(&state.term.0.to_le_bytes());
        payload[8..].copy_from_slice(&vote(state));
        self.record(RecordKind::GroupState, Origin::Appended, group, compacted, &payload);
    }

    /// Ends the batch and lends out its buffer; give it back with [`reuse`](Self::reuse).
    pub(crate) fn finish(&mut self, number: u64) -> Vec<u8> {
        let body_bytes = (self.buffer.len() - BATCH_HEADER_BYTES) as u32;
        let digest = self.digest.clone().finalize();
        let header = BatchHeader { number, body_bytes, digest };
        self.buffer[..BATCH_HEADER_BYTES]
            .copy_from_slice(&header.encode(self.salt.at(self.position)));
        std::mem::take(&mut self.buffer)
    }

    /// Takes a buffer back, unless one large batch has made it so big that keeping it is a waste.
    pub(crate) fn reuse(&mut self, buffer: Vec<u8>) {
        if buffer.capacity() <= 4 << 20 {
            self.buffer = buffer;
        }
    }
}

const VOTE_BYTES: usize = 9;
const GROUP_STATE_BYTES: usize = 8 + VOTE_BYTES;

fn vote(state: &HardState) -> [u8; VOTE_BYTES] {
    let mut out = [0; VOTE_BYTES];
    if let Some(node) = state.voted_for {
        out[0] = 1;
        out[1..].copy_from_slice(&node.0.to_le_bytes());
    }
    out
}

pub(crate) fn entry_kind(payload: &Payload) -> RecordKind {
    match payload {
        Payload::Noop => RecordKind::Noop,
        Payload::Command(_) => RecordKind::Command,
        Payload::Membership(_) => RecordKind::Membership,
    }
}

/// What `entry` takes in a batch.
pub(crate) fn entry_bytes(entry: &Entry) -> usize {
    RECORD_HEADER_BYTES
        + match &entry.payload {
            Payload::Noop => 0,
            Payload::Command(command) => command.len(),
            Payload::Membership(membership) => membership_bytes(membership),
        }
}

/// What `op` takes in a batch.
pub(crate) fn op_bytes(op: &WriteOp) -> usize {
    match op {
        WriteOp::HardState(_) => RECORD_HEADER_BYTES + VOTE_BYTES,
        WriteOp::Append(entries) => entries.iter().map(entry_bytes).sum(),
        WriteOp::Compact(_) => RECORD_HEADER_BYTES,
        WriteOp::Receive { chunk, .. } if chunk.end() == Some(chunk.total) => {
            RECORD_HEADER_BYTES + 1
        }
        WriteOp::Receive { .. } => 0,
    }
}

/// What a record means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Record {
    HardState(HardState),
    Entry(Origin, Entry),
    Compacted(LogId),
    Installed(LogId, Suffix),
    OldestNeeded { oldest: u64 },
    GroupState(HardState, LogId),
}

impl Record {
    /// Reads a payload that has been verified; `None` when it makes no sense in version 1.
    pub(crate) fn decode(header: &RecordHeader, payload: &[u8]) -> Option<Self> {
        let mut fields = Fields(payload);
        let record = match header.kind {
            RecordKind::HardState => Self::HardState(take_vote(header.id.term, &mut fields)?),
            RecordKind::Noop => Self::Entry(header.origin, entry(header, Payload::Noop)),
            RecordKind::Command => {
                // A copy: a slice would keep the whole segment in memory for as long as the entry.
                let command = bytes::Bytes::copy_from_slice(fields.take(payload.len())?);
                Self::Entry(header.origin, entry(header, Payload::Command(command)))
            }
            RecordKind::Membership => {
                let membership = Payload::Membership(Box::new(take_membership(&mut fields)?));
                Self::Entry(header.origin, entry(header, membership))
            }
            RecordKind::Compacted => Self::Compacted(header.id),
            RecordKind::Installed => {
                let suffix = match fields.u8()? {
                    0 => Suffix::Keep,
                    1 => Suffix::Discard,
                    _ => return None,
                };
                Self::Installed(header.id, suffix)
            }
            RecordKind::OldestNeeded => Self::OldestNeeded { oldest: fields.u64()? },
            RecordKind::GroupState => {
                let term = Term(fields.u64()?);
                Self::GroupState(take_vote(term, &mut fields)?, header.id)
            }
        };
        fields.end()?;
        Some(record)
    }
}

fn entry(header: &RecordHeader, payload: Payload) -> Entry {
    Entry { id: header.id, payload }
}

fn take_vote(term: Term, fields: &mut Fields<'_>) -> Option<HardState> {
    let voted_for = match (fields.u8()?, fields.u64()?) {
        (0, 0) => None,
        (1, node) => Some(NodeId(node)),
        _ => return None,
    };
    Some(HardState { term, voted_for })
}
