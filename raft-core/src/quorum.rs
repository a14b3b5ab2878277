//! The one quorum function.
//!
//! The commit index, the confirmation of reads, and CheckQuorum all ask the same question: what is the
//! highest value that a quorum has reached, given a counter per node that never goes back?

use alloc::collections::BTreeSet;

use crate::{Membership, NodeId};

/// The highest value that a quorum of `membership` has reached; in joint consensus, a majority of either
/// half (paper, section 6). Without voters nothing is ever reached.
pub(crate) fn reached(membership: &Membership, value: impl Fn(NodeId) -> u64) -> u64 {
    let voters = &membership.voters;
    if planted!(LearnerCounted) {
        return majority(&voters.union(&membership.learners).copied().collect(), &value);
    }
    let incoming = majority(voters, &value);
    if membership.outgoing.is_empty() {
        return incoming;
    }
    if planted!(CommitByOldQuorum) {
        return majority(&membership.outgoing, &value);
    }
    incoming.min(majority(&membership.outgoing, &value))
}

/// The highest value that a majority of `voters` has reached. Quadratic, without an allocation: groups
/// have three, five or seven voters.
fn majority(voters: &BTreeSet<NodeId>, value: &impl Fn(NodeId) -> u64) -> u64 {
    let mut needed = voters.len() / 2 + 1;
    if planted!(QuorumOffByOne) {
        needed -= 1;
    }
    let mut best = 0;
    for candidate in voters.iter().map(|node| value(*node)) {
        if candidate > best
            && voters.iter().filter(|node| value(**node) >= candidate).count() >= needed
        {
            best = candidate;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// Sorts and counts from the top.
    fn slow_majority(voters: &BTreeSet<NodeId>, values: &BTreeMap<NodeId, u64>) -> u64 {
        let mut sorted: Vec<u64> = voters.iter().map(|node| values[node]).collect();
        sorted.sort_unstable();
        sorted.reverse();
        sorted.get(voters.len() / 2).copied().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn agrees_with_sorting(
            voters in prop::collection::btree_set(1u64..10, 0..8),
            outgoing in prop::collection::btree_set(1u64..10, 0..8),
            values in prop::collection::vec(0u64..6, 10),
        ) {
            let values: BTreeMap<NodeId, u64> =
                values.into_iter().enumerate().map(|(i, v)| (NodeId(i as u64), v)).collect();
            let membership = Membership {
                voters: voters.into_iter().map(NodeId).collect(),
                outgoing: outgoing.into_iter().map(NodeId).collect(),
                learners: BTreeSet::new(),
            };
            let mut expected = slow_majority(&membership.voters, &values);
            if !membership.outgoing.is_empty() {
                expected = expected.min(slow_majority(&membership.outgoing, &values));
            }
            prop_assert_eq!(reached(&membership, |node| values[&node]), expected);
        }
    }
}
