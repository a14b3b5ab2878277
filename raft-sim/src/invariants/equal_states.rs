//! Two state machines that have applied up to the same index were given the same commands in the same order,
//! whether they applied them or restored a snapshot.

use raft_core::LogId;

use super::Invariant;
use crate::watch::{At, Chain, Event, View};

pub(super) struct EqualStates;

impl Invariant for EqualStates {
    fn name(&self) -> &'static str {
        "equal-states"
    }

    fn check(&mut self, at: &At<'_>, view: &View) -> Result<(), String> {
        match &at.event {
            Event::Applied(command) => match view.step.applied {
                Some((_, chain)) => equal(at, command.id, chain, view),
                None => Ok(()),
            },
            Event::Restored(content) => equal(at, content.last, content.chain, view),
            _ => Ok(()),
        }
    }
}

fn equal(at: &At<'_>, id: LogId, chain: Chain, view: &View) -> Result<(), String> {
    match view.chains.get(&id.index) {
        Some(first) if *first != chain => Err(format!(
            "the state of {:?} after {id:?} is made of other commands than that of others",
            at.node
        )),
        _ => Ok(()),
    }
}
