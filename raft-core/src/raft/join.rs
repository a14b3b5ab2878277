//! How a node with an empty disk joins a group that exists.
//!
//! It may have been a member before, under the same id, and have lost its disk after it was removed. Then it
//! has forgotten whom it voted for and what it acknowledged; and the log it is sent first is that of a time in
//! which it had a vote. Two such nodes could make each other a leader of the past, without what was committed
//! since. So a node that is given no membership to begin with is a *newcomer*: it neither votes nor campaigns
//! until it has, on its disk, everything that was committed when a leader first spoke to it. Nothing of its
//! earlier life is after that, for it was removed by then.
//!
//! Two things keep that from leaving a group without votes:
//! 1. A leader speaks to learners only when it has committed an entry of its own term, so that what it says is
//!    committed is all that is; and it counts a round of a learner only from the first answer on. Hence who
//!    has ended a round is no newcomer any more, durably, and only such become voters.
//! 2. That a node is a newcomer is on its disk: as a vote for nobody, in each term that it passes through. The
//!    node's vote in the term in which it has caught up is its leader's.

use super::{Raft, RoleState};
use crate::{HardState, LogIndex, Membership, NodeId, Persisted};

/// A node that has no vote yet.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub(super) struct Newcomer {
    /// What was committed when a leader first spoke to it.
    until: Option<LogIndex>,
}

impl Newcomer {
    /// Whether a node that finds this on its disk is one.
    pub(super) fn detect(persisted: &Persisted, initial: &Membership) -> Option<Self> {
        let is_new = initial.voters.is_empty() && *persisted == Persisted::default();
        let is_one = is_new || persisted.hard_state.voted_for == Some(NodeId::NOBODY);
        (is_one && !planted!(NewcomerVotes)).then(Self::default)
    }

    /// The hard state to write in place of `state`.
    pub(super) fn withhold(state: HardState) -> HardState {
        HardState { voted_for: state.voted_for.or(Some(NodeId::NOBODY)), ..state }
    }
}

impl Raft {
    /// A leader has said that everything up to `commit` is committed. Called before this node answers: the
    /// answer leaves when it is durable that this is no newcomer any more.
    pub(super) fn note_commit_of_leader(&mut self, commit: LogIndex) {
        if let Some(newcomer) = &mut self.newcomer {
            newcomer.until.get_or_insert(commit);
        }
    }

    /// Ends the time as a newcomer when the log is the leader's, and durable, up to `matched`.
    pub(super) fn end_newcomer(&mut self, matched: LogIndex) {
        let RoleState::Follower(following) = &self.role else { return };
        let until = self.newcomer.as_ref().and_then(|newcomer| newcomer.until);
        if until.is_some_and(|until| matched >= until) {
            let (term, voted_for) = (self.hard_state.term, following.leader);
            self.newcomer = None;
            self.set_hard_state(HardState { term, voted_for });
        }
    }
}
