//! What the core asks its caller to do.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::{
    Entry, Envelope, GroupId, LogId, LogIndex, Membership, NodeId, ReadId, SnapshotChunk, Term,
    WriteSeq,
};

/// All outstanding work of one [`Raft::drain`](crate::Raft::drain), or of many: groups append to the same
/// `Effects`. Every part may be done at once and in any order; the core itself withholds whatever must
/// wait for the disk.
#[derive(Default, Debug)]
pub struct Effects {
    /// Messages to send. They may be lost, doubled and reordered.
    pub messages: Vec<Envelope>,
    /// Writes, to be made durable in this order.
    pub writes: Vec<Write>,
    /// What the state machines have to apply, in this order.
    pub applies: Vec<Apply>,
    /// Reads that are confirmed: each may be served once the state machine has applied its index.
    pub reads: Vec<ReadReady>,
    /// Chunks of snapshots to read and to send. Losing one is harmless: it is asked for again.
    pub snapshots: Vec<SnapshotRequest>,
    /// Groups whose role, term or leader has changed.
    pub changes: Vec<RoleChange>,
}

impl Effects {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
            && self.writes.is_empty()
            && self.applies.is_empty()
            && self.reads.is_empty()
            && self.snapshots.is_empty()
            && self.changes.is_empty()
    }

    /// Empties every part and keeps the allocations.
    pub fn clear(&mut self) {
        self.messages.clear();
        self.writes.clear();
        self.applies.clear();
        self.reads.clear();
        self.snapshots.clear();
        self.changes.clear();
    }
}

/// Something to make durable. Numbered per group; reported back by
/// [`Raft::on_persisted`](crate::Raft::on_persisted).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Write {
    /// The group.
    pub group: GroupId,
    /// The number, one more than that of the group's write before.
    pub seq: WriteSeq,
    /// What to write.
    pub op: WriteOp,
}

/// What a [`Write`] writes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum WriteOp {
    /// Replace the hard state.
    HardState(HardState),
    /// Write these consecutive entries; whatever stood at the first one's index and after it is gone.
    /// Never empty.
    Append(Vec<Entry>),
    /// The snapshot in the store covers the log up to here: entries up to and including `0.index` will
    /// not be asked for again. The store must remember the `LogId`: it is the `prev` of the first entry.
    Compact(LogId),
    /// Keep a part of a snapshot that is being received. A chunk at offset zero begins anew. When the
    /// chunk is the last (its end is its total), then after this write the snapshot is the group's
    /// durable snapshot, and the log is what `suffix` says.
    Receive {
        /// Which snapshot.
        meta: SnapshotMeta,
        /// The part.
        chunk: SnapshotChunk,
        /// What becomes of the log when the chunk is the last.
        suffix: Suffix,
    },
}

/// What becomes of a log when a snapshot from the leader is installed (paper, figure 13, steps 6 and 7).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Suffix {
    /// Entries after the snapshot are kept: the log holds the snapshot's last entry.
    Keep,
    /// The whole log is discarded.
    Discard,
}

/// What must survive a crash besides the log (paper, figure 2: persistent state).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct HardState {
    /// The latest term this node has seen.
    pub term: Term,
    /// The candidate that got this node's vote in that term; [`NodeId::NOBODY`] while the node has no vote,
    /// because it joins a group and has not caught up.
    pub voted_for: Option<NodeId>,
}

/// What a snapshot is of.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub struct SnapshotMeta {
    /// The last entry that is in it.
    pub last: LogId,
    /// The membership in effect at that entry.
    pub membership: Membership,
}

/// What a node finds on its disk when it starts.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Persisted {
    /// The hard state; the default in a new group.
    pub hard_state: HardState,
    /// The newest durable snapshot.
    pub snapshot: Option<SnapshotMeta>,
    /// The entry before the first of `log`; zero when nothing was compacted.
    pub compacted: LogId,
    /// The log after `compacted`, without gaps.
    pub log: Vec<Entry>,
}

/// Something for the state machine of a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Apply {
    /// The group.
    pub group: GroupId,
    /// What to apply.
    pub op: ApplyOp,
}

/// What an [`Apply`] applies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ApplyOp {
    /// Committed entries, without gaps after what was applied before. Report with
    /// [`Raft::on_applied`](crate::Raft::on_applied).
    Entries(Vec<Entry>),
    /// Replace the state by the durable snapshot in the store; then report its index with
    /// [`Raft::on_applied`](crate::Raft::on_applied).
    Restore(SnapshotMeta),
}

/// A read whose index is known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ReadReady {
    /// The group.
    pub group: GroupId,
    /// The read.
    pub id: ReadId,
    /// The state machine must have applied this index before the read is served.
    pub index: LogIndex,
}

/// A chunk of the group's snapshot to be read from the store, wrapped in an
/// [`InstallSnapshot`](crate::InstallSnapshot) and sent.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SnapshotRequest {
    /// The group.
    pub group: GroupId,
    /// The receiver.
    pub to: NodeId,
    /// The sender's term.
    pub term: Term,
    /// The sender's round.
    pub round: crate::Round,
    /// Which snapshot. When the store has another by now and this one is no longer open: send nothing.
    pub meta: SnapshotMeta,
    /// Where the chunk begins.
    pub offset: u64,
}

/// A group has another role, term or leader than at the last drain.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RoleChange {
    /// The group.
    pub group: GroupId,
    /// The current term.
    pub term: Term,
    /// The current role.
    pub role: Role,
    /// The leader of the term, if it is known.
    pub leader: Option<NodeId>,
}

/// What a node is in a group (paper, figure 4, and thesis section 9.6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// Follows, or waits for somebody to follow.
    Follower,
    /// Asks whether it would win.
    PreCandidate,
    /// Asks for votes.
    Candidate,
    /// Leads.
    Leader,
}

/// The command of an entry, as the state machine gets it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// The entry it stands in.
    pub id: LogId,
    /// The bytes that were proposed.
    pub data: Bytes,
}
