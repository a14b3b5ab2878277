//! What never goes back (paper, figure 2): the term and, within it, the vote, in every write and across restarts;
//! what is committed and what is applied, within an incarnation, where the snapshot is the least.

use std::collections::BTreeMap;

use raft_core::{HardState, LogIndex, NodeId, Term, WriteOp};

use super::Invariant;
use crate::watch::{At, Event, View};

#[derive(Default)]
pub(super) struct Monotonic {
    nodes: BTreeMap<NodeId, Seen>,
}

#[derive(Default)]
struct Seen {
    submitted: HardState,
    durable: HardState,
    /// In this incarnation, as the node shows itself.
    term: Term,
    commit: LogIndex,
    applied: LogIndex,
}

impl Invariant for Monotonic {
    fn name(&self) -> &'static str {
        "monotonic"
    }

    fn check(&mut self, at: &At<'_>, _: &View) -> Result<(), String> {
        let seen = self.nodes.entry(at.node).or_default();
        match &at.event {
            Event::Submitted(WriteOp::HardState(state)) => {
                follows(seen.submitted, *state)?;
                seen.submitted = *state;
            }
            Event::Durable(WriteOp::HardState(state)) => {
                follows(seen.durable, *state)?;
                seen.durable = *state;
            }
            Event::Loaded(persisted) => {
                let state = persisted.hard_state;
                follows(seen.durable, state)?;
                let snapshot = persisted.snapshot.as_ref().map(|meta| meta.last.index);
                let least = snapshot.unwrap_or_default();
                let (term, commit, applied) = (state.term, least, least);
                *seen = Seen { submitted: state, durable: state, term, commit, applied };
            }
            Event::Status(status) => {
                not_less("the term", seen.term, status.term)?;
                not_less("the commit index", seen.commit, status.commit)?;
                not_less("the applied index", seen.applied, status.applied)?;
                seen.term = status.term;
                (seen.commit, seen.applied) = (status.commit, status.applied);
            }
            Event::Wiped => *seen = Seen::default(),
            _ => {}
        }
        Ok(())
    }
}

fn follows(old: HardState, new: HardState) -> Result<(), String> {
    if new.term < old.term {
        return Err(format!("the term went back from {:?} to {:?}", old.term, new.term));
    }
    // Who withholds its vote has not given it.
    let given = old.voted_for.filter(|candidate| *candidate != NodeId::NOBODY);
    if new.term == old.term && given.is_some() && new.voted_for != given {
        let HardState { term, voted_for } = old;
        return Err(format!("the vote in {term:?} was {voted_for:?} and is {:?}", new.voted_for));
    }
    Ok(())
}

fn not_less<T: Ord + std::fmt::Debug>(what: &str, old: T, new: T) -> Result<(), String> {
    match new < old {
        true => Err(format!("{what} went back from {old:?} to {new:?}")),
        false => Ok(()),
    }
}
