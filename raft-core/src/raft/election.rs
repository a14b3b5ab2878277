//! Elections: PreVote, RequestVote, and what becomes of old terms.

use alloc::vec::Vec;

use super::{Leading, Raft, RoleState, Votes, leader};
use crate::{
    AppendEntriesReply, AppendOutcome, Cause, HardState, InstallProgress, InstallSnapshotReply,
    LogId, Message, NodeId, Payload, PreVote, PreVoteReply, RequestVote, RequestVoteReply, Round,
};

impl Raft {
    /// Counts towards the election timeout (paper, section 5.2).
    pub(super) fn tick_election(&mut self) {
        if self.timer.tick() {
            // Also on a node that may not campaign: it hears no leader, and may vote.
            self.become_follower(self.hard_state.term, None);
            self.begin_pre_vote();
        }
    }

    /// Asks whether an election would be won (thesis, section 9.6). A node that cannot write has no
    /// business to lead: it does not ask.
    pub(super) fn begin_pre_vote(&mut self) {
        if !self.may_campaign() || self.disk_is_stalled() {
            return;
        }
        if planted!(NoPreVote) {
            return self.begin_election(Cause::Timeout);
        }
        let mut votes = Votes::default();
        votes.add(self.id());
        self.transition(RoleState::PreCandidate(votes));
        let request = PreVote { term: self.hard_state.term.next(), last: self.log.last() };
        for peer in self.other_voters() {
            self.send(peer, Message::PreVote(request.clone()));
        }
        self.count_pre_votes();
    }

    /// Whether writes have made no progress for an election timeout.
    pub(super) fn disk_is_stalled(&self) -> bool {
        self.writes.stalled_ticks() >= self.config.election_ticks
    }

    /// Whether a log that ends with `last` has all that this one has, or more (paper, section 5.4.1).
    fn is_up_to_date(&self, last: LogId) -> bool {
        last >= self.log.last() || planted!(VoteForStaleLog)
    }

    /// Answers without changing anything: neither the term nor the timer.
    pub(super) fn receive_pre_vote(&mut self, from: NodeId, request: &PreVote) {
        let granted = request.term > self.hard_state.term
            && self.is_up_to_date(request.last)
            && self.newcomer.is_none()
            && !self.follows_a_live_leader();
        let reply = PreVoteReply { term: request.term, granted };
        self.send(from, Message::PreVoteReply(reply));
        self.answer_stranger(from);
    }

    pub(super) fn receive_pre_vote_reply(&mut self, from: NodeId, reply: &PreVoteReply) {
        let asked = self.hard_state.term.next();
        match &mut self.role {
            RoleState::PreCandidate(votes) if reply.term == asked && reply.granted => {
                votes.add(from);
                self.count_pre_votes();
            }
            RoleState::PreCandidate(_) if reply.term == asked => {}
            _ => self.drop_message(),
        }
    }

    fn count_pre_votes(&mut self) {
        if let RoleState::PreCandidate(votes) = &self.role
            && votes.win(self.memberships.current())
        {
            self.begin_election(Cause::Timeout);
        }
    }

    /// Becomes a candidate of the next term (paper, section 5.2). The requests leave when the vote for
    /// itself is durable, and only then does that vote count.
    pub(super) fn begin_election(&mut self, cause: Cause) {
        let term = self.hard_state.term.next();
        self.set_hard_state(HardState { term, voted_for: Some(self.id()) });
        self.transition(RoleState::Candidate(Votes::default()));
        if planted!(OwnVoteNotDurable) {
            let own = self.id();
            let RoleState::Candidate(votes) = &mut self.role else { return };
            votes.add(own);
        }
        let request = RequestVote { last: self.log.last(), cause };
        for peer in self.other_voters() {
            self.send(peer, Message::RequestVote(request.clone()));
        }
    }

    /// A candidate's own vote counts when it is durable.
    pub(super) fn count_own_vote(&mut self) {
        let (own, durable) = (self.id(), self.hard_state_is_durable());
        if let RoleState::Candidate(votes) = &mut self.role
            && durable
        {
            votes.add(own);
            self.count_votes();
        }
    }

