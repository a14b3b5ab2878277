//! How work is handed out: what may leave at once, and what waits for the disk.
//!
//! Whatever promises something (a vote, a term, an acknowledgement) stays here until the write it rests
//! on is durable. No caller can send it early.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;

use super::Raft;
use super::handover::Leave;
use crate::{
    Apply, ApplyOp, Effects, Envelope, LogId, LogIndex, Message, NodeId, ReadReady, Role,
    RoleChange, SnapshotMeta, Term, Write, WriteOp, WriteSeq,
};

/// The most messages that wait for the disk; more are dropped, as any message may be.
const HELD_MAX: usize = 1024;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Outbox {
    messages: Vec<Envelope>,
    /// Messages that wait for a write.
    held: VecDeque<(WriteSeq, Envelope)>,
    staged: Vec<Write>,
    hard_state: HardStateWrite,
    /// The first entry of the log that was not handed out to be written.
    unwritten: LogIndex,
    /// The newest compaction that was handed out.
    compacted: LogId,
    /// A snapshot to restore once its write is durable.
    restore: Option<(WriteSeq, SnapshotMeta)>,
    reads: Vec<ReadReady>,
    announced: (Term, Role, Option<NodeId>),
}

/// How far the current hard state is on its way to the disk.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum HardStateWrite {
    /// It will be this write.
    Unwritten(WriteSeq),
    /// It was this write.
    Written(WriteSeq),
}

impl HardStateWrite {
    fn seq(self) -> WriteSeq {
        match self {
            Self::Unwritten(seq) | Self::Written(seq) => seq,
        }
    }
}

impl Outbox {
    pub(super) fn new(unwritten: LogIndex, term: Term) -> Self {
        Self {
            messages: Vec::new(),
            held: VecDeque::new(),
            staged: Vec::new(),
            hard_state: HardStateWrite::Written(WriteSeq(0)),
            unwritten,
            compacted: LogId::ZERO,
            restore: None,
            reads: Vec::new(),
            announced: (term, Role::Follower, None),
        }
    }

    /// The hard state is another, and will be written as `seq`.
    pub(super) fn hard_state_changed(&mut self, seq: WriteSeq) {
        self.hard_state = HardStateWrite::Unwritten(seq);
    }

    /// The entries from `index` on are gone.
    pub(super) fn truncate(&mut self, index: LogIndex) {
        self.unwritten = self.unwritten.min(index);
    }

    /// The log goes on after `index`.
    pub(super) fn log_reset(&mut self, index: LogIndex) {
        self.unwritten = index.next();
    }

    /// The state machine is to take over the snapshot when `seq` is durable.
    pub(super) fn restore(&mut self, seq: WriteSeq, meta: SnapshotMeta) {
        self.compacted = meta.last;
        self.restore = Some((seq, meta));
    }

    pub(super) fn restore_is_done(&self) -> bool {
        self.restore.is_none()
    }

    pub(super) fn read(&mut self, ready: ReadReady) {
        self.reads.push(ready);
    }
}

impl Raft {
    /// Hands out all outstanding work, appended to `effects`. Entries proposed since the last call go
    /// out in one AppendEntries per peer, or in as many as the limits need.
    pub fn drain(&mut self, effects: &mut Effects) {
        self.begin_reads();
        let leave = self.hand_over();
        self.drain_peers(effects);
        if leave == Leave::Now {
            self.become_follower(self.hard_state.term, None);
        }
        self.stage_writes();
        self.confirm_reads();
        effects.messages.append(&mut self.out.messages);
        effects.writes.append(&mut self.out.staged);
        effects.reads.append(&mut self.out.reads);
        self.drain_applies(effects);
        self.drain_change(effects);
    }

    /// Sends a message, when the term and the vote that it speaks of are durable.
    pub(super) fn send(&mut self, to: NodeId, message: Message) {
        let early = planted!(OwnVoteNotDurable) && matches!(message, Message::RequestVote(_));
        let seq = if early { WriteSeq(0) } else { self.out.hard_state.seq() };
        self.send_after(seq, to, message);
    }

