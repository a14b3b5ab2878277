//! A handover of leadership that somebody waits for.

use tokio::sync::oneshot;

use super::HandoverError;
use crate::{NodeId, Raft, Role, Term};

/// Where the answer goes: that the other one leads.
pub(super) type HandoverReply = oneshot::Sender<Result<(), HandoverError>>;

/// Ticks after which it is given up to hear who leads.
const PATIENCE_TICKS: u32 = 100;

/// The handover that somebody waits for; at most one at a time.
#[derive(Default)]
pub(super) struct Handing(Option<Waiting>);

struct Waiting {
    to: NodeId,
    term: Term,
    ticks: u32,
    reply: HandoverReply,
}

impl Handing {
    /// Somebody asks for it.
    pub(super) fn ask(&mut self, to: NodeId, reply: HandoverReply, raft: &mut Raft) {
        match raft.transfer_leadership(to) {
            Err(refusal) => drop(reply.send(Err(HandoverError::Refused(refusal)))),
            Ok(()) if raft.status().leader == Some(to) => drop(reply.send(Ok(()))),
            Ok(()) => {
                // The one before has ended, or this one would have been refused.
                self.advance(raft);
                self.0 = Some(Waiting { to, term: raft.status().term, ticks: 0, reply });
            }
        }
    }

    pub(super) fn tick(&mut self) {
        if let Some(waiting) = &mut self.0 {
            waiting.ticks += 1;
        }
    }

    /// Looks whether it has come about. Costs nothing while nobody waits.
    pub(super) fn advance(&mut self, raft: &Raft) {
        let Some(waiting) = &self.0 else { return };
        if let Some(outcome) = waiting.outcome(raft)
            && let Some(waiting) = self.0.take()
        {
            let _ = waiting.reply.send(outcome);
        }
    }

    /// The group stops.
    pub(super) fn stop(&mut self) {
        if let Some(waiting) = self.0.take() {
            let _ = waiting.reply.send(Err(HandoverError::Stopped));
        }
    }
}

impl Waiting {
    fn outcome(&self, raft: &Raft) -> Option<Result<(), HandoverError>> {
        let status = raft.status();
        let leads_on = status.role == Role::Leader && status.term == self.term;
        match status.leader {
            _ if leads_on && status.handover.is_some() => None,
            _ if leads_on => Some(Err(HandoverError::GivenUp)),
            Some(leader) if leader == self.to => Some(Ok(())),
            Some(leader) => Some(Err(HandoverError::Elsewhere { leader: Some(leader) })),
            None if self.ticks < PATIENCE_TICKS => None,
            None => Some(Err(HandoverError::Elsewhere { leader: None })),
        }
    }
}
