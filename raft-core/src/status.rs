//! What a `Raft` shows of itself.

use crate::{LogId, LogIndex, Membership, NodeId, Role, SnapshotMeta, Term};

/// A look at a [`Raft`](crate::Raft), for operators and for tests.
#[derive(Clone, Debug)]
pub struct Status<'a> {
    /// The current role.
    pub role: Role,
    /// The current term.
    pub term: Term,
    /// Who got this node's vote in the term.
    pub voted_for: Option<NodeId>,
    /// The leader of the term, if it is known.
    pub leader: Option<NodeId>,
    /// The highest index known to be committed.
    pub commit: LogIndex,
    /// The highest index reported applied.
    pub applied: LogIndex,
    /// The last entry of the log.
    pub last: LogId,
    /// The last entry that is on this node's disk.
    pub durable: LogIndex,
    /// The entry before the first in the log.
    pub compacted: LogId,
    /// The newest snapshot.
    pub snapshot: Option<&'a SnapshotMeta>,
    /// The membership in effect.
    pub membership: &'a Membership,
    /// From which index on it is in effect, as far as this node knows: where its entry stands, or where a
    /// snapshot that has it ends. It is committed when this is not after `commit`. What
    /// [`Raft::change_membership`](crate::Raft::change_membership) has to be given.
    pub membership_since: LogIndex,
    /// Since which index this node is no member any more, when a leader has said so and none has sent it
    /// anything since. It does not campaign.
    pub removed: Option<LogIndex>,
    /// To whom this leader is handing over.
    pub handover: Option<NodeId>,
    /// Bytes of the entries in the log.
    pub log_bytes: u64,
    /// Bytes of the entries after the newest snapshot that are applied: what a new one would save.
    pub unsnapshotted_bytes: u64,
    /// Messages that were dropped because they made no sense or came at the wrong time.
    pub dropped: u64,
}

/// How far a member is, as its leader knows; see [`Raft::progress`](crate::Raft::progress).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemberProgress {
    /// The member.
    pub node: NodeId,
    /// The last index that is known to be the leader's and on the member's disk.
    pub matched: LogIndex,
    /// Entries of the leader's log after that.
    pub pending_entries: u64,
    /// Bytes of those that the leader's log still has.
    pub pending_bytes: u64,
    /// How it is being replicated to.
    pub replication: Replication,
    /// How a learner is catching up; none for a voter.
    pub catching_up: Option<CatchingUp>,
}

/// How a leader replicates to a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replication {
    /// It looks for the place where the logs agree; or the member is away.
    Probe,
    /// Entries are on their way as they come.
    Replicate,
    /// The member needs what the log no longer has, and gets a snapshot.
    Snapshot {
        /// The bytes of it that the member has.
        offset: u64,
    },
}

/// How a learner is catching up, in rounds: a round is what the log has when it begins, and ends when the learner
/// has all of that (thesis, section 4.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CatchingUp {
    /// Rounds that have ended.
    pub rounds: u32,
    /// Whether it may become a voter: its last round, and the one under way so far, took less than the smallest
    /// election timeout.
    pub is_done: bool,
}
