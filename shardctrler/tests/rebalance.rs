//! The rule by which shards are given out, against slow second implementations.

mod common;

use std::collections::BTreeMap;

use common::reference;
use proptest::prelude::*;
use raft_core::GroupId;
use shardctrler::rebalance::{held, is_balanced, rebalance};

type Owner = Option<GroupId>;
type Weights = BTreeMap<GroupId, u32>;

fn owners(ids: &[u64]) -> Vec<Owner> {
    ids.iter().map(|id| (*id != 0).then_some(GroupId(*id))).collect()
}

fn weights(pairs: &[(u64, u32)]) -> Weights {
    pairs.iter().map(|(group, weight)| (GroupId(*group), *weight)).collect()
}

fn ids(owners: &[Owner]) -> Vec<u64> {
    owners.iter().map(|owner| owner.map_or(0, |group| group.0)).collect()
}

#[test]
fn the_first_groups_get_ranges_and_the_next_ones_take_the_highest_shards_of_each() {
    let none = owners(&[0; 10]);
    let one = rebalance(&none, &weights(&[(1, 1)]));
    assert_eq!(ids(&one), [1; 10]);
    let two = rebalance(&one, &weights(&[(1, 1), (2, 1)]));
    assert_eq!(ids(&two), [1, 1, 1, 1, 1, 2, 2, 2, 2, 2]);
    let three = rebalance(&two, &weights(&[(1, 1), (2, 1), (3, 1)]));
    assert_eq!(ids(&three), [1, 1, 1, 1, 3, 2, 2, 2, 3, 3]);
    let without_one = rebalance(&three, &weights(&[(2, 1), (3, 1)]));
    assert_eq!(ids(&without_one), [2, 2, 3, 3, 3, 2, 2, 2, 3, 3]);
    assert_eq!(ids(&rebalance(&three, &Weights::new())), [0; 10]);
}

#[test]
fn weights_are_parts_of_the_whole() {
    let none = owners(&[0; 16]);
    let heavy = rebalance(&none, &weights(&[(1, 1), (2, 3)]));
    assert_eq!(held(&heavy), [(GroupId(1), 4), (GroupId(2), 12)].into());
    // Half of 16 is 8; a third of the other half is 2 2/3.
    let after = rebalance(&heavy, &weights(&[(1, 3), (2, 1), (3, 1), (4, 1)]));
    let held = held(&after);
    assert_eq!(held[&GroupId(1)], 8);
    assert!((2..=4).all(|group| (2..=3).contains(&held[&GroupId(group)])));
    // A weight of next to nothing may get nothing.
    let after = rebalance(&none, &weights(&[(1, 1), (2, u32::MAX)]));
    assert_eq!(ids(&after), [2; 16]);
}

#[test]
fn more_groups_than_shards_get_one_or_none() {
    let many: Weights = (1..=25).map(|group| (GroupId(group), 1)).collect();
    let after = rebalance(&owners(&[0, 30, 7, 7, 7, 7, 0, 0, 0, 0]), &many);
    assert_eq!(ids(&after), [1, 2, 7, 3, 4, 5, 6, 8, 9, 10]);
    assert!(is_balanced(&after, &many));
}

/// Each assignment of the shards to the groups, in turn.
fn assignments(shards: usize, groups: &[GroupId]) -> impl Iterator<Item = Vec<Owner>> + '_ {
    let count = groups.len().pow(shards as u32);
    (0..count).map(move |mut n| {
        (0..shards)
            .map(|_| {
                let owner = groups[n % groups.len()];
                n /= groups.len();
                Some(owner)
            })
            .collect()
    })
}

/// For all small cases: of all assignments that there are, no balanced one has fewer moves.
#[test]
fn no_balanced_assignment_whatsoever_is_nearer() {
    let groups = [GroupId(1), GroupId(2), GroupId(3)];
    let before_ids = [GroupId(0), GroupId(1), GroupId(2), GroupId(3), GroupId(9)];
    let mut cases = 0;
    for members in 1..=groups.len() {
        let groups = &groups[..members];
        for weighting in 0..3_u32.pow(members as u32) {
            let weight = |at: usize| weighting / 3_u32.pow(at as u32) % 3 + 1;
            let weights: Weights =
                groups.iter().enumerate().map(|(at, group)| (*group, weight(at))).collect();
            let balanced: Vec<_> = assignments(4, groups)
                .filter(|owners| reference::is_balanced(owners, &weights))
                .collect();
            for before in assignments(4, &before_ids) {
                let before: Vec<Owner> =
                    before.iter().map(|owner| owner.filter(|group| group.0 != 0)).collect();
                let after = rebalance(&before, &weights);
                let fewest = balanced.iter().map(|it| reference::moves(&before, it)).min();
                assert!(balanced.contains(&after), "{before:?} {weights:?} {after:?}");
                let moves = reference::moves(&before, &after);
                assert_eq!(Some(moves), fewest, "{before:?} {weights:?} {after:?}");
                assert_eq!(moves, reference::fewest_moves(&before, &weights));
                cases += 1;
            }
        }
    }
    assert_eq!(cases, (3 + 9 + 27) * 625);
}

fn case() -> impl Strategy<Value = (Vec<Owner>, Weights)> {
    let weight =
        prop_oneof![4 => Just(1_u32), 2 => 1..10_u32, 1 => any::<u32>().prop_map(|w| w.max(1))];
    let weights = proptest::collection::btree_map((1..40_u64).prop_map(GroupId), weight, 0..30);
    let shards = prop_oneof![Just(10_usize), Just(16), 1..200_usize, Just(1024)];
    (shards, weights, 1..50_u64, 0..5_u64).prop_flat_map(|(shards, weights, groups, skew)| {
        // Skewed, so that some groups hold much more than others.
        let owner = (0..groups).prop_map(move |n| if n <= skew { n.min(1) } else { n });
        let owners = proptest::collection::vec(owner, shards);
        (owners.prop_map(|ids| self::owners(&ids)), Just(weights))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn balanced_minimal_idempotent_and_a_function_of_its_arguments((before, weights) in case()) {
        let after = rebalance(&before, &weights);
        prop_assert!(reference::is_balanced(&after, &weights), "{after:?}");
        prop_assert!(is_balanced(&after, &weights));
        let moves = reference::moves(&before, &after);
        prop_assert_eq!(moves, reference::fewest_moves(&before, &weights));
        prop_assert_eq!(&rebalance(&after, &weights), &after, "again");
        // The map is another one, filled in another order.
        let other: Weights = weights.iter().rev().map(|(group, weight)| (*group, *weight)).collect();
        prop_assert_eq!(&rebalance(&before, &other), &after);
        prop_assert_eq!(is_balanced(&before, &weights), reference::is_balanced(&before, &weights));
    }

    /// A shard that moves goes from a group that had too much, and none goes between two that were right.
    #[test]
    fn a_group_that_holds_its_quota_or_less_gives_nothing((before, weights) in case()) {
        let after = rebalance(&before, &weights);
        let (had, has) = (held(&before), held(&after));
        for (shard, (from, to)) in before.iter().zip(&after).enumerate() {
            if let (Some(from), Some(to)) = (from, to)
                && from != to
                && weights.contains_key(from)
            {
                prop_assert!(has.get(from) < had.get(from), "shard {shard} left {from} for another");
                prop_assert!(has.get(to) > had.get(to), "shard {shard} came to {to} for another");
            }
        }
    }
}
