//! A slow and simple second opinion on configurations, which shares no code with the crate: what a balanced
//! assignment is, how many moves it takes at the least, and what each change may and must do.

use std::collections::BTreeMap;

use raft_core::GroupId;
use shardctrler::{Change, Configuration};

type Owner = Option<GroupId>;
type Weights = BTreeMap<GroupId, u32>;

fn count(owners: &[Owner], group: GroupId) -> usize {
    owners.iter().filter(|owner| **owner == Some(group)).count()
}

/// Every group's count is less than one away from its quota, and nobody else owns anything.
pub fn is_balanced(owners: &[Owner], weights: &Weights) -> bool {
    let total: u128 = weights.values().map(|weight| u128::from(*weight)).sum();
    let owned_by_groups: usize = weights.keys().map(|group| count(owners, *group)).sum();
    if total == 0 {
        return owners.iter().all(Option::is_none);
    }
    owned_by_groups == owners.len()
        && weights.iter().all(|(group, weight)| {
            // |count - shards * weight / total| < 1, without a fraction.
            let count = count(owners, *group) as u128 * total;
            let quota = owners.len() as u128 * u128::from(*weight);
            count.abs_diff(quota) < total
        })
}

pub fn moves(before: &[Owner], after: &[Owner]) -> usize {
    before.iter().zip(after).filter(|(before, after)| before != after).count()
}

/// The fewest shards that must change hands until all is balanced: the most that may stay, over all ways
/// to round the quotas, is found group by group.
pub fn fewest_moves(owners: &[Owner], weights: &Weights) -> usize {
    let total: u128 = weights.values().map(|weight| u128::from(*weight)).sum();
    if total == 0 {
        return owners.iter().flatten().count();
    }
    // By how many shards are given out so far, the most that stay.
    let mut stay = BTreeMap::from([(0, 0)]);
    for (group, weight) in weights {
        let exact = owners.len() as u128 * u128::from(*weight);
        let (down, up) = (exact / total, exact.div_ceil(total));
        let held = count(owners, *group);
        let mut next = BTreeMap::new();
        for (given, most) in &stay {
            for target in [down as usize, up as usize] {
                let best = next.entry(given + target).or_insert(0);
                *best = (*best).max(most + held.min(target));
            }
        }
        stay = next;
    }
    owners.len() - stay[&owners.len()]
}

fn owners(configuration: &Configuration) -> Vec<Owner> {
    configuration.shards().map(|(_, owner)| owner).collect()
}

fn weights(configuration: &Configuration) -> Weights {
    configuration.groups().iter().map(|(group, it)| (*group, it.weight)).collect()
}

/// What must hold of every configuration by itself.
pub fn check(configuration: &Configuration) -> Result<(), String> {
    let (owners, groups) = (owners(configuration), configuration.groups());
    let is_live = |owner: &Owner| match owner {
        Some(group) => groups.contains_key(group),
        None => groups.is_empty(),
    };
    if !owners.iter().all(is_live) {
        return Err(format!("a shard without a live owner: {configuration:?}"));
    }
    if configuration.pinned().is_empty() && !is_balanced(&owners, &weights(configuration)) {
        return Err(format!("not balanced: {configuration:?}"));
    }
    Ok(())
}

/// What must hold of two successive configurations, whatever the change was.
pub fn check_step(before: &Configuration, after: &Configuration) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{what}: {before:?}, then {after:?}"));
    if after.number() != before.number().next() {
        return wrong("the numbers have a gap");
    }
    if (before.cluster(), before.shard_count()) != (after.cluster(), after.shard_count()) {
        return wrong("another cluster");
    }
    check(after)?;
    let (old, new) = (owners(before), owners(after));
    let (pins, weights) = (after.pinned(), weights(after));
    if before.groups().keys().ne(after.groups().keys()) && !pins.is_empty() {
        return wrong("a pin outlived a change of the groups");
    }
    if !pins.is_empty() {
        // A move, or a change of servers: at most one shard, to where it is pinned.
        let moved: Vec<_> = after.moves_since(before).collect();
        let is_one_pin = pins.is_superset(before.pinned())
            && pins.len() <= before.pinned().len() + 1
            && moved.len() <= 1
            && moved.iter().all(|moved| pins.contains(&moved.shard));
        return if is_one_pin { Ok(()) } else { wrong("not the move of one shard") };
    }
    match moves(&old, &new) == fewest_moves(&old, &weights) {
        true => Ok(()),
        false => wrong("more moves than need be"),
    }
}

/// What this very change must have made.
pub fn check_change(
    before: &Configuration,
    change: &Change,
    after: &Configuration,
) -> Result<(), String> {
    check_step(before, after)?;
    let mut groups = before.groups().clone();
    let mut pins = before.pinned().clone();
    match change {
        Change::Join(joined) => groups.extend(joined.clone()),
        Change::Leave(left) => groups.retain(|group, _| !left.contains(group)),
        Change::Move { shard, to } => {
            pins.insert(*shard);
            if after.owner(*shard) != Some(*to) {
                return Err(format!("{change:?} was not done: {after:?}"));
            }
        }
        Change::SetServers { group, servers } => {
            groups.get_mut(group).expect("a group").servers = servers.clone();
            if owners(before) != owners(after) {
                return Err(format!("{change:?} moved shards: {before:?}, then {after:?}"));
            }
        }
        Change::Rebalance { weights } => {
            for (group, weight) in weights {
                groups.get_mut(group).expect("a group").weight = *weight;
            }
        }
    }
    if !matches!(change, Change::Move { .. } | Change::SetServers { .. }) {
        pins.clear();
    }
    match (&groups, &pins) == (after.groups(), after.pinned()) {
        true => Ok(()),
        false => Err(format!("{change:?} of {before:?} made {after:?}")),
    }
}
