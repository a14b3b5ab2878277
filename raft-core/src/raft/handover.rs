//! How a leader hands over (thesis, section 3.10).
//!
//! It takes no more proposals, waits until all of its log is committed and the other one has all of it, and asks
//! it to campaign at once. So nothing that was proposed is lost by it. After an election timeout it gives up and
//! leads on; unless it is no voter any more, in which case it leads no longer either way.

use super::{Raft, RoleState};
use crate::{Message, NodeId, TimeoutNow, TransferError};

/// Leadership that is being handed over.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Handover {
    pub(super) to: NodeId,
    ticks: u32,
    /// Whether it was asked since the last heartbeat.
    asked: bool,
}

impl Handover {
    fn new(to: NodeId) -> Self {
        Self { to, ticks: 0, asked: false }
    }

    /// A heartbeat is due: the request may have been lost.
    pub(super) fn ask_again(&mut self) {
        self.asked = false;
    }
}

impl Raft {
    /// Hands leadership over to `to`. Until that has come about, or was given up after an election timeout,
    /// proposals are refused with [`TransferInProgress`](crate::ProposeError::TransferInProgress) and
    /// [`Status::handover`](crate::Status::handover) says so. Does nothing when `to` is this leader.
    ///
    /// # Errors
    /// Nothing has changed.
    pub fn transfer_leadership(&mut self, to: NodeId) -> Result<(), TransferError> {
        let leader = self.leader();
        let RoleState::Leader(leading) = &mut self.role else {
            return Err(TransferError::NotLeader { leader });
        };
        if let Some(handover) = &leading.handover {
            return Err(TransferError::InProgress { to: handover.to });
        }
        if !self.memberships.current().voters.contains(&to) {
            return Err(TransferError::NotVoter { node: to });
        }
        if to != self.config.node {
            leading.handover = Some(Handover::new(to));
        }
        Ok(())
    }

    /// A leader that is voted out hands over to the voter that has most of its log.
    pub(super) fn begin_resigning(&mut self) {
        if !self.is_voted_out() {
            return;
        }
        let membership = self.memberships.current();
        if !membership.contains(self.config.node) {
            self.removed = Some(self.memberships.since());
        }
        let RoleState::Leader(leading) = &mut self.role else { return };
        let voters = leading.peers.iter().filter(|(peer, _)| membership.is_voter(**peer));
        // The first of those that have most.
        let best = voters.rev().max_by_key(|(_, progress)| progress.matched);
        let best = best.map(|(peer, _)| *peer);
        if let (None, Some(to)) = (&leading.handover, best) {
            leading.handover = Some(Handover::new(to));
        }
    }

    /// Counts towards the end of a handover. False when this node leads no longer.
    pub(super) fn tick_handover(&mut self) -> bool {
        let RoleState::Leader(leading) = &mut self.role else { return false };
        let Some(handover) = &mut leading.handover else { return true };
        handover.ticks += 1;
        if handover.ticks < self.config.election_ticks {
            return true;
        }
        leading.handover = None;
        if self.is_voted_out() {
            self.become_follower(self.hard_state.term, None);
            return false;
        }
        true
    }

    /// Asks the other one to campaign, when it has all there is, and all of it is committed. Says whether this
    /// node leads no longer once its last messages are out: they tell everybody what is committed.
    pub(super) fn hand_over(&mut self) -> Leave {
        let RoleState::Leader(leading) = &mut self.role else { return Leave::No };
        let Some(handover) = &mut leading.handover else { return Leave::No };
        let last = self.log.last();
        let has_all = leading.peers.get(&handover.to).is_some_and(|p| p.matched == last.index);
        if handover.asked || !has_all || self.commit < last.index {
            return Leave::No;
        }
        handover.asked = true;
        let to = handover.to;
        let leave = if self.is_voted_out() { Leave::Now } else { Leave::No };
        if let (Leave::Now, RoleState::Leader(leading)) = (leave, &mut self.role) {
            leading.begin_round();
        }
        self.send(to, Message::TimeoutNow(TimeoutNow { last }));
        leave
    }

    /// The leader asks this node to lead in its place.
    pub(super) fn receive_timeout_now(&mut self, from: NodeId, request: &TimeoutNow) {
        let is_ready = request.last == self.log.last() && self.may_campaign();
        if !self.heed_leader(from) || !is_ready || self.disk_is_stalled() {
            return self.drop_message();
        }
        self.begin_election(crate::Cause::Transfer);
    }
}

/// Whether a leader leads no longer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    No,
    Now,
}
