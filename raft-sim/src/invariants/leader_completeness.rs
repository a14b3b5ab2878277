//! Leader completeness (paper, figure 3): a leader has every entry that leaders of earlier terms have committed.

use super::Invariant;
use crate::watch::{At, View};

pub(super) struct LeaderCompleteness;

impl Invariant for LeaderCompleteness {
    fn name(&self) -> &'static str {
        "leader-completeness"
    }

    fn check(&mut self, at: &At<'_>, view: &View) -> Result<(), String> {
        let (Some(term), Some(node)) = (view.step.leads, view.node(at.node)) else { return Ok(()) };
        // Its log was given to its store as a whole before the vote for itself.
        let log = &node.submitted;
        match view.committed_before(term).find(|(index, print)| !log.has(*index, print)) {
            Some((index, print)) => Err(format!(
                "{:?} leads {term:?} without {index:?} of {:?}, which was committed before",
                at.node, print.term
            )),
            None => Ok(()),
        }
    }
}
