//! The messages of Raft, as bytes.

use std::collections::BTreeSet;

use bytes::{BufMut, Bytes, BytesMut};
use raft_core::{
    AppendEntries, AppendEntriesReply, AppendOutcome, Cause, Entry, Envelope, GroupId,
    InstallProgress, InstallSnapshot, InstallSnapshotReply, LogId, LogIndex, Membership, Message,
    NodeId, Payload, PreVote, PreVoteReply, Removed, RequestVote, RequestVoteReply, Round,
    SnapshotChunk, SnapshotMeta, Term, TimeoutNow,
};

use super::wire::{DecodeError, DecodeFault, Reader, put_bytes, put_number};

/// The fewest bytes an entry has: term, index, tag.
const ENTRY_BYTES_MIN: usize = 3;
/// How much room is made for entries before they are read; a payload has to have more of them to get more.
const ENTRIES_AHEAD: usize = 256;

/// What an envelope counts for in the limits of queues: about what it occupies, in bytes.
pub fn weight(envelope: &Envelope) -> u64 {
    Entry::OVERHEAD_BYTES
        + match &envelope.message {
            Message::AppendEntries(append) => append.entries.iter().map(Entry::bytes).sum(),
            Message::InstallSnapshot(install) => {
                install.chunk.data.len() as u64 + install.meta.membership.bytes()
            }
            _ => 0,
        }
}

/// Appends an envelope to `out`.
pub fn encode_envelope(envelope: &Envelope, out: &mut BytesMut) {
    put_number(out, envelope.group.0);
    put_number(out, envelope.from.0);
    put_number(out, envelope.to.0);
    put_number(out, envelope.term.0);
    match &envelope.message {
        Message::PreVote(message) => {
            out.put_u8(1);
            put_number(out, message.term.0);
            put_log_id(out, message.last);
        }
        Message::PreVoteReply(message) => {
            out.put_u8(2);
            put_number(out, message.term.0);
            out.put_u8(message.granted.into());
        }
        Message::RequestVote(message) => {
            out.put_u8(match message.cause {
                Cause::Timeout => 3,
                Cause::Transfer => 9,
            });
            put_log_id(out, message.last);
        }
        Message::RequestVoteReply(message) => {
            out.put_u8(4);
            out.put_u8(message.granted.into());
        }
        Message::AppendEntries(message) => {
            out.put_u8(5);
            put_log_id(out, message.prev);
            put_number(out, message.commit.0);
            put_number(out, message.round.0);
            put_number(out, message.entries.len() as u64);
            message.entries.iter().for_each(|entry| put_entry(out, entry));
        }
        Message::AppendEntriesReply(message) => {
            out.put_u8(6);
            put_number(out, message.round.0);
            put_outcome(out, &message.outcome);
        }
        Message::InstallSnapshot(message) => {
            out.put_u8(7);
            put_log_id(out, message.meta.last);
            put_membership(out, &message.meta.membership);
            put_number(out, message.round.0);
            put_number(out, message.chunk.offset);
            put_number(out, message.chunk.total);
            out.put_u32_le(message.chunk.checksum);
            put_bytes(out, &message.chunk.data);
        }
        Message::InstallSnapshotReply(message) => {
            out.put_u8(8);
            put_number(out, message.round.0);
            put_log_id(out, message.last);
            put_progress(out, message.progress);
        }
        Message::TimeoutNow(message) => {
            out.put_u8(10);
            put_log_id(out, message.last);
        }
        Message::Removed(message) => {
            out.put_u8(11);
            put_number(out, message.since.0);
            put_number(out, message.round.0);
        }
    }
}

/// Reads one envelope, which has to be all of `payload`.
pub fn decode_envelope(payload: &Bytes) -> Result<Envelope, DecodeError> {
    let mut reader = Reader::new(payload);
    let envelope = envelope(&mut reader)?;
    reader.finish()?;
    Ok(envelope)
}

/// Reads envelopes until `payload` ends and appends them to `into`. After an error `into` has those before
/// it; the caller decides whether they count.
pub fn decode_batch(payload: &Bytes, into: &mut Vec<Envelope>) -> Result<(), DecodeError> {
    let mut reader = Reader::new(payload);
    while reader.remaining() > 0 {
        into.push(envelope(&mut reader)?);
    }
    Ok(())
}

fn put_log_id(out: &mut BytesMut, id: LogId) {
    put_number(out, id.term.0);
    put_number(out, id.index.0);
}

fn put_entry(out: &mut BytesMut, entry: &Entry) {
    put_log_id(out, entry.id);
    match &entry.payload {
        Payload::Noop => out.put_u8(0),
        Payload::Command(command) => {
            out.put_u8(1);
            put_bytes(out, command);
        }
        Payload::Membership(membership) => {
            out.put_u8(2);
            put_membership(out, membership);
        }
    }
}

fn put_membership(out: &mut BytesMut, membership: &Membership) {
    for set in [&membership.voters, &membership.outgoing, &membership.learners] {
        put_number(out, set.len() as u64);
        set.iter().for_each(|node| put_number(out, node.0));
    }
}

fn put_outcome(out: &mut BytesMut, outcome: &AppendOutcome) {
    match outcome {
        AppendOutcome::Accepted { matched } => {
            out.put_u8(0);
            put_number(out, matched.0);
        }
        AppendOutcome::Rejected { prev, hint } => {
            out.put_u8(1);
            put_number(out, prev.0);
            put_log_id(out, *hint);
        }
        AppendOutcome::Overloaded => out.put_u8(2),
    }
}

