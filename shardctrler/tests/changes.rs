//! What each change does, and every reason why it is refused.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{empty, group, groups, join, leave, load, move_shard, rebalance, reference};
use common::{set_servers, weighing};
use proptest::prelude::*;
use raft_core::{GroupId, NodeId};
use shardctrler::{Change, ConfigNumber, Configuration, Group, Limits, Refusal, ShardId};

fn apply(to: &Configuration, change: &Change) -> Configuration {
    let after = change.apply(to, &Limits::default()).expect("done");
    reference::check_change(to, change, &after).expect("right");
    after
}

fn refused(by: &Configuration, change: &Change) -> Refusal {
    change.apply(by, &Limits::default()).expect_err("refused")
}

#[test]
fn configuration_zero_is_empty() {
    let zero = empty(10);
    assert_eq!(zero.number(), ConfigNumber::ZERO);
    assert!(zero.groups().is_empty() && zero.pinned().is_empty() && zero.is_balanced());
    assert!(zero.shards().all(|(_, owner)| owner.is_none()) && zero.shards().len() == 10);
    assert_eq!(zero.owner_of(b"key"), None);
    assert_eq!(zero.owner(ShardId(10)), None);
}

#[test]
fn groups_join_and_leave_and_the_last_one_leaves_the_shards_to_nobody() {
    let one = apply(&empty(10), &join([1]));
    assert_eq!((one.number(), load(&one)), (ConfigNumber(1), BTreeMap::from([(1, 10)])));
    assert_eq!(one.group(GroupId(1)), Some(&group(1)));
    let three = apply(&one, &join([2, 3]));
    assert_eq!(load(&three), BTreeMap::from([(1, 4), (2, 3), (3, 3)]));
    let two = apply(&three, &leave([1, 2]));
    assert_eq!(load(&two), BTreeMap::from([(3, 10)]));
    let none = apply(&two, &leave([3]));
    assert_eq!((none.number(), load(&none)), (ConfigNumber(4), BTreeMap::new()));
    assert!(none.shards().all(|(_, owner)| owner.is_none()));
    let again = apply(&none, &join([1]));
    assert_eq!(load(&again), BTreeMap::from([(1, 10)]));
}

#[test]
fn a_move_holds_until_a_group_joins_or_leaves() {
    let two = apply(&empty(10), &join([1, 2]));
    let mut moved = two.clone();
    for shard in 0..10 {
        let after = apply(&moved, &move_shard(shard, 2));
        // Also one that changes nothing makes a configuration.
        assert_eq!(after.number(), moved.number().next());
        moved = after;
    }
    assert_eq!(load(&moved), BTreeMap::from([(1, 0), (2, 10)]));
    assert_eq!(moved.pinned().len(), 10);
    assert!(!moved.is_balanced());
    let elsewhere = apply(&moved, &set_servers(1, &["a", "b"]));
    assert_eq!(load(&elsewhere), BTreeMap::from([(1, 0), (2, 10)]), "no change of the groups");
    assert_eq!(elsewhere.pinned().len(), 10);
    assert_eq!(load(&apply(&elsewhere, &join([3]))), BTreeMap::from([(1, 3), (2, 4), (3, 3)]));
    assert_eq!(load(&apply(&elsewhere, &leave([1]))), BTreeMap::from([(2, 10)]));
    let balanced = apply(&elsewhere, &rebalance([]));
    assert_eq!(load(&balanced), BTreeMap::from([(1, 5), (2, 5)]));
    assert!(balanced.pinned().is_empty());
}

#[test]
fn weights_are_given_at_the_join_and_changed_by_a_rebalancing() {
    let one = apply(&empty(16), &join([1]));
    let two = apply(&one, &weighing(2, 3));
    assert_eq!(load(&two), BTreeMap::from([(1, 4), (2, 12)]));
    let equal = apply(&two, &rebalance([(1, 7), (2, 7)]));
    assert_eq!(load(&equal), BTreeMap::from([(1, 8), (2, 8)]));
    assert_eq!(equal.group(GroupId(1)).map(|it| it.weight), Some(7));
    let same = apply(&equal, &rebalance([]));
    assert_eq!(same.moves_since(&equal).count(), 0);
}

