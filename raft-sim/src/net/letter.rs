//! What is on the wire, as faults and counters see it.

use std::time::Duration;

use raft_core::{Envelope, Message, Term};

use super::HostId;

/// The kinds of things that are sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs, reason = "the names of the messages, and what is around them")]
pub enum Kind {
    PreVote,
    PreVoteReply,
    RequestVote,
    RequestVoteReply,
    AppendEntries,
    AppendEntriesReply,
    InstallSnapshot,
    InstallSnapshotReply,
    TimeoutNow,
    Removed,
    /// A request of a client, or any other call of a service.
    Request,
    Reply,
    /// Bytes of a stream, its beginning or its end.
    Segment,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::PreVote,
        Self::PreVoteReply,
        Self::RequestVote,
        Self::RequestVoteReply,
        Self::AppendEntries,
        Self::AppendEntriesReply,
        Self::InstallSnapshot,
        Self::InstallSnapshotReply,
        Self::TimeoutNow,
        Self::Removed,
        Self::Request,
        Self::Reply,
        Self::Segment,
    ];

    /// Whether it answers something.
    pub fn is_reply(self) -> bool {
        matches!(
            self,
            Self::PreVoteReply
                | Self::RequestVoteReply
                | Self::AppendEntriesReply
                | Self::InstallSnapshotReply
                | Self::Reply
        )
    }

    /// Its name in traces, and as a point to crash at.
    pub fn name(self) -> &'static str {
        match self {
            Self::PreVote => "pre-vote",
            Self::PreVoteReply => "pre-vote-reply",
            Self::RequestVote => "request-vote",
            Self::RequestVoteReply => "request-vote-reply",
            Self::AppendEntries => "append-entries",
            Self::AppendEntriesReply => "append-entries-reply",
            Self::InstallSnapshot => "install-snapshot",
            Self::InstallSnapshotReply => "install-snapshot-reply",
            Self::TimeoutNow => "timeout-now",
            Self::Removed => "removed",
            Self::Request => "request",
            Self::Reply => "reply",
            Self::Segment => "segment",
        }
    }

    pub(crate) fn of(message: &Message) -> Self {
        match message {
            Message::PreVote(_) => Self::PreVote,
            Message::PreVoteReply(_) => Self::PreVoteReply,
            Message::RequestVote(_) => Self::RequestVote,
            Message::RequestVoteReply(_) => Self::RequestVoteReply,
            Message::AppendEntries(_) => Self::AppendEntries,
            Message::AppendEntriesReply(_) => Self::AppendEntriesReply,
            Message::InstallSnapshot(_) => Self::InstallSnapshot,
            Message::InstallSnapshotReply(_) => Self::InstallSnapshotReply,
            Message::TimeoutNow(_) => Self::TimeoutNow,
            Message::Removed(_) => Self::Removed,
        }
    }
}

/// Something on the wire, as a filter sees it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Letter<'a> {
    /// Who sends it.
    pub from: HostId,
    /// Who is to get it.
    pub to: HostId,
    /// What it is.
    pub kind: Kind,
    /// The sender's term, of a message between nodes.
    pub term: Option<Term>,
    /// Its size in bytes.
    pub bytes: u64,
    /// The message itself, if it is one between nodes.
    pub envelope: Option<&'a Envelope>,
}

/// What a filter does with a [`Letter`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Whatever the link does.
    Pass,
    /// It is lost.
    Drop,
    /// It takes so much longer.
    Delay(Duration),
    /// It arrives twice; a request, a reply or a segment once all the same.
    Duplicate,
    /// A bit of it is flipped: of a stream's segment. Anything else is lost, as a checksum would have it.
    Corrupt,
    /// The stream it belongs to is reset. Anything else is lost.
    Reset,
}