    /// One vote per term, for a log that is at least as up to date (paper, sections 5.2 and 5.4.1).
    /// Whoever asks is answered: the candidate may know a newer membership than this node.
    pub(super) fn receive_request_vote(&mut self, from: NodeId, request: &RequestVote) {
        let free = self.hard_state.voted_for.is_none_or(|candidate| candidate == from);
        let granted = free && self.leader().is_none() && self.is_up_to_date(request.last);
        if granted {
            let term = self.hard_state.term;
            if self.hard_state.voted_for.is_none() {
                self.set_hard_state(HardState { term, voted_for: Some(from) });
            }
            self.timer.reset();
        }
        self.send(from, Message::RequestVoteReply(RequestVoteReply { granted }));
    }

    pub(super) fn receive_request_vote_reply(&mut self, from: NodeId, reply: &RequestVoteReply) {
        match &mut self.role {
            RoleState::Candidate(votes) if reply.granted => {
                let mut from = from;
                if planted!(DuplicateVotesCounted) {
                    let voters = &self.memberships.current().voters;
                    from = voters.iter().copied().find(|voter| !votes.has(*voter)).unwrap_or(from);
                }
                votes.add(from);
                self.count_votes();
            }
            RoleState::Candidate(_) => {}
            _ => self.drop_message(),
        }
    }

    fn count_votes(&mut self) {
        if let RoleState::Candidate(votes) = &self.role
            && votes.win(self.memberships.current())
        {
            self.begin_leading();
        }
    }

    /// Leads: announces itself, and begins the term with an entry of its own, so that it can commit what
    /// it has inherited (paper, sections 5.4.2 and 8).
    fn begin_leading(&mut self) {
        let term_start = self.log.last_index().next();
        let leading = Leading::new(self.id(), self.memberships.current(), term_start);
        self.transition(leader(leading));
        self.append(Payload::Noop);
    }

    /// Whether a leader has been heard of within the smallest election timeout: then nobody else should
    /// be one (thesis, section 4.2.3).
    pub(super) fn follows_a_live_leader(&self) -> bool {
        match &self.role {
            RoleState::Leader(_) => true,
            _ => self.leader().is_some() && self.timer.is_fresh(&self.config),
        }
    }

    /// Answers a message of an earlier term, so that its sender learns of this one (paper, section 5.1).
    /// Replies of earlier terms say nothing any more.
    pub(super) fn answer_the_past(&mut self, from: NodeId, message: &Message) {
        let reply = match message {
            Message::RequestVote(_) => {
                Message::RequestVoteReply(RequestVoteReply { granted: false })
            }
            Message::AppendEntries(request) => Message::AppendEntriesReply(AppendEntriesReply {
                round: Round(0),
                outcome: AppendOutcome::Rejected { prev: request.prev.index, hint: LogId::ZERO },
            }),
            Message::InstallSnapshot(request) => {
                Message::InstallSnapshotReply(InstallSnapshotReply {
                    round: Round(0),
                    last: request.meta.last,
                    progress: InstallProgress::Receiving { next_offset: 0 },
                })
            }
            Message::AppendEntriesReply(reply) if planted!(StaleAcksCounted) => {
                let reply = AppendEntriesReply { round: Round(0), ..reply.clone() };
                return self.receive_append_entries_reply(from, &reply);
            }
            Message::RequestVoteReply(reply) if planted!(StaleVotesCounted) => {
                return self.receive_request_vote_reply(from, reply);
            }
            _ => return self.drop_message(),
        };
        self.send(from, reply);
    }

    fn other_voters(&self) -> Vec<NodeId> {
        let (membership, own) = (self.memberships.current(), self.id());
        membership.members().filter(|peer| *peer != own && membership.is_voter(*peer)).collect()
    }

    /// Commits what a quorum has made durable, if it is of this term (paper, section 5.4.2).
    pub(super) fn advance_commit(&mut self) {
        let RoleState::Leader(leading) = &self.role else { return };
        let mut durable = self.writes.durable();
        if planted!(LeaderCountsUnsynced) {
            durable = self.log.last_index();
        }
        let (before, membership) = (self.commit, self.memberships.current());
        let index = leading.matched(self.id(), durable, membership);
        if index > before && self.log.term_at(index) == Some(self.hard_state.term) {
            self.commit_to(index);
            self.membership_committed(before);
        }
        if planted!(OldTermCommitted) {
            self.commit_to(index);
        }
    }
}
