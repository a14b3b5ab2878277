//! Whoever leads a term has the durable votes of a quorum of the voters (paper, section 5.2): those of nodes
//! that do not vote, or that have lost their disks, do not count.

use raft_core::NodeId;

use super::Invariant;
use crate::watch::{At, View, is_quorum};

pub(super) struct ElectedByQuorum;

impl Invariant for ElectedByQuorum {
    fn name(&self) -> &'static str {
        "elected-by-quorum"
    }

    fn check(&mut self, at: &At<'_>, view: &View) -> Result<(), String> {
        let Some(term) = view.step.leads else { return Ok(()) };
        let voted = |voter| {
            view.votes.get(&(term, voter)) == Some(&at.node) && !view.wiped.contains(&voter)
        };
        let membership = view.membership_at(at.node);
        if is_quorum(membership, voted) {
            return Ok(());
        }
        let votes: Vec<NodeId> = membership.members().filter(|voter| voted(*voter)).collect();
        Err(format!(
            "{:?} leads {term:?} with the durable votes of {votes:?} among {:?}",
            at.node, membership.voters
        ))
    }
}
