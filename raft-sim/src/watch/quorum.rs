//! Majorities, counted a second time and in another way than `raft-core` does.

use std::collections::BTreeSet;

use raft_core::{Membership, NodeId};

/// Whether those for whom `has` says so are a quorum: a majority of the voters, and of those that are being
/// left if there are any.
pub fn is_quorum(membership: &Membership, has: impl Fn(NodeId) -> bool) -> bool {
    let majority = |voters: &BTreeSet<NodeId>| {
        let count = voters.iter().filter(|voter| has(**voter)).count();
        2 * count > voters.len()
    };
    majority(&membership.voters)
        && (membership.outgoing.is_empty() || majority(&membership.outgoing))
}

/// Whether every quorum of one membership has a member of every quorum of the other. By trying all of them:
/// for groups of up to 16 voters in all; `None` for larger ones.
pub fn quorums_intersect(one: &Membership, other: &Membership) -> Option<bool> {
    let sets = [&one.voters, &one.outgoing, &other.voters, &other.outgoing];
    let all: BTreeSet<NodeId> = sets.into_iter().flatten().copied().collect();
    let all: Vec<NodeId> = all.into_iter().collect();
    if all.len() > 16 {
        return None;
    }
    let disjoint = (0_u32..1 << all.len()).any(|chosen| {
        let position = |node: NodeId| all.iter().position(|there| *there == node);
        let inside = |node: NodeId| position(node).is_some_and(|at| chosen >> at & 1 == 1);
        is_quorum(one, inside) && is_quorum(other, |node| !inside(node))
    });
    Some(!disjoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(voters: &[u64], outgoing: &[u64]) -> Membership {
        let set = |ids: &[u64]| ids.iter().copied().map(NodeId).collect();
        Membership { voters: set(voters), outgoing: set(outgoing), learners: BTreeSet::new() }
    }

    #[test]
    fn majorities() {
        let has = |ids: &'static [u64]| move |node: NodeId| ids.contains(&node.0);
        assert!(is_quorum(&of(&[1, 2, 3], &[]), has(&[1, 3])));
        assert!(!is_quorum(&of(&[1, 2, 3, 4], &[]), has(&[1, 3])));
        assert!(!is_quorum(&of(&[1, 2, 3], &[3, 4, 5]), has(&[1, 2, 3])));
        assert!(is_quorum(&of(&[1, 2, 3], &[3, 4, 5]), has(&[1, 3, 4])));
        assert!(!is_quorum(&Membership::default(), has(&[1])));
    }

    #[test]
    fn intersections() {
        let meet = |one: &Membership, other: &Membership| quorums_intersect(one, other).unwrap();
        let (old, new) = (of(&[1, 2, 3], &[]), of(&[3, 4, 5], &[]));
        assert!(!meet(&old, &new));
        assert!(meet(&old, &of(&[3, 4, 5], &[1, 2, 3])));
        assert!(meet(&of(&[3, 4, 5], &[1, 2, 3]), &new));
        assert!(meet(&old, &of(&[1, 2, 3, 4], &[])));
        assert!(!meet(&of(&[1, 2], &[]), &of(&[1, 2, 3, 4], &[])) || meet(&old, &old));
        assert!(!meet(&of(&[1], &[]), &of(&[1, 2, 3], &[])));
    }
}
