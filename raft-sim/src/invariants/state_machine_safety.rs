//! State machine safety (paper, figure 3): what is applied at an index is the entry that is committed there.

use super::Invariant;
use crate::watch::{At, Event, View};

pub(super) struct StateMachineSafety;

impl Invariant for StateMachineSafety {
    fn name(&self) -> &'static str {
        "state-machine-safety"
    }

    fn check(&mut self, at: &At<'_>, view: &View) -> Result<(), String> {
        let (Event::Applied(command), Some((print, _))) = (&at.event, view.step.applied) else {
            return Ok(());
        };
        let known = view.committed.get(&command.id.index).copied();
        let known = known.or(view.step.claim.and_then(|claim| claim.durable));
        match known {
            Some(committed) if committed != print => Err(format!(
                "{:?} applied {:?}, and what is committed there is {committed:?}",
                at.node, command.id
            )),
            _ => Ok(()),
        }
    }
}
