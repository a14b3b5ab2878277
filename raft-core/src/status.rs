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
    /// Bytes of the entries in the log.
    pub log_bytes: u64,
    /// Bytes of the entries after the newest snapshot that are applied: what a new one would save.
    pub unsnapshotted_bytes: u64,
    /// Messages that were dropped because they made no sense or came at the wrong time.
    pub dropped: u64,
}
