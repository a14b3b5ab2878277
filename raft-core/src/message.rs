//! The messages between the nodes of a group: one struct per RPC, one for its reply.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::{Entry, GroupId, LogId, LogIndex, NodeId, Round, SnapshotMeta, Term};

/// A message with its addresses.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Envelope {
    /// The group it concerns.
    pub group: GroupId,
    /// The sender.
    pub from: NodeId,
    /// The receiver.
    pub to: NodeId,
    /// The sender's current term. Always the term it is in, also for a [`PreVote`].
    pub term: Term,
    /// What it says.
    pub message: Message,
}

/// What nodes of a group say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Message {
    /// Would you vote for me?
    PreVote(PreVote),
    /// The answer to [`PreVote`].
    PreVoteReply(PreVoteReply),
    /// Vote for me.
    RequestVote(RequestVote),
    /// The answer to [`RequestVote`].
    RequestVoteReply(RequestVoteReply),
    /// Entries, or a heartbeat when there are none.
    AppendEntries(AppendEntries),
    /// The answer to [`AppendEntries`].
    AppendEntriesReply(AppendEntriesReply),
    /// A part of a snapshot.
    InstallSnapshot(InstallSnapshot),
    /// The answer to [`InstallSnapshot`].
    InstallSnapshotReply(InstallSnapshotReply),
    /// Lead in my place.
    TimeoutNow(TimeoutNow),
    /// You are no member any more.
    Removed(Removed),
}

/// Asks whether an election would be won, without disturbing anybody (thesis, section 9.6).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PreVote {
    /// The term the sender would campaign in.
    pub term: Term,
    /// The last entry of the sender's log.
    pub last: LogId,
}

/// The answer to a [`PreVote`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PreVoteReply {
    /// The term that was asked about.
    pub term: Term,
    /// Whether the vote would be given.
    pub granted: bool,
}

/// Asks for a vote (paper, section 5.2); the term is the envelope's.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RequestVote {
    /// The last entry of the candidate's log (section 5.4.1).
    pub last: LogId,
    /// Why there is an election.
    pub cause: Cause,
}

/// Why a candidate campaigns.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cause {
    /// It has heard of no leader for an election timeout, and a quorum neither.
    Timeout,
    /// The leader has asked for it ([`TimeoutNow`]). Whoever hears a live leader votes all the same (thesis,
    /// section 3.10).
    Transfer,
}

/// The answer to a [`RequestVote`]; it holds for the envelope's term only.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RequestVoteReply {
    /// Whether the vote was given.
    pub granted: bool,
}

/// Replicates entries, carries the commit index, and asks for a sign of life (paper, section 5.3).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct AppendEntries {
    /// The entry before the first of `entries`.
    pub prev: LogId,
    /// Consecutive entries from `prev.index + 1` on; none in a heartbeat.
    pub entries: Vec<Entry>,
    /// The leader's commit index.
    pub commit: LogIndex,
    /// The leader's round.
    pub round: Round,
}

/// The answer to an [`AppendEntries`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct AppendEntriesReply {
    /// The newest round the sender has heard of in this term.
    pub round: Round,
    /// What became of the entries.
    pub outcome: AppendOutcome,
}

/// What became of the entries of an [`AppendEntries`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum AppendOutcome {
    /// The sender's log is the leader's up to `matched`, **durably**.
    Accepted {
        /// The last index that matches and is on the sender's disk.
        matched: LogIndex,
    },
    /// The sender has no entry `prev`.
    Rejected {
        /// The `prev` that was refused, to tell a stale refusal from a new one.
        prev: LogIndex,
        /// The last entry of the sender's log that could be the leader's: not after `prev`, and of no
        /// later term (paper, end of section 5.3).
        hint: LogId,
    },
    /// The sender has more committed entries than it can apply, and took none of these.
    Overloaded,
}

/// A part of a snapshot (paper, section 7). One is in flight at a time for a peer.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct InstallSnapshot {
    /// Which snapshot.
    pub meta: SnapshotMeta,
    /// The part.
    pub chunk: SnapshotChunk,
    /// The leader's round.
    pub round: Round,
}

/// Consecutive bytes of a snapshot.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SnapshotChunk {
    /// Where `data` begins in the snapshot.
    pub offset: u64,
    /// The size of the whole snapshot.
    pub total: u64,
    /// The bytes; empty only when the snapshot is.
    pub data: Bytes,
    /// CRC-32 (IEEE) of `data`, made where the snapshot was read and checked where it is written.
    pub checksum: u32,
}

impl SnapshotChunk {
    /// The offset after this chunk; `None` when a peer's numbers do not add up.
    pub fn end(&self) -> Option<u64> {
        self.offset.checked_add(self.data.len() as u64).filter(|end| *end <= self.total)
    }
}

/// The answer to an [`InstallSnapshot`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct InstallSnapshotReply {
    /// The newest round the sender has heard of in this term.
    pub round: Round,
    /// The last entry of the snapshot that is spoken of.
    pub last: LogId,
    /// How far the sender is.
    pub progress: InstallProgress,
}

/// How far a receiver of a snapshot is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum InstallProgress {
    /// Everything before `next_offset` is there.
    Receiving {
        /// The offset of the chunk to send next.
        next_offset: u64,
    },
    /// The snapshot, or a later state, is installed durably.
    Installed,
}

/// Asks its receiver to campaign at once, without PreVote (thesis, section 3.10). Sent by the leader of the
/// envelope's term, when the receiver has all of its log.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TimeoutNow {
    /// The last entry of the leader's log. A receiver whose log ends elsewhere does nothing: the message is
    /// late.
    pub last: LogId,
}

/// Says to a node that it is no member any more, so that it need not ask for votes for ever. Sent by the
/// leader of the envelope's term, of a membership that is committed.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Removed {
    /// From which index on the membership is in effect.
    pub since: LogIndex,
    /// The leader's round. Who has heard of a later one is a member again: the message is late.
    pub round: Round,
}
