//! Who gets which shard: [`rebalance`], a pure function.
//!
//! A group's *quota* is its part of the shards by weight: `shards * weight / sum of weights`, a fraction.
//! An assignment is *balanced* when every shard has an owner among the groups, and every group has its
//! quota rounded down or its quota rounded up. With equal weights that is to say that the groups differ by
//! one shard at the most.
//!
//! Of all balanced assignments, the one that is chosen
//!
//! 1. moves as few shards as any: a group that holds more than its quota rounded down is the first to be
//!    given the quota rounded up;
//! 2. gives what is left to those with the largest fraction in their quota, and of equals to the lowest
//!    group id.
//!
//! A group that must give shards away gives its highest; shards without an owner go, lowest first, to the
//! groups with room, lowest id first. So the outcome depends on the arguments alone.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use raft_core::GroupId;

/// How many shards each group holds.
pub fn held(owners: &[Option<GroupId>]) -> BTreeMap<GroupId, usize> {
    let mut held = BTreeMap::new();
    for group in owners.iter().flatten() {
        *held.entry(*group).or_default() += 1;
    }
    held
}

/// Whether the shards with these owners are balanced over groups of these weights. Without groups, that
/// nobody owns anything.
pub fn is_balanced(owners: &[Option<GroupId>], weights: &BTreeMap<GroupId, u32>) -> bool {
    let held = held(owners);
    let total = total(weights);
    if total == 0 {
        return held.is_empty();
    }
    let all_owned = owners.iter().flatten().filter(|group| weights.contains_key(group)).count();
    all_owned == owners.len()
        && weights.iter().all(|(group, weight)| {
            let quota = Quota::of(owners.len(), *weight, total);
            let shards = held.get(group).copied().unwrap_or_default();
            shards == quota.floor || (shards == quota.floor + 1 && quota.fraction > 0)
        })
}

/// The owners of the shards after they are balanced over groups of these weights. Groups of weight zero
/// get nothing; without others, nobody does.
pub fn rebalance(
    owners: &[Option<GroupId>],
    weights: &BTreeMap<GroupId, u32>,
) -> Vec<Option<GroupId>> {
    let mut room = targets(owners, weights);
    let keeps = |group: &GroupId| match room.get_mut(group) {
        Some(room) if *room > 0 => {
            *room -= 1;
            true
        }
        _ => false,
    };
    let mut keeps = keeps;
    let mut after: Vec<_> = owners.iter().map(|owner| owner.filter(&mut keeps)).collect();
    let mut takers = room.into_iter().flat_map(|(group, room)| std::iter::repeat_n(group, room));
    for owner in after.iter_mut().filter(|owner| owner.is_none()) {
        *owner = takers.next();
    }
    after
}

/// How many shards each group is to have: all of them together, all shards.
fn targets(
    owners: &[Option<GroupId>],
    weights: &BTreeMap<GroupId, u32>,
) -> BTreeMap<GroupId, usize> {
    let (held, total) = (held(owners), total(weights));
    let mut targets = BTreeMap::new();
    if total == 0 {
        return targets;
    }
    let mut left = owners.len();
    let mut candidates = Vec::new();
    for (group, weight) in weights {
        let quota = Quota::of(owners.len(), *weight, total);
        targets.insert(*group, quota.floor);
        left -= quota.floor;
        if quota.fraction > 0 {
            let holds_more = held.get(group).is_some_and(|held| *held > quota.floor);
            candidates.push((Reverse(holds_more), Reverse(quota.fraction), *group));
        }
    }
    candidates.sort_unstable();
    // There are enough: every fraction is less than one, and they add up to what is left.
    for (_, _, group) in candidates.into_iter().take(left) {
        *targets.entry(group).or_default() += 1;
    }
    targets
}

fn total(weights: &BTreeMap<GroupId, u32>) -> u64 {
    weights.values().map(|weight| u64::from(*weight)).sum()
}

/// A group's part of the shards.
struct Quota {
    /// Rounded down.
    floor: usize,
    /// What was cut off, in parts of the sum of all weights.
    fraction: u64,
}

impl Quota {
    fn of(shards: usize, weight: u32, total: u64) -> Self {
        // At most 2^14 shards and weights below 2^32: no overflow.
        let exact = shards as u64 * u64::from(weight);
        Self { floor: (exact / total) as usize, fraction: exact % total }
    }
}
