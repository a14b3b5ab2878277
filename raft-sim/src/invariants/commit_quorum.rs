//! What is committed is durable on a quorum of the voters, and a leader commits by counting only entries of its
//! own term (paper, section 5.4.2). Checked when somebody shows a commit index for the first time; copies on
//! nodes that are down by then count.

use super::Invariant;
use crate::watch::{At, Claim, View};

pub(super) struct CommitQuorum;

impl Invariant for CommitQuorum {
    fn name(&self) -> &'static str {
        "commit-quorum"
    }

    fn check(&mut self, at: &At<'_>, view: &View) -> Result<(), String> {
        let Some(Claim { index, leading, durable }) = view.step.claim else { return Ok(()) };
        let Some(print) = durable else {
            return Err(format!("{:?} is committed and not durable on a quorum", index));
        };
        match leading {
            Some(term) if print.term != term => Err(format!(
                "{:?} committed {index:?} as leader of {term:?}, and the entry is of {:?}",
                at.node, print.term
            )),
            _ => Ok(()),
        }
    }
}