#[test]
fn servers_change_and_no_shard_moves() {
    let two = apply(&empty(10), &join([1, 2]));
    let after = apply(&two, &set_servers(2, &["b", "c", "d"]));
    assert_eq!(after.group(GroupId(2)).map(|it| it.servers.len()), Some(3));
    assert_eq!(after.moves_since(&two).count(), 0);
}

#[test]
fn what_makes_no_sense_is_refused_for_what_it_is() {
    let two = apply(&apply(&empty(10), &join([1])), &weighing(2, 3));
    let node = |group: u64, n: u64| NodeId(group * 100 + n);
    let named = |id: u64, name: &str| {
        let group = Group::new([(node(id, 1), name.into())]);
        Change::Join([(GroupId(id), group)].into())
    };
    let too_many: Vec<_> = vec!["s"; 17];
    let cases = [
        (join([]), Refusal::NoGroup),
        (leave([]), Refusal::NoGroup),
        (join([0]), Refusal::GroupZero),
        (join([0, 3]), Refusal::GroupZero),
        (leave([0]), Refusal::GroupZero),
        (move_shard(0, 0), Refusal::GroupZero),
        (set_servers(0, &["a"]), Refusal::GroupZero),
        (rebalance([(0, 1)]), Refusal::GroupZero),
        (join([1]), Refusal::GroupExists { group: GroupId(1), same: true }),
        (join([2, 3]), Refusal::GroupExists { group: GroupId(2), same: false }),
        (named(1, "elsewhere"), Refusal::GroupExists { group: GroupId(1), same: false }),
        (leave([3]), Refusal::UnknownGroup { group: GroupId(3) }),
        (leave([1, 3]), Refusal::UnknownGroup { group: GroupId(3) }),
        (move_shard(0, 3), Refusal::UnknownGroup { group: GroupId(3) }),
        (set_servers(3, &["a"]), Refusal::UnknownGroup { group: GroupId(3) }),
        (rebalance([(1, 1), (3, 1)]), Refusal::UnknownGroup { group: GroupId(3) }),
        (move_shard(10, 1), Refusal::ShardOutOfRange { shard: ShardId(10), shards: 10 }),
        (
            move_shard(u16::MAX, 1),
            Refusal::ShardOutOfRange { shard: ShardId(u16::MAX), shards: 10 },
        ),
        (
            Change::Join([(GroupId(3), Group::new([]))].into()),
            Refusal::NoServers { group: GroupId(3) },
        ),
        (set_servers(1, &[]), Refusal::NoServers { group: GroupId(1) }),
        (weighing(3, 0), Refusal::WeightZero { group: GroupId(3) }),
        (rebalance([(1, 0)]), Refusal::WeightZero { group: GroupId(1) }),
        (named(3, ""), Refusal::AddressEmpty { group: GroupId(3), node: node(3, 1) }),
        (
            named(3, &"x".repeat(256)),
            Refusal::AddressTooLong {
                group: GroupId(3),
                node: node(3, 1),
                bytes: 256,
                bytes_max: 255,
            },
        ),
        (
            set_servers(1, &too_many),
            Refusal::TooManyServers { group: GroupId(1), servers: 17, servers_max: 16 },
        ),
    ];
    for (change, refusal) in cases {
        assert_eq!(refused(&two, &change), refusal, "{change:?}");
        assert!(!refusal.to_string().is_empty());
    }
    // What is just within is done.
    apply(&two, &named(3, &"x".repeat(255)));
    apply(&two, &set_servers(1, &too_many[..16]));
}

#[test]
fn sizes_are_bounded_and_the_bounds_are_reached() {
    let mut limits = Limits::default();
    limits.groups_max = 3;
    let two = apply(&empty(10), &join([1, 2]));
    assert!(join([3]).apply(&two, &limits).is_ok());
    let refusal = join([3, 4]).apply(&two, &limits).expect_err("too many");
    assert_eq!(refusal, Refusal::TooManyGroups { groups: 4, groups_max: 3 });

    let mut limits = Limits::default();
    limits.configuration_bytes_max = 2_000;
    let long = "x".repeat(200);
    let large = |id: u64| {
        let servers = [(NodeId(id), long.as_str().into())];
        Change::Join([(GroupId(id), Group::new(servers))].into())
    };
    let mut now = two;
    let refusal = loop {
        let id = now.groups().len() as u64 + 1;
        match large(id).apply(&now, &limits) {
            Ok(after) => now = after,
            Err(refusal) => break refusal,
        }
    };
    let Refusal::ConfigurationTooLarge { bytes, bytes_max } = refusal else {
        panic!("{refusal:?}");
    };
    assert!(bytes > 2_000 && bytes < 2_300 && bytes_max == 2_000);
    assert!(now.groups().len() > 9, "{}", now.groups().len());
    // To leave, and to become smaller, is always possible.
    assert!(leave([1]).apply(&now, &limits).is_ok());
}

