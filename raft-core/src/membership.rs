//! Who belongs to a group.

use alloc::collections::BTreeSet;

use crate::NodeId;

/// The members of a group. While `outgoing` is not empty the group is in joint consensus (paper, section
/// 6): every decision needs a majority of `voters` and a majority of `outgoing`.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub struct Membership {
    /// The nodes that vote, in the configuration that is coming or has come.
    pub voters: BTreeSet<NodeId>,
    /// The voters of the configuration that is being left; empty outside a change.
    pub outgoing: BTreeSet<NodeId>,
    /// Nodes that get the log and do not vote.
    pub learners: BTreeSet<NodeId>,
}

impl Membership {
    /// A group of these voters, without learners.
    pub fn of_voters(voters: impl IntoIterator<Item = NodeId>) -> Self {
        Self { voters: voters.into_iter().collect(), ..Self::default() }
    }

    /// Whether `node` votes, in either half of a joint configuration.
    pub fn is_voter(&self, node: NodeId) -> bool {
        self.voters.contains(&node) || self.outgoing.contains(&node)
    }

    /// Whether `node` gets the log.
    pub fn contains(&self, node: NodeId) -> bool {
        self.is_voter(node) || self.learners.contains(&node)
    }

    /// All members, each once, in order.
    pub fn members(&self) -> impl Iterator<Item = NodeId> + '_ {
        let joint: BTreeSet<NodeId> =
            self.voters.iter().chain(&self.outgoing).chain(&self.learners).copied().collect();
        joint.into_iter()
    }

    /// What this counts for in limits.
    pub fn bytes(&self) -> u64 {
        8 * (self.voters.len() + self.outgoing.len() + self.learners.len()) as u64
    }
}
