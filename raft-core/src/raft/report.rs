//! What a node shows of itself.

use super::{Raft, RoleState};
use crate::progress::{Progress, State};
use crate::{CatchingUp, Entry, MemberProgress, NodeId, Replication, Status};

impl Raft {
    /// A look inside.
    pub fn status(&self) -> Status<'_> {
        Status {
            role: self.role.name(),
            term: self.hard_state.term,
            voted_for: self.hard_state.voted_for,
            leader: self.leader(),
            commit: self.commit,
            applied: self.applied,
            last: self.log.last(),
            durable: self.writes.durable(),
            compacted: self.log.compacted(),
            snapshot: self.snapshot.as_ref(),
            membership: self.memberships.current(),
            membership_since: self.memberships.since(),
            removed: self.removed,
            handover: self.handover_to(),
            log_bytes: self.log.bytes(),
            unsnapshotted_bytes: self.unsnapshotted_bytes,
            dropped: self.dropped.0,
        }
    }

    /// How far the other members are, in the order of their ids, on the leader; nothing elsewhere. It counts the
    /// bytes of the log that each lacks: not for every turn.
    pub fn progress(&self) -> impl Iterator<Item = MemberProgress> + '_ {
        let peers = match &self.role {
            RoleState::Leader(leading) => Some(&leading.peers),
            _ => None,
        };
        peers.into_iter().flatten().map(|(node, progress)| self.progress_of(*node, progress))
    }

    /// How the learner `node` is catching up; nothing on a node that does not lead, or of one that is no learner.
    pub fn catching_up(&self, node: NodeId) -> Option<CatchingUp> {
        let RoleState::Leader(leading) = &self.role else { return None };
        self.catching_up_of(leading.peers.get(&node)?)
    }

    fn catching_up_of(&self, progress: &Progress) -> Option<CatchingUp> {
        progress.catch_up.as_ref().map(|catch_up| CatchingUp {
            rounds: catch_up.rounds,
            is_done: catch_up.is_done(self.config.election_ticks),
        })
    }

    fn progress_of(&self, node: NodeId, progress: &Progress) -> MemberProgress {
        let (matched, last) = (progress.matched, self.log.last_index());
        MemberProgress {
            node,
            matched,
            pending_entries: last.0 - matched.0,
            pending_bytes: self.log.range(matched.next(), last).map(Entry::bytes).sum(),
            replication: match &progress.state {
                State::Probe { .. } => Replication::Probe,
                State::Replicate(_) => Replication::Replicate,
                State::Snapshot(transfer) => Replication::Snapshot { offset: transfer.offset },
            },
            catching_up: self.catching_up_of(progress),
        }
    }

    fn handover_to(&self) -> Option<NodeId> {
        let RoleState::Leader(leading) = &self.role else { return None };
        leading.handover.as_ref().map(|handover| handover.to)
    }
}
