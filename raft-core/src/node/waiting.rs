//! Who waits for an answer: proposals for their entry, reads for their index.
//!
//! The loop puts waiters in and takes them out when leadership is lost; the applier takes them out when
//! it has applied what they wait for. Invariants:
//!
//! 1. `proposals` ascend by index: a leader appends at the end, and what was lost is taken out at once.
//! 2. A proposal is answered with an output only if the entry applied has its [`LogId`]: another entry at
//!    its index means that it was overwritten, or applied unseen by a snapshot.
//! 3. `confirmed` ascend by index: the commit index, which confirms them, never falls.

use alloc::collections::VecDeque;

use super::inbox::{ProposalReply, ReadReply};
use super::{Applied, ProposalError, QueryError};
use crate::{LogId, LogIndex, NodeId, ReadError, ReadId, Role, RoleChange, Term};

/// The waiters of a group.
pub(super) struct Waiting<O> {
    proposals: VecDeque<(LogId, ProposalReply<O>)>,
    asked: VecDeque<AskedRead>,
    confirmed: VecDeque<(LogIndex, ReadReply)>,
    reads_max: usize,
    /// The last entry whose effect a reader sees.
    applied: LogId,
}

struct AskedRead {
    id: ReadId,
    term: Term,
    reply: ReadReply,
}

impl<O> Waiting<O> {
    pub(super) fn new(applied: LogId, reads_max: usize) -> Self {
        Self {
            proposals: VecDeque::new(),
            asked: VecDeque::new(),
            confirmed: VecDeque::new(),
            reads_max,
            applied,
        }
    }

    /// The last entry that is applied here.
    pub(super) fn applied(&self) -> LogId {
        self.applied
    }

    /// The proposals that wait.
    pub(super) fn proposals(&self) -> usize {
        self.proposals.len()
    }

    /// The command of `reply` was appended as `id`. Whoever waits for the same or a later index waits
    /// for an entry of an earlier leadership, whose loss is only being reported: it was cut off.
    pub(super) fn appended(&mut self, id: LogId, reply: ProposalReply<O>) {
        while self.proposals.back().is_some_and(|(last, _)| last.index >= id.index) {
            let Some((_, reply)) = self.proposals.pop_back() else { break };
            let _ = reply.send(Err(ProposalError::Unknown { leader: None }));
        }
        self.proposals.push_back((id, reply));
    }

    /// `reply` waits until the read `id`, asked for in `term`, is confirmed. Refused past the bound.
    pub(super) fn asked(&mut self, id: ReadId, term: Term, reply: ReadReply) {
        if self.asked.len() + self.confirmed.len() >= self.reads_max {
            let refusal = ReadError::Overloaded { reads_max: self.reads_max };
            let _ = reply.send(Err(QueryError::Refused(refusal)));
            return;
        }
        self.asked.push_back(AskedRead { id, term, reply });
    }

    /// The read `id` may be served at `index`. So may those asked for before it: what confirms a read
    /// happened after it was asked for, hence after they were.
    pub(super) fn confirmed(&mut self, id: ReadId, index: LogIndex) {
        while self.asked.front().is_some_and(|asked| asked.id <= id) {
            let Some(asked) = self.asked.pop_front() else { break };
            if index <= self.applied.index || planted!(ReadBeforeApplied) {
                let _ = asked.reply.send(Ok(()));
            } else {
                let last = self.confirmed.back().map_or(index, |(last, _)| index.max(*last));
                self.confirmed.push_back((last, asked.reply));
            }
        }
    }

    /// The entry `id` was applied and answered `output`. Reads are served by [`Self::caught_up`].
    pub(super) fn applied_one(&mut self, id: LogId, output: O) {
        self.give_up_before(id.index);
        let is_next = self.proposals.front().is_some_and(|(next, _)| next.index == id.index);
        if !is_next {
            return;
        }
        let Some((proposed, reply)) = self.proposals.pop_front() else { return };
        let fate = if proposed == id || planted!(AnsweredByIndex) {
            Ok(Applied { id, output })
        } else {
            Err(ProposalError::Unknown { leader: None })
        };
        let _ = reply.send(fate);
    }

    /// Everything up to `id` is applied, answered or overtaken.
    pub(super) fn caught_up(&mut self, id: LogId) {
        self.give_up_before(id.index.next());
        self.applied = id;
        while self.confirmed.front().is_some_and(|(index, _)| *index <= id.index) {
            let Some((_, reply)) = self.confirmed.pop_front() else { break };
            let _ = reply.send(Ok(()));
        }
    }

