//! A node votes for one candidate in a term, also across restarts (paper, section 5.2): as its disk says, and as
//! it has told others.

use std::collections::BTreeMap;

use raft_core::{HardState, Message, NodeId, Term, WriteOp};

use super::Invariant;
use crate::watch::{At, Event, View};

#[derive(Default)]
pub(super) struct OneVote {
    given: BTreeMap<(NodeId, Term), NodeId>,
}

impl OneVote {
    fn votes(&mut self, node: NodeId, term: Term, candidate: NodeId) -> Result<(), String> {
        let first = *self.given.entry((node, term)).or_insert(candidate);
        if first != candidate {
            return Err(format!("{node:?} voted for {first:?} and for {candidate:?} in {term:?}"));
        }
        Ok(())
    }

    fn holds(&mut self, node: NodeId, state: &HardState) -> Result<(), String> {
        match state.voted_for {
            // It withholds its vote, which may be its leader's later in the term.
            None | Some(NodeId::NOBODY) => Ok(()),
            Some(candidate) => self.votes(node, state.term, candidate),
        }
    }
}

impl Invariant for OneVote {
    fn name(&self) -> &'static str {
        "one-vote"
    }

    fn check(&mut self, at: &At<'_>, _: &View) -> Result<(), String> {
        match &at.event {
            Event::Durable(WriteOp::HardState(state)) => self.holds(at.node, state),
            Event::Loaded(persisted) => self.holds(at.node, &persisted.hard_state),
            Event::Sent(envelope) => match &envelope.message {
                Message::RequestVoteReply(reply) if reply.granted => {
                    self.votes(at.node, envelope.term, envelope.to)
                }
                Message::RequestVote(_) => self.votes(at.node, envelope.term, at.node),
                _ => Ok(()),
            },
            Event::Wiped => {
                self.given.retain(|(node, _), _| *node != at.node);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