/// MIT's TestMinimalAgain: join three, one leaves.
#[test]
fn only_the_shards_that_must_move_do() {
    let mut now = empty(10);
    for id in 1..=3 {
        now = apply(&now, &join([id]));
    }
    let after = apply(&now, &leave([1]));
    let moved: BTreeSet<_> = after.moves_since(&now).map(|moved| moved.shard).collect();
    assert_eq!(moved, now.shards_of(GroupId(1)).collect());
    assert!(moved.len() <= 10 / 3 + 1);
}

fn change() -> impl Strategy<Value = Change> {
    let id = 0..9_u64;
    let some = || proptest::collection::btree_set(1..9_u64, 0..4);
    let weight = prop_oneof![4 => Just(1_u32), 2 => 0..6_u32, 1 => any::<u32>()];
    prop_oneof![
        4 => some().prop_map(join),
        2 => (id.clone(), weight.clone()).prop_map(|(id, weight)| weighing(id, weight)),
        4 => some().prop_map(leave),
        4 => (0..20_u16, id.clone()).prop_map(|(shard, to)| move_shard(shard, to)),
        2 => (id.clone(), 0..4_usize)
            .prop_map(|(id, count)| set_servers(id, &["a", "b", "c", "d"][..count])),
        2 => proptest::collection::btree_map(id, weight, 0..3).prop_map(rebalance),
    ]
}

/// Whether a change is refused, said another way: by what may be asked for at all.
fn may_be_done(before: &Configuration, change: &Change) -> bool {
    let known = |group: &GroupId| before.group(*group).is_some();
    match change {
        Change::Join(groups) => {
            !groups.is_empty()
                && groups.iter().all(|(id, it)| id.0 != 0 && !known(id) && it.weight != 0)
        }
        Change::Leave(groups) => !groups.is_empty() && groups.iter().all(known),
        Change::Move { shard, to } => before.shard_count().contains(*shard) && known(to),
        Change::SetServers { group, servers } => known(group) && !servers.is_empty(),
        Change::Rebalance { weights } => {
            weights.iter().all(|(group, weight)| known(group) && *weight != 0)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]
    #[test]
    fn random_histories_are_as_the_reference_has_it(
        count in prop_oneof![Just(1_u16), Just(10), Just(16)],
        changes in proptest::collection::vec(change(), 1..40),
    ) {
        let mut now = empty(count);
        let mut twin = empty(count);
        for change in &changes {
            let result = change.apply(&now, &Limits::default());
            prop_assert_eq!(result.is_ok(), may_be_done(&now, change), "{:?}: {:?}", change, result);
            if let Ok(after) = result {
                reference::check_change(&now, change, &after).map_err(TestCaseError::fail)?;
                twin = change.apply(&twin, &Limits::default()).map_err(|e| {
                    TestCaseError::fail(e.to_string())
                })?;
                now = after;
            }
        }
        prop_assert_eq!(now, twin);
    }
}

#[test]
fn a_large_cluster_is_balanced_too() {
    let mut now = empty(16_384);
    now = apply(&now, &Change::Join(groups(1..=1_000)));
    let loads: BTreeSet<_> = load(&now).into_values().collect();
    assert_eq!(loads, BTreeSet::from([16, 17]));
    let after = apply(&now, &join([1_001]));
    assert_eq!(after.moves_since(&now).count(), 16);
    let after = apply(&after, &leave(1..=500));
    let loads: BTreeSet<_> = load(&after).into_values().collect();
    assert_eq!(loads, BTreeSet::from([32, 33]));
}
