//! How a follower receives a snapshot (paper, section 7 and figure 13), chunk by chunk.

use super::{NUMBER_MAX, Raft, RoleState};
use crate::{
    InstallProgress, InstallSnapshot, InstallSnapshotReply, LogId, LogIndex, Message, NodeId,
    SnapshotMeta, Suffix, WriteOp, WriteSeq,
};

/// A snapshot that is arriving. Identified by its sender, its last entry and its size: another node's snapshot at
/// the same entry may have other bytes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Incoming {
    from: NodeId,
    last: LogId,
    total: u64,
    next_offset: u64,
    /// The write of the newest chunk. The next one is taken when this is durable, so that at most one
    /// chunk waits for the disk.
    written: WriteSeq,
}

impl Raft {
    pub(super) fn receive_install_snapshot(&mut self, from: NodeId, request: InstallSnapshot) {
        let Some(end) = request.chunk.end() else { return self.drop_message() };
        let SnapshotMeta { last, membership } = &request.meta;
        if last.index.0 >= NUMBER_MAX
            || last.term > self.hard_state.term
            || membership.voters.is_empty()
        {
            return self.drop_message();
        }
        if !self.heed_leader(from) {
            return self.drop_message();
        }
        if let RoleState::Follower(following) = &mut self.role {
            following.round = following.round.max(request.round);
        }
        self.removed = None;
        let last = request.meta.last;
        if last.index <= self.commit {
            // Whatever is committed here is in the leader's log too. But it counts only once it is
            // durable; until then the leader asks again.
            if self.writes.durable() >= last.index && self.out.restore_is_done() {
                self.reply_install(from, last, InstallProgress::Installed);
            }
            return;
        }
        let next_offset = self.offset_of(from, last, request.chunk.total);
        if request.chunk.offset == next_offset {
            self.receive_chunk(from, request, end);
        } else if self.chunk_is_durable() {
            self.reply_install(from, last, InstallProgress::Receiving { next_offset });
        }
    }

    /// What is already here of this snapshot.
    fn offset_of(&self, from: NodeId, last: LogId, total: u64) -> u64 {
        let known = self.incoming.as_ref();
        known
            .filter(|known| (known.from, known.last, known.total) == (from, last, total))
            .map_or(0, |known| known.next_offset)
    }

    fn chunk_is_durable(&self) -> bool {
        self.incoming.as_ref().is_none_or(|known| self.writes.is_persisted(known.written))
    }

    fn receive_chunk(&mut self, from: NodeId, request: InstallSnapshot, end: u64) {
        let InstallSnapshot { meta, chunk, .. } = request;
        // A chunk without bytes is a snapshot without bytes, or nonsense.
        if !self.chunk_is_durable() || (chunk.data.is_empty() && chunk.total > 0) {
            return self.drop_message();
        }
        let (last, total, is_whole) = (meta.last, chunk.total, end == chunk.total);
        let mut suffix = if self.log.contains(last) { Suffix::Keep } else { Suffix::Discard };
        if planted!(ConflictingSuffixKept) && self.log.last_index() >= last.index {
            suffix = Suffix::Keep;
        }
        let op = WriteOp::Receive { meta: meta.clone(), chunk, suffix };
        if is_whole {
            self.incoming = None;
            self.adopt_snapshot(meta, suffix, op);
            self.reply_install_later(from, last, InstallProgress::Installed);
        } else {
            let written = self.stage_op(op, LogIndex::ZERO);
            self.incoming = Some(Incoming { from, last, total, next_offset: end, written });
            let progress = InstallProgress::Receiving { next_offset: end };
            self.reply_install_later(from, last, progress);
        }
    }

    /// Takes a whole snapshot over (figure 13, steps 6 to 8). The log follows at once, as it will in the
    /// store when this write is reached; the state machine when the write is durable.
    fn adopt_snapshot(&mut self, meta: SnapshotMeta, suffix: Suffix, op: WriteOp) {
        let last = meta.last;
        assert!(last.index > self.commit, "a snapshot never takes the state back");
        self.stage_writes();
        match suffix {
            Suffix::Keep => {
                while self.log.compacted().index < last.index {
                    self.log.pop_front();
                }
                self.memberships.rebase(last.index, meta.membership.clone());
            }
            Suffix::Discard => {
                self.writes.truncate(LogIndex(1));
                self.log.reset(last);
                self.memberships =
                    crate::history::Memberships::new(last.index, meta.membership.clone());
                self.out.log_reset(last.index);
            }
        }
        let seq = self.stage_op(op, last.index);
        self.commit = last.index;
        self.unapplied_bytes = self.log.bytes();
        self.applying = last.index;
        self.applying_bytes = 0;
        self.unsnapshotted_bytes = 0;
        self.snapshot = Some(meta.clone());
        self.out.restore(seq, meta);
    }

    fn reply_install(&mut self, to: NodeId, last: LogId, progress: InstallProgress) {
        let reply = self.install_reply(last, progress);
        self.send(to, reply);
    }

    /// Replies when everything that is written by now is durable.
    fn reply_install_later(&mut self, to: NodeId, last: LogId, progress: InstallProgress) {
        let reply = self.install_reply(last, progress);
        self.send_when_written(to, reply);
    }

    fn install_reply(&self, last: LogId, progress: InstallProgress) -> Message {
        let round = match &self.role {
            RoleState::Follower(following) => following.round,
            _ => crate::Round(0),
        };
        Message::InstallSnapshotReply(InstallSnapshotReply { round, last, progress })
    }
}
