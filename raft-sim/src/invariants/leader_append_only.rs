//! Leader append-only (paper, figure 3): who has led a term removes nothing from its log in that term.

use super::Invariant;
use crate::watch::{At, View};

pub(super) struct LeaderAppendOnly;

impl Invariant for LeaderAppendOnly {
    fn name(&self) -> &'static str {
        "leader-append-only"
    }

    fn check(&mut self, at: &At<'_>, view: &View) -> Result<(), String> {
        let Some((first, _)) = view.step.removed.first_key_value() else { return Ok(()) };
        let Some(node) = view.node(at.node) else { return Ok(()) };
        let term = node.submitted.hard_state.term;
        match view.leaders.get(&term) == Some(&at.node) {
            true => Err(format!("{:?}, leader of {term:?}, removed {first:?}", at.node)),
            false => Ok(()),
        }
    }
}