    /// Sends a message when everything that is staged by now is durable.
    pub(super) fn send_when_written(&mut self, to: NodeId, message: Message) {
        self.send_after(self.writes.issued(), to, message);
    }

    fn send_after(&mut self, seq: WriteSeq, to: NodeId, message: Message) {
        let (group, from) = (self.config.group, self.config.node);
        let envelope = Envelope { group, from, to, term: self.hard_state.term, message };
        if self.writes.is_persisted(seq) {
            self.out.messages.push(envelope);
        } else if self.out.held.len() < HELD_MAX {
            self.out.held.push_back((seq, envelope));
        } else {
            self.drop_message();
        }
    }

    pub(super) fn hard_state_is_durable(&self) -> bool {
        self.writes.is_persisted(self.out.hard_state.seq())
    }

    /// Lets go what waited for writes that are durable now.
    pub(super) fn release_messages(&mut self) {
        for (seq, envelope) in mem::take(&mut self.out.held) {
            if self.writes.is_persisted(seq) {
                self.out.messages.push(envelope);
            } else {
                self.out.held.push_back((seq, envelope));
            }
        }
    }

    /// Turns what has changed since the last call into numbered writes: the hard state first, for what
    /// comes after it may rest on it.
    pub(super) fn stage_writes(&mut self) {
        if let HardStateWrite::Unwritten(promised) = self.out.hard_state {
            let mut hard_state = self.hard_state;
            if planted!(VoteNotPersisted) {
                hard_state.voted_for = None;
            }
            let seq = self.stage(WriteOp::HardState(hard_state), LogIndex::ZERO, 0);
            assert_eq!(seq, promised, "the hard state is written before anything else");
            self.out.hard_state = HardStateWrite::Written(seq);
        }
        let last = self.log.last_index();
        if self.out.unwritten <= last {
            let (entries, bytes) = self.log.batch(self.out.unwritten, last, u64::MAX);
            self.out.unwritten = last.next();
            self.stage(WriteOp::Append(entries), last, bytes);
        }
    }

    /// Stages `op` after all that has changed before it; when it is durable, so is the log up to
    /// `covers`.
    pub(super) fn stage_op(&mut self, op: WriteOp, covers: LogIndex) -> WriteSeq {
        self.stage_writes();
        let bytes = match &op {
            WriteOp::Receive { chunk, .. } => chunk.data.len() as u64,
            _ => 0,
        };
        self.stage(op, covers, bytes)
    }

    pub(super) fn stage_compaction(&mut self, compacted: LogId) {
        if compacted.index > self.out.compacted.index {
            self.out.compacted = compacted;
            self.stage_op(WriteOp::Compact(compacted), LogIndex::ZERO);
        }
    }

    fn stage(&mut self, op: WriteOp, covers: LogIndex, bytes: u64) -> WriteSeq {
        let seq = self.writes.issue(covers, bytes);
        self.out.staged.push(Write { group: self.config.group, seq, op });
        seq
    }

    /// Hands committed entries to the state machine, as far as its backlog allows.
    fn drain_applies(&mut self, effects: &mut Effects) {
        let group = self.config.group;
        if let Some((seq, meta)) = self.out.restore.take() {
            if !self.writes.is_persisted(seq) {
                self.out.restore = Some((seq, meta));
                return;
            }
            effects.applies.push(Apply { group, op: ApplyOp::Restore(meta) });
        }
        let bytes_max = self.config.applying_bytes_max;
        while self.applying < self.commit && self.applying_bytes < bytes_max {
            let room = bytes_max - self.applying_bytes;
            let (entries, bytes) = self.log.batch(self.applying.next(), self.commit, room);
            self.applying = LogIndex(self.applying.0 + entries.len() as u64);
            self.applying_bytes += bytes;
            effects.applies.push(Apply { group, op: ApplyOp::Entries(entries) });
        }
    }

    fn drain_change(&mut self, effects: &mut Effects) {
        let (term, role, leader) = (self.hard_state.term, self.role.name(), self.leader());
        if self.out.announced != (term, role, leader) {
            self.out.announced = (term, role, leader);
            effects.changes.push(RoleChange { group: self.config.group, term, role, leader });
        }
    }
}
