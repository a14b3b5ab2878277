//! What a node and its groups show of themselves.

use alloc::sync::Arc;

use crate::{LogId, LogIndex, Membership, NodeId, Role, Status, Term};

/// A look at a group on this node: [`Status`], owned, as of the loop's last visit; the applied index and
/// the queues are as they are now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GroupStatus {
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
    /// The highest index whose effect a reader sees here.
    pub applied: LogIndex,
    /// The last entry of the log.
    pub last: LogId,
    /// The last entry that is on this node's disk.
    pub durable: LogIndex,
    /// The entry before the first in the log.
    pub compacted: LogId,
    /// The last entry of the newest snapshot.
    pub snapshot: Option<LogId>,
    /// Bytes of the entries in the log.
    pub log_bytes: u64,
    /// Bytes of the entries after the newest snapshot that are applied: what a new one would save.
    pub unsnapshotted_bytes: u64,
    /// Messages that the core dropped because they made no sense or came at the wrong time.
    pub dropped: u64,
    /// The membership in effect.
    pub membership: Arc<Membership>,
    /// From which index on it is in effect, as far as this node knows; committed when not after `commit`.
    pub membership_since: LogIndex,
    /// Since which index this node is no member any more, when it was told so. The group stops here then.
    pub removed: Option<LogIndex>,
    /// To whom this leader is handing over.
    pub handover: Option<NodeId>,
    /// Snapshots that could not be written because the disk is full.
    pub snapshot_failures: u64,
    /// Bytes of proposals that wait for the loop.
    pub inbox_bytes: u64,
    /// Proposals that are appended and wait to be applied.
    pub proposals: usize,
}

impl GroupStatus {
    pub(super) fn new(status: &Status<'_>) -> Self {
        Self {
            role: status.role,
            term: status.term,
            voted_for: status.voted_for,
            leader: status.leader,
            commit: status.commit,
            applied: status.applied,
            last: status.last,
            durable: status.durable,
            compacted: status.compacted,
            snapshot: status.snapshot.map(|meta| meta.last),
            log_bytes: status.log_bytes,
            unsnapshotted_bytes: status.unsnapshotted_bytes,
            dropped: status.dropped,
            membership: Arc::new(status.membership.clone()),
            membership_since: status.membership_since,
            removed: status.removed,
            handover: status.handover,
            snapshot_failures: 0,
            inbox_bytes: 0,
            proposals: 0,
        }
    }

    /// Numbers only, unless the membership is another one: this is done at every visit.
    pub(super) fn update(&mut self, status: &Status<'_>, snapshot_failures: u64) {
        self.role = status.role;
        self.term = status.term;
        self.voted_for = status.voted_for;
        self.leader = status.leader;
        self.commit = status.commit;
        self.last = status.last;
        self.durable = status.durable;
        self.compacted = status.compacted;
        self.snapshot = status.snapshot.map(|meta| meta.last);
        self.log_bytes = status.log_bytes;
        self.unsnapshotted_bytes = status.unsnapshotted_bytes;
        self.dropped = status.dropped;
        self.snapshot_failures = snapshot_failures;
        self.membership_since = status.membership_since;
        self.removed = status.removed;
        self.handover = status.handover;
        if *self.membership != *status.membership {
            self.membership = Arc::new(status.membership.clone());
        }
    }
}

/// A look at a node, as of its loop's last turn.
#[derive(Clone, Copy, Default, Debug)]
#[non_exhaustive]
pub struct NodeStatus {
    /// Groups that run.
    pub groups: usize,
    /// Turns of the loop.
    pub turns: u64,
    /// Calls of [`Transport::send`](crate::Transport::send).
    pub sends: u64,
    /// Calls of [`Storage::write`](crate::Storage::write).
    pub batches: u64,
    /// Bytes that are queued for the disk or being written.
    pub write_bytes: u64,
    /// Messages that were dropped before they reached a core: of a group that is not here, for another
    /// node, or with a chunk that is not what its checksum says.
    pub dropped: u64,
    /// Snapshots that are being sent, counted per group and receiver.
    pub snapshot_sends: usize,
}
