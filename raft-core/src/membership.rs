//! Who belongs to a group.

use alloc::collections::BTreeSet;

use crate::{NodeId, TargetError};

/// The members of a group. While `outgoing` is not empty the group is in joint consensus (paper, section
/// 6): every decision needs a majority of `voters` and a majority of `outgoing`.
///
/// `voters` and `learners` are apart. `outgoing` may have members of either: who is there and among the
/// `learners` votes until the joint configuration is left, and then does not.
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

    /// The most nodes in the voters and learners of a group together: what a change asks for is refused
    /// beyond that, so that a joint configuration has twice as many at most.
    pub const MEMBERS_MAX: usize = 32;

    /// Whether the group is in joint consensus.
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// What the group is, or is becoming.
    pub fn target(&self) -> Target {
        Target { voters: self.voters.clone(), learners: self.learners.clone() }
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

/// What a group is to become: the members at the end of a change.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub struct Target {
    /// The nodes that will vote. Never empty.
    pub voters: BTreeSet<NodeId>,
    /// The nodes that will get the log and not vote; none of the voters.
    pub learners: BTreeSet<NodeId>,
}

impl Target {
    /// These voters and no learners.
    pub fn of_voters(voters: impl IntoIterator<Item = NodeId>) -> Self {
        Self { voters: voters.into_iter().collect(), learners: BTreeSet::new() }
    }

    /// Whether a group could be like this, whatever it is now.
    pub fn check(&self) -> Result<(), TargetError> {
        if self.voters.is_empty() {
            return Err(TargetError::NoVoters);
        }
        if let Some(node) = self.voters.intersection(&self.learners).next() {
            return Err(TargetError::VoterAndLearner { node: *node });
        }
        let members = self.voters.len() + self.learners.len();
        if members > Membership::MEMBERS_MAX {
            return Err(TargetError::TooMany { members, members_max: Membership::MEMBERS_MAX });
        }
        Ok(())
    }

    /// Whether `membership` is this, and no change is under way.
    pub fn is_reached(&self, membership: &Membership) -> bool {
        !membership.is_joint()
            && membership.voters == self.voters
            && membership.learners == self.learners
    }

    /// The membership that a group of `current` members, which is not joint, has next on its way here: with
    /// other voters a joint one (paper, section 6), else this.
    pub(crate) fn after(&self, current: &Membership) -> Membership {
        let same = current.voters == self.voters || planted!(SingleStepChange);
        Membership {
            voters: self.voters.clone(),
            outgoing: if same { BTreeSet::new() } else { current.voters.clone() },
            learners: self.learners.clone(),
        }
    }
}
