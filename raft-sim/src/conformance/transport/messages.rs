//! Messages of every kind.

use bytes::{Bytes, BytesMut};
use raft_core::{
    AppendEntries, AppendEntriesReply, AppendOutcome, Cause, Entry, Envelope, GroupId,
    InstallProgress, InstallSnapshot, InstallSnapshotReply, LogId, LogIndex, Membership, Message,
    NodeId, Payload, PreVote, PreVoteReply, Removed, RequestVote, RequestVoteReply, Round,
    SnapshotChunk, SnapshotMeta, Term, TimeoutNow,
};
use raft_transport::codec::encode_envelope;

/// What two equal envelopes have in common.
pub(super) type Key = Vec<u8>;

pub(super) fn key(envelope: &Envelope) -> Key {
    let mut out = BytesMut::new();
    encode_envelope(envelope, &mut out);
    out.to_vec()
}

/// One line about an envelope.
pub(super) fn describe(envelope: &Envelope) -> String {
    let Envelope { group, from, to, term, message } = envelope;
    let kind = match message {
        Message::PreVote(_) => "PreVote",
        Message::PreVoteReply(_) => "PreVoteReply",
        Message::RequestVote(_) => "RequestVote",
        Message::RequestVoteReply(_) => "RequestVoteReply",
        Message::AppendEntries(_) => "AppendEntries",
        Message::AppendEntriesReply(_) => "AppendEntriesReply",
        Message::InstallSnapshot(_) => "InstallSnapshot",
        Message::InstallSnapshotReply(_) => "InstallSnapshotReply",
        Message::TimeoutNow(_) => "TimeoutNow",
        Message::Removed(_) => "Removed",
    };
    format!("{kind} of group {group} from {from} to {to} in {term}")
}

fn id(term: u64, index: u64) -> LogId {
    LogId::new(Term(term), LogIndex(index))
}

pub(super) fn envelope(from: u64, to: u64, number: u64, message: Message) -> Envelope {
    let (from, to) = (NodeId(from), NodeId(to));
    Envelope { group: GroupId(number % 7 + 1), from, to, term: Term(number), message }
}

/// A small message; `number` tells it from the others.
pub(super) fn small(from: u64, to: u64, number: u64) -> Envelope {
    envelope(
        from,
        to,
        number,
        Message::RequestVote(RequestVote { last: id(1, number), cause: Cause::Timeout }),
    )
}

/// Entries with one command.
pub(super) fn append(from: u64, to: u64, number: u64, command: Bytes) -> Envelope {
    let entries = vec![Entry { id: id(1, number + 1), payload: Payload::Command(command) }];
    let append = AppendEntries {
        prev: id(1, number),
        entries,
        commit: LogIndex(number),
        round: Round(number),
    };
    envelope(from, to, number, Message::AppendEntries(append))
}

/// One of each kind and each variant, numbered from `first` on.
pub(super) fn all_kinds(from: u64, to: u64, first: u64) -> Vec<Envelope> {
    let round = Round(u64::MAX - 1);
    let mut messages = Vec::new();
    for granted in [false, true] {
        messages.push(Message::PreVoteReply(PreVoteReply { term: Term(9), granted }));
        messages.push(Message::RequestVoteReply(RequestVoteReply { granted }));
    }
    messages.push(Message::PreVote(PreVote { term: Term(9), last: id(8, 7) }));
    for cause in [Cause::Timeout, Cause::Transfer] {
        let last = id(u64::MAX / 2, u64::MAX / 2);
        messages.push(Message::RequestVote(RequestVote { last, cause }));
    }
    messages.push(Message::TimeoutNow(TimeoutNow { last: id(8, 7) }));
    messages.push(Message::Removed(Removed { since: LogIndex(6), round }));
    for outcome in [
        AppendOutcome::Accepted { matched: LogIndex(5) },
        AppendOutcome::Rejected { prev: LogIndex(5), hint: id(2, 3) },
        AppendOutcome::Overloaded,
    ] {
        messages.push(Message::AppendEntriesReply(AppendEntriesReply { round, outcome }));
    }
    messages.extend(appends().map(|entries| {
        let (prev, commit) = (id(3, 10), LogIndex(9));
        Message::AppendEntries(AppendEntries { prev, entries, commit, round })
    }));
    messages.extend(chunks().map(|chunk| {
        let meta = SnapshotMeta { last: id(4, 99), membership: membership() };
        Message::InstallSnapshot(InstallSnapshot { meta, chunk, round })
    }));
    for progress in
        [InstallProgress::Receiving { next_offset: 1 << 40 }, InstallProgress::Installed]
    {
        let reply = InstallSnapshotReply { round, last: id(4, 99), progress };
        messages.push(Message::InstallSnapshotReply(reply));
    }
    (first..).zip(messages).map(|(number, it)| envelope(from, to, number, it)).collect()
}

fn membership() -> Membership {
    let mut membership = Membership::of_voters([1, 2, 3].map(NodeId));
    membership.outgoing.insert(NodeId(4));
    membership.learners.insert(NodeId(5));
    membership
}

fn appends() -> impl Iterator<Item = Vec<Entry>> {
    let payloads = [
        Payload::Noop,
        Payload::Command(Bytes::new()),
        Payload::Command((0..=255).collect()),
        Payload::Membership(Box::new(membership())),
    ];
    let entries = (11..).zip(payloads).map(|(index, payload)| Entry { id: id(3, index), payload });
    [vec![], entries.collect()].into_iter()
}

fn chunks() -> impl Iterator<Item = SnapshotChunk> {
    let chunk = |offset, data: Vec<u8>| {
        let checksum = crc32fast::hash(&data);
        SnapshotChunk { offset, total: offset + data.len() as u64, data: data.into(), checksum }
    };
    [chunk(0, vec![]), chunk(1 << 33, vec![7; 1000])].into_iter()
}
