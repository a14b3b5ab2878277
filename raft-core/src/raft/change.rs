//! How the membership of a group is changed (paper, section 6; thesis, chapter 4).
//!
//! Learners come and go by one entry: they count for nothing. Other voters take two. The first makes the group
//! *joint*: every decision needs a majority of the old voters and one of the new. When that entry is
//! committed, whoever leads appends the second by itself, which leaves only the new voters. At no time can
//! two quorums decide without a node in common.
//!
//! Rules, each of which some system has got wrong:
//! 1. A membership counts from the moment its entry is in the log, and no longer than that (`history`).
//! 2. A change is begun when none is under way, and the leader has committed an entry of its own term: else two
//!    leaders could each have one that the other does not know.
//! 3. The joint membership is left when its entry is committed, not before; also by a leader that has only
//!    inherited it.
//! 4. A new voter was a learner that has caught up: it could hold up what the others have agreed on.
//! 5. A leader that is no voter any more counts for nothing, leads until that is committed, and hands over.
//! 6. What a node has said before it became a member does not count: its disk may be another one by now.

use super::{Raft, RoleState};
use crate::{
    LogId, LogIndex, Membership, MembershipError, Message, NodeId, Payload, Removed, Target,
};

/// How often a node is told that it is no member any more; after that, when it asks for votes.
const TOLD_MAX: u32 = 5;

impl Raft {
    /// Begins to change the membership to `target`, on the leader. `expected` is the index from which on the
    /// current one is in effect ([`Status::membership_since`](crate::Status::membership_since)): whoever looked
    /// at another one is refused. The change is done when the membership is the target, is not joint, and is
    /// committed; the entry that leaves the joint membership needs no call. When leadership is lost before,
    /// the next leader either finishes the change or knows nothing of it.
    ///
    /// New voters must be learners that have caught up ([`MemberProgress`](crate::MemberProgress)): add them as
    /// learners first.
    ///
    /// # Errors
    /// Nothing was changed.
    pub fn change_membership(
        &mut self,
        expected: LogIndex,
        target: &Target,
    ) -> Result<LogId, MembershipError> {
        target.check().map_err(MembershipError::Target)?;
        self.may_change(expected)?;
        let current = self.memberships.current();
        if target.is_reached(current) {
            return Err(MembershipError::Unchanged);
        }
        let behind = target
            .voters
            .iter()
            .find(|node| !current.is_voter(**node) && !self.has_caught_up(**node));
        if let Some(node) = behind {
            return Err(MembershipError::NotCaughtUp { node: *node });
        }
        let next = target.after(current);
        Ok(self.append_membership(next))
    }

    fn may_change(&self, expected: LogIndex) -> Result<(), MembershipError> {
        let RoleState::Leader(leading) = &self.role else {
            return Err(MembershipError::NotLeader { leader: self.leader() });
        };
        if let Some(handover) = &leading.handover {
            return Err(MembershipError::TransferInProgress { to: handover.to });
        }
        if self.commit < leading.term_start && !planted!(ChangeBeforeFirstCommit) {
            return Err(MembershipError::NotReady);
        }
        let since = self.memberships.since();
        if since > self.commit || self.memberships.current().is_joint() {
            return Err(MembershipError::InProgress { index: since });
        }
        if since != expected {
            return Err(MembershipError::Stale { since });
        }
        Ok(())
    }

    fn has_caught_up(&self, node: NodeId) -> bool {
        let RoleState::Leader(leading) = &self.role else { return false };
        let catch_up = leading.peers.get(&node).and_then(|progress| progress.catch_up.as_ref());
        catch_up.is_some_and(|catch_up| catch_up.is_done(self.config.election_ticks))
    }

    fn append_membership(&mut self, membership: Membership) -> LogId {
        let id = self.append(Payload::Membership(membership.into()));
        let node = self.config.node;
        let RoleState::Leader(leading) = &mut self.role else { return id };
        leading.follow(node, self.memberships.current(), id.index);
        if let Some(newest) = &self.snapshot {
            // What was kept for a member that was getting a snapshot and is gone; the next may be far.
            self.forget_entries_behind(newest.last.index);
        }
        if planted!(JointLeftEarly) {
            self.leave_joint();
        }
        id
    }

    /// The commit index has risen from `before`, on the leader. What comes next when that has committed the
    /// membership, or was the first time in the term: an inherited one may have been committed before.
    pub(super) fn membership_committed(&mut self, before: LogIndex) {
        let RoleState::Leader(leading) = &self.role else { return };
        let due = self.memberships.since().max(leading.term_start);
        if before < due && due <= self.commit {
            self.leave_joint();
            self.begin_resigning();
            self.tell_removed();
        }
    }

    fn leave_joint(&mut self) {
        let current = self.memberships.current();
        if current.is_joint() {
            let next = Membership { outgoing: Default::default(), ..current.clone() };
            self.append_membership(next);
        }
    }

    /// Whether the membership is committed and has this node not as a voter.
    pub(super) fn is_voted_out(&self) -> bool {
        self.memberships.since() <= self.commit
            && !self.memberships.current().is_voter(self.config.node)
    }

    /// Tells those who are no members any more, a few times; messages are lost.
    pub(super) fn tell_removed(&mut self) {
        let RoleState::Leader(leading) = &mut self.role else { return };
        if leading.removed.is_empty() || self.memberships.since() > self.commit {
            return;
        }
        let nodes: alloc::vec::Vec<NodeId> = leading.removed.keys().copied().collect();
        for told in leading.removed.values_mut() {
            *told += 1;
        }
        leading.removed.retain(|_, told| *told < TOLD_MAX);
        nodes.into_iter().for_each(|node| self.send_removed(node));
    }

    fn send_removed(&mut self, to: NodeId) {
        let RoleState::Leader(leading) = &self.role else { return };
        let message = Removed { since: self.memberships.since(), round: leading.round };
        self.send(to, Message::Removed(message));
    }

    /// Somebody asks for a vote who is no member by a membership that is committed. Nobody but a leader that
    /// knows what is committed may say so: the candidate may know a newer membership than others do.
    pub(super) fn answer_stranger(&mut self, from: NodeId) {
        let RoleState::Leader(leading) = &self.role else { return };
        let knows = self.commit >= leading.term_start.max(self.memberships.since());
        if knows && !self.memberships.current().contains(from) {
            self.send_removed(from);
        }
    }

    /// The leader says that this node is no member any more. A late message says so of an earlier time: whoever
    /// has heard of a later round, or has a later membership with itself in it, is a member again.
    pub(super) fn receive_removed(&mut self, from: NodeId, request: &Removed) {
        let is_late = match &self.role {
            RoleState::Follower(following) => following.round > request.round,
            _ => false,
        };
        let member_again = is_late
            || (self.memberships.since() > request.since
                && self.memberships.current().contains(self.config.node));
        // Nobody is removed by the members that a group begins with: whoever says so was told of others.
        let by_none = request.since == LogIndex::ZERO;
        if member_again || by_none || !self.heed_leader(from) {
            return self.drop_message();
        }
        self.removed = Some(request.since);
    }

    /// Whether this node may campaign: it votes, or it did and does not know yet that it is voted out. Only it
    /// may have the entry that does so, and be needed to commit it (thesis, section 4.2.2).
    pub(super) fn may_campaign(&self) -> bool {
        let id = self.config.node;
        let votes = self.memberships.current().is_voter(id)
            || (self.memberships.since() > self.commit
                && self.memberships.previous().is_some_and(|before| before.is_voter(id)));
        votes && self.removed.is_none() && self.newcomer.is_none()
    }
}