    /// Proposals before `index` were not answered by their own entries: those were overwritten, or came
    /// with a snapshot.
    fn give_up_before(&mut self, index: LogIndex) {
        while self.proposals.front().is_some_and(|(next, _)| next.index < index) {
            let Some((_, reply)) = self.proposals.pop_front() else { break };
            let _ = reply.send(Err(ProposalError::Unknown { leader: None }));
        }
    }

    /// The role, term or leader is another one: whatever depends on an earlier leadership here and is
    /// not committed is answered now. What is committed is answered when it is applied.
    pub(super) fn role_changed(&mut self, change: &RoleChange, commit: LogIndex) {
        let leads = |term: Term| change.role == Role::Leader && term == change.term;
        while self.proposals.back().is_some_and(|(id, _)| id.index > commit && !leads(id.term)) {
            if planted!(AnsweredByIndex) {
                break;
            }
            let Some((_, reply)) = self.proposals.pop_back() else { break };
            let _ = reply.send(Err(ProposalError::Unknown { leader: change.leader }));
        }
        while self.asked.front().is_some_and(|asked| !leads(asked.term)) {
            let Some(asked) = self.asked.pop_front() else { break };
            let _ = asked.reply.send(Err(QueryError::LeadershipLost { leader: change.leader }));
        }
    }

    /// The node stops: nobody will ever say what became of the proposals.
    pub(super) fn stop(&mut self, leader: Option<NodeId>) {
        for (_, reply) in self.proposals.drain(..) {
            let _ = reply.send(Err(ProposalError::Unknown { leader }));
        }
        for asked in self.asked.drain(..) {
            let _ = asked.reply.send(Err(QueryError::Stopped));
        }
        for (_, reply) in self.confirmed.drain(..) {
            let _ = reply.send(Err(QueryError::Stopped));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::{self, Receiver};

    use super::*;

    fn id(term: u64, index: u64) -> LogId {
        LogId::new(Term(term), LogIndex(index))
    }

    fn propose(
        waiting: &mut Waiting<u8>,
        at: LogId,
    ) -> Receiver<Result<Applied<u8>, ProposalError>> {
        let (reply, answer) = oneshot::channel();
        waiting.appended(at, reply);
        answer
    }

    #[test]
    fn another_entry_at_the_index_is_not_the_proposal() {
        let mut waiting = Waiting::new(LogId::ZERO, 10);
        let (mut first, mut second) =
            (propose(&mut waiting, id(1, 1)), propose(&mut waiting, id(1, 2)));
        waiting.applied_one(id(1, 1), 7);
        waiting.applied_one(id(2, 2), 8);
        assert_eq!(first.try_recv(), Ok(Ok(Applied { id: id(1, 1), output: 7 })));
        assert_eq!(second.try_recv(), Ok(Err(ProposalError::Unknown { leader: None })));
    }

    #[test]
    fn what_a_snapshot_or_a_later_leadership_overtakes_is_unknown() {
        let mut waiting = Waiting::new(LogId::ZERO, 10);
        let mut overwritten = propose(&mut waiting, id(1, 5));
        let mut overtaken = propose(&mut waiting, id(3, 5));
        assert_eq!(overwritten.try_recv(), Ok(Err(ProposalError::Unknown { leader: None })));
        waiting.caught_up(id(3, 5));
        assert_eq!(overtaken.try_recv(), Ok(Err(ProposalError::Unknown { leader: None })));
    }

    #[test]
    fn a_read_waits_until_its_index_is_applied() {
        let mut waiting: Waiting<u8> = Waiting::new(id(1, 3), 10);
        let ask = |waiting: &mut Waiting<u8>, read| {
            let (reply, answer) = oneshot::channel();
            waiting.asked(ReadId(read), Term(1), reply);
            answer
        };
        let (mut first, mut second) = (ask(&mut waiting, 1), ask(&mut waiting, 2));
        waiting.confirmed(ReadId(1), LogIndex(3));
        waiting.confirmed(ReadId(2), LogIndex(5));
        assert_eq!(first.try_recv(), Ok(Ok(())));
        waiting.caught_up(id(1, 4));
        assert!(second.try_recv().is_err());
        waiting.caught_up(id(1, 5));
        assert_eq!(second.try_recv(), Ok(Ok(())));
    }
}
