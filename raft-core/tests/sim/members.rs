//! How the members change in a run.

use raft_core::{Membership, MembershipError, NodeId, Role, Target};

use super::model::Node;
use super::{Plan, Rng, Sim, TIMEOUT};

/// Whether the members change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Members {
    /// All nodes vote, from the beginning to the end.
    Fixed,
    /// Some nodes vote in the beginning; then who asks next decides.
    Changing,
}

impl Members {
    pub(super) fn nodes(self) -> &'static [usize] {
        match self {
            Self::Fixed => &[1, 3, 3, 3, 5, 5],
            Self::Changing => &[3, 4, 4, 5, 6],
        }
    }

    /// Who votes in the beginning.
    pub(super) fn draw(self, rng: &mut Rng, count: usize, plan: &mut Plan) -> Membership {
        let voters = match self {
            Self::Fixed => count as u64,
            Self::Changing => {
                plan.changes = rng.pick(&[10, 40, 100]);
                plan.transfers = rng.pick(&[0, 3, 15]);
                plan.wipes = rng.pick(&[0, 500, 1000]);
                rng.pick(&[1, 2, 3, 3, 3])
            }
        };
        Membership::of_voters((1..=voters).map(NodeId))
    }
}

impl Sim<'_> {
    /// The members as the newest leader knows them; all nodes while nobody leads.
    pub(super) fn members(&self) -> impl Iterator<Item = &Node> {
        let membership = self.leader().map(|at| self.cluster.nodes[at].raft.status().membership);
        let is_member = move |node: &&Node| membership.is_none_or(|m| m.contains(node.id));
        self.cluster.nodes.iter().map(|node| &**node).filter(is_member)
    }

    /// Somebody asks the leader `at` for other members.
    pub(super) fn change(&mut self, at: usize) {
        let status = self.cluster.nodes[at].raft.status();
        let (expected, term) = (status.membership_since, status.term);
        let target = self.draw_target(at);
        let result = self.cluster.node(at).raft.change_membership(expected, &target);
        match result {
            Ok(id) => {
                assert_eq!(id.term, term);
                self.coverage.changes_begun += 1;
            }
            Err(MembershipError::NotCaughtUp { .. }) => self.coverage.not_caught_up += 1,
            Err(MembershipError::NotLeader { .. } | MembershipError::Stale { .. }) => {
                panic!("it leads, and was asked what it has")
            }
            Err(_) => {}
        }
        self.settle(at);
    }

    fn draw_target(&mut self, at: usize) -> Target {
        let node = &self.cluster.nodes[at];
        let mut target = node.raft.status().membership.target();
        let done = node
            .raft
            .progress()
            .filter(|member| member.catching_up.is_some_and(|catching_up| catching_up.is_done));
        let done: Vec<NodeId> = done.map(|member| member.node).collect();
        let somebody = NodeId(1 + self.rng.below(self.hosts.len() as u64));
        match self.rng.below(6) {
            // A learner comes, or goes, or a voter becomes one.
            0 | 1 => {
                target.voters.remove(&somebody);
                target.learners.insert(somebody);
            }
            2 => {
                target.voters.remove(&somebody);
                target.learners.remove(&somebody);
            }
            // Those who can vote, do.
            3 => {
                target.learners.retain(|node| !done.contains(node));
                target.voters.extend(done);
            }
            // And replace the others.
            4 => {
                target.learners.retain(|node| !done.contains(node));
                target.voters.retain(|_| self.rng.chance(300));
                target.voters.extend(done);
            }
            // Whether it can or not.
            _ => {
                target.learners.remove(&somebody);
                target.voters.insert(somebody);
            }
        }
        target
    }

    /// Somebody asks the leader `at` to hand over.
    pub(super) fn transfer(&mut self, at: usize) {
        let to = NodeId(1 + self.rng.below(self.hosts.len() as u64));
        let result = self.cluster.node(at).raft.transfer_leadership(to);
        self.coverage.transfers += u64::from(result.is_ok());
        self.settle(at);
    }

    /// Whether no membership has the node, committed or not.
    pub(super) fn may_be_wiped(&self, at: usize) -> bool {
        let id = NodeId(at as u64 + 1);
        let nodes = &self.cluster.nodes;
        !self.cluster.history.membership().contains(id)
            && nodes.iter().all(|node| !node.raft.status().membership.contains(id) || node.id == id)
    }

    /// The node loses its disk. Requests that are on their way to it go with its connections; what it has said
    /// may still arrive.
    pub(super) fn wipe(&mut self, at: usize) {
        self.coverage.wiped += 1;
        self.network.retain(|_, envelope| envelope.to.0 as usize - 1 != at);
        self.cluster.node(at).wipe();
    }

    /// Whoever was removed disturbs nobody, whether it knows or not: nobody has to campaign any more.
    pub(super) fn stays_quiet(&mut self) {
        let leaders = self.cluster.history.leaders.len();
        (0..6 * TIMEOUT).for_each(|_| self.pass());
        assert_eq!(leaders, self.cluster.history.leaders.len(), "somebody disturbs the group");
        let campaigns =
            |node: &&Node| !matches!(node.raft.status().role, Role::Follower | Role::Leader);
        assert_eq!(self.members().filter(campaigns).count(), 0);
    }
}
