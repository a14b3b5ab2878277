//! What a follower does with the entries of a leader.

use super::{NUMBER_MAX, Raft, RoleState};
use crate::{
    AppendEntries, AppendEntriesReply, AppendOutcome, Entry, LogId, LogIndex, Message, NodeId,
};

impl Raft {
    /// Heeds a leader of the current term. False when there cannot be such a leader: this node leads
    /// the term itself, or follows another.
    pub(super) fn heed_leader(&mut self, from: NodeId) -> bool {
        match &mut self.role {
            RoleState::Leader(_) => false,
            RoleState::Follower(following) => {
                let leads = *following.leader.get_or_insert(from) == from;
                if leads {
                    self.timer.reset();
                }
                leads
            }
            RoleState::PreCandidate(_) | RoleState::Candidate(_) => {
                self.become_follower(self.hard_state.term, Some(from));
                true
            }
        }
    }

    /// AppendEntries, receiver implementation (paper, figure 2).
    pub(super) fn receive_append_entries(&mut self, from: NodeId, request: AppendEntries) {
        if !self.heed_leader(from) || !is_consecutive(&request, self.hard_state.term) {
            return self.drop_message();
        }
        if let RoleState::Follower(following) = &mut self.role {
            following.round = following.round.max(request.round);
        }
        self.removed = None;
        self.note_commit_of_leader(request.commit);
        let AppendEntries { prev, entries, commit, .. } = request;
        // What is compacted is committed, and therefore the leader's too.
        let unchecked = planted!(LogMatchingUnchecked) && prev.index <= self.log.last_index();
        if prev.index >= self.log.compacted().index && !self.log.contains(prev) && !unchecked {
            return self.reject(from, prev);
        }
        // Only while there is something to apply: what is not committed may need just these entries to be,
        // as after a restart of the whole group with a long log.
        let overloaded = self.applied < self.commit
            && self.unapplied_bytes > self.config.in_flight_bytes_max.saturating_mul(2);
        let (sent, news) = (LogIndex(prev.index.0 + entries.len() as u64), !entries.is_empty());
        if overloaded {
            return self.reply_append(from, AppendOutcome::Overloaded);
        }
        if !self.adopt(entries) {
            return self.drop_message();
        }
        let verified = sent.min(self.log.last_index());
        self.commit_to(commit.min(verified).max(self.commit));
        if planted!(CommitBeyondMatch) {
            self.commit_to(commit.min(self.log.last_index()));
        }
        self.settle(from, verified, news);
    }

    /// Says that `prev` is not here, and what may be instead (paper, end of section 5.3).
    fn reject(&mut self, from: NodeId, prev: LogId) {
        let hint = self.log.last_of_term_at_most(prev.term, prev.index);
        self.reply_append(from, AppendOutcome::Rejected { prev: prev.index, hint });
    }

    /// Takes over what is new, and truncates what conflicts with it, never what matches: a late message
    /// must not undo a newer one. False when the entries would overwrite committed ones, or be of an older
    /// term than those before them: no leader sends such.
    fn adopt(&mut self, entries: alloc::vec::Vec<Entry>) -> bool {
        let compacted = self.log.compacted().index;
        let known = |entry: &Entry| entry.id.index <= compacted || self.log.contains(entry.id);
        let mut known = entries.iter().take_while(|entry| known(entry)).count();
        if planted!(MatchingSuffixTruncated) {
            known = entries.iter().take_while(|entry| entry.id.index <= self.commit).count();
        }
        let Some(first) = entries.get(known).map(|entry| entry.id.index) else { return true };
        // What is compacted counts as known by its index alone: what follows it may still not fit its term.
        let before = self.log.term_at(first.prev());
        if first <= self.commit || before.is_none_or(|before| entries[known].id.term < before) {
            return false;
        }
        if first <= self.log.last_index() {
            self.truncate(first);
        }
        for entry in entries.into_iter().skip(known) {
            self.push(entry);
        }
        true
    }

    fn truncate(&mut self, index: LogIndex) {
        assert!(index > self.commit, "committed entries are never truncated");
        self.unapplied_bytes -= self.log.truncate(index);
        self.memberships.truncate(index);
        self.writes.truncate(index);
        self.out.truncate(index);
    }

    /// Notes that the log is the leader's up to `verified`, and answers: entries when the disk has them,
    /// a heartbeat at once, whatever the disk does.
    fn settle(&mut self, from: NodeId, verified: LogIndex, has_entries: bool) {
        let mut durable = self.writes.durable();
        if planted!(AckBeforeSync) {
            durable = self.log.last_index();
        }
        let RoleState::Follower(following) = &mut self.role else { return };
        following.verified = following.verified.max(verified);
        following.owes_reply |= following.verified > durable;
        if has_entries && verified > durable {
            return;
        }
        let mut matched = following.verified.min(durable);
        if planted!(AckBeyondMatch) {
            matched = durable;
        }
        self.end_newcomer(matched);
        self.reply_append(from, AppendOutcome::Accepted { matched });
    }

    /// More is durable: tells the leader, if it waits for that. One reply for a whole batch.
    pub(super) fn acknowledge(&mut self) {
        let durable = self.writes.durable();
        let RoleState::Follower(following) = &mut self.role else { return };
        let Some(leader) = following.leader.filter(|_| following.owes_reply) else { return };
        following.owes_reply = following.verified > durable;
        let matched = following.verified.min(durable);
        self.end_newcomer(matched);
        self.reply_append(leader, AppendOutcome::Accepted { matched });
    }

    fn reply_append(&mut self, to: NodeId, outcome: AppendOutcome) {
        let RoleState::Follower(following) = &self.role else { return };
        let round = following.round;
        self.send(to, Message::AppendEntriesReply(AppendEntriesReply { round, outcome }));
    }
}

/// Whether the entries follow `prev` without gaps, and their terms never decrease nor pass `term`.
fn is_consecutive(request: &AppendEntries, term: crate::Term) -> bool {
    let mut last = request.prev;
    for entry in &request.entries {
        if last.index.0.checked_add(1) != Some(entry.id.index.0) || entry.id.term < last.term {
            return false;
        }
        last = entry.id;
    }
    last.term <= term && last.index.0 < NUMBER_MAX
}