fn put_progress(out: &mut BytesMut, progress: InstallProgress) {
    match progress {
        InstallProgress::Receiving { next_offset } => {
            out.put_u8(0);
            put_number(out, next_offset);
        }
        InstallProgress::Installed => out.put_u8(1),
    }
}

fn envelope(reader: &mut Reader<'_>) -> Result<Envelope, DecodeError> {
    Ok(Envelope {
        group: GroupId(reader.number("group")?),
        from: NodeId(reader.number("sender")?),
        to: NodeId(reader.number("receiver")?),
        term: term(reader)?,
        message: message(reader)?,
    })
}

fn message(reader: &mut Reader<'_>) -> Result<Message, DecodeError> {
    Ok(match reader.tag("message")? {
        1 => Message::PreVote(PreVote { term: term(reader)?, last: log_id(reader)? }),
        2 => Message::PreVoteReply(PreVoteReply { term: term(reader)?, granted: granted(reader)? }),
        3 => Message::RequestVote(RequestVote { last: log_id(reader)?, cause: Cause::Timeout }),
        4 => Message::RequestVoteReply(RequestVoteReply { granted: granted(reader)? }),
        5 => Message::AppendEntries(append_entries(reader)?),
        6 => Message::AppendEntriesReply(AppendEntriesReply {
            round: round(reader)?,
            outcome: outcome(reader)?,
        }),
        7 => Message::InstallSnapshot(install_snapshot(reader)?),
        8 => Message::InstallSnapshotReply(InstallSnapshotReply {
            round: round(reader)?,
            last: log_id(reader)?,
            progress: progress(reader)?,
        }),
        9 => Message::RequestVote(RequestVote { last: log_id(reader)?, cause: Cause::Transfer }),
        10 => Message::TimeoutNow(TimeoutNow { last: log_id(reader)? }),
        11 => Message::Removed(Removed { since: index(reader)?, round: round(reader)? }),
        tag => return Err(reader.unknown("message", tag)),
    })
}

fn append_entries(reader: &mut Reader<'_>) -> Result<AppendEntries, DecodeError> {
    let prev = log_id(reader)?;
    let commit = index(reader)?;
    let round = round(reader)?;
    let count = reader.count("entries", ENTRY_BYTES_MIN)?;
    let mut entries = Vec::with_capacity(count.min(ENTRIES_AHEAD));
    for _ in 0..count {
        entries.push(entry(reader)?);
    }
    Ok(AppendEntries { prev, entries, commit, round })
}

fn install_snapshot(reader: &mut Reader<'_>) -> Result<InstallSnapshot, DecodeError> {
    let meta = SnapshotMeta { last: log_id(reader)?, membership: membership(reader)? };
    let round = round(reader)?;
    let offset = reader.number("offset")?;
    let total = reader.number("total")?;
    let checksum = reader.u32("checksum")?;
    let data = reader.bytes("chunk")?;
    Ok(InstallSnapshot { meta, chunk: SnapshotChunk { offset, total, data, checksum }, round })
}

fn term(reader: &mut Reader<'_>) -> Result<Term, DecodeError> {
    reader.number("term").map(Term)
}

fn index(reader: &mut Reader<'_>) -> Result<LogIndex, DecodeError> {
    reader.number("index").map(LogIndex)
}

fn round(reader: &mut Reader<'_>) -> Result<Round, DecodeError> {
    reader.number("round").map(Round)
}

fn log_id(reader: &mut Reader<'_>) -> Result<LogId, DecodeError> {
    Ok(LogId::new(term(reader)?, index(reader)?))
}

fn granted(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    match reader.tag("granted")? {
        0 => Ok(false),
        1 => Ok(true),
        tag => Err(reader.unknown("granted", tag)),
    }
}

fn entry(reader: &mut Reader<'_>) -> Result<Entry, DecodeError> {
    let id = log_id(reader)?;
    let payload = match reader.tag("entry")? {
        0 => Payload::Noop,
        1 => Payload::Command(reader.bytes("command")?),
        2 => Payload::Membership(Box::new(membership(reader)?)),
        tag => return Err(reader.unknown("entry", tag)),
    };
    Ok(Entry { id, payload })
}

fn membership(reader: &mut Reader<'_>) -> Result<Membership, DecodeError> {
    Ok(Membership { voters: nodes(reader)?, outgoing: nodes(reader)?, learners: nodes(reader)? })
}

fn nodes(reader: &mut Reader<'_>) -> Result<BTreeSet<NodeId>, DecodeError> {
    let count = reader.count("nodes", 1)?;
    if count > Membership::MEMBERS_MAX {
        return Err(reader.error("nodes", DecodeFault::Members(count)));
    }
    let mut nodes = BTreeSet::new();
    for _ in 0..count {
        let node = NodeId(reader.number("node")?);
        if nodes.last().is_some_and(|last| *last >= node) {
            return Err(reader.error("node", DecodeFault::Order));
        }
        nodes.insert(node);
    }
    Ok(nodes)
}

fn outcome(reader: &mut Reader<'_>) -> Result<AppendOutcome, DecodeError> {
    match reader.tag("outcome")? {
        0 => Ok(AppendOutcome::Accepted { matched: index(reader)? }),
        1 => Ok(AppendOutcome::Rejected { prev: index(reader)?, hint: log_id(reader)? }),
        2 => Ok(AppendOutcome::Overloaded),
        tag => Err(reader.unknown("outcome", tag)),
    }
}

fn progress(reader: &mut Reader<'_>) -> Result<InstallProgress, DecodeError> {
    match reader.tag("progress")? {
        0 => Ok(InstallProgress::Receiving { next_offset: reader.number("offset")? }),
        1 => Ok(InstallProgress::Installed),
        tag => Err(reader.unknown("progress", tag)),
    }
}
