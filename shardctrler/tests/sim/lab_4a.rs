//! The scenarios of MIT's lab 4A, with what they only meant to check.
//!
//! In the labs, "minimal transfer" looks at groups that are not there, and one port looks for shards of dead
//! groups only when there are no groups. Here every step of every replica is checked by the
//! [`Judge`](super::judge::Judge), and the scenarios look at the groups that they have.

use std::collections::BTreeSet;

use raft_core::GroupId;
use shardctrler::{Change, Configuration, ShardId};

use super::world::{Client, SECOND, World, seeds};
use crate::common::{join, leave, load, move_shard, reference, servers};

/// These groups have joined, own all shards, and nobody else does; at most one shard more than another.
fn check(world: &mut World, client: &Client, groups: &[u64]) -> Configuration {
    let now = world.newest(client);
    let found: BTreeSet<u64> = now.groups().keys().map(|group| group.0).collect();
    assert_eq!(found, groups.iter().copied().collect());
    let live = |owner: Option<GroupId>| owner.is_some_and(|group| now.group(group).is_some());
    assert!(now.shards().all(|(_, owner)| live(owner) || groups.is_empty()));
    let loads = load(&now);
    let (min, max) = (loads.values().min(), loads.values().max());
    assert!(max.zip(min).is_none_or(|(max, min)| *max <= min + 1), "{loads:?}");
    assert_eq!(loads.values().sum::<usize>(), if groups.is_empty() { 0 } else { 10 });
    now
}

fn named(group: u64, names: &[&str]) -> Change {
    let group_of = |id| shardctrler::Group::new(servers(id, names));
    Change::Join([(GroupId(group), group_of(group))].into())
}

fn all(changes: &[Change]) -> Change {
    let groups = changes.iter().filter_map(|change| match change {
        Change::Join(groups) => Some(groups.clone()),
        _ => None,
    });
    Change::Join(groups.flatten().collect())
}

/// A group keeps all its shards, or as many as it may when others join.
fn check_kept(before: &Configuration, after: &Configuration) {
    for group in before.groups().keys().filter(|group| after.group(**group).is_some()) {
        let had: BTreeSet<ShardId> = before.shards_of(*group).collect();
        let has: BTreeSet<ShardId> = after.shards_of(*group).collect();
        assert!(had.is_subset(&has) || has.is_subset(&had), "{group} gave one and got another");
    }
    let owners = |it: &Configuration| it.shards().map(|(_, owner)| owner).collect::<Vec<_>>();
    let weights = after.groups().keys().map(|group| (*group, 1)).collect();
    let fewest = reference::fewest_moves(&owners(before), &weights);
    assert_eq!(after.moves_since(before).count(), fewest);
}

#[test]
fn basic_4a() {
    seeds(|seed| {
        let mut world = World::lab(seed);
        let client = world.client();
        join_and_leave(&mut world, &client);
        moves(&mut world, &client);
        let groups: Vec<u64> = (0..10).map(|n| n * 10 + 100).collect();
        concurrent(&mut world, &groups, |group| {
            vec![named(group + 1_000, &["a"]), named(group, &["b"]), leave([group + 1_000])]
        });
        check(&mut world, &client, &groups);
        minimal_one_by_one(&mut world, &client, &groups);
    });
}

fn join_and_leave(world: &mut World, client: &Client) {
    let mut seen = vec![check(world, client, &[])];
    world.change(client, named(1, &["x", "y", "z"]));
    seen.push(check(world, client, &[1]));
    world.change(client, named(2, &["a", "b", "c"]));
    seen.push(check(world, client, &[1, 2]));
    for (group, names) in [(1, ["x", "y", "z"]), (2, ["a", "b", "c"])] {
        let found = seen[2].group(GroupId(group)).expect("joined");
        assert_eq!(found.servers, servers(group, &names));
    }
    world.change(client, leave([1]));
    seen.push(check(world, client, &[2]));
    world.change(client, leave([2]));
    seen.push(check(world, client, &[]));

    // Historical queries, with each server down in turn.
    for at in 0..world.cluster.len() {
        world.cluster.kill(at);
        for was in &seen {
            assert_eq!(&world.query(client, was.number()), was);
        }
        world.cluster.restart(at);
    }
}

fn moves(world: &mut World, client: &Client) {
    world.change(client, named(503, &["a", "b", "c"]));
    world.change(client, named(504, &["a", "b", "c"]));
    for shard in 0..10 {
        let before = world.newest(client);
        let to = if shard < 5 { 503 } else { 504 };
        let number = world.change(client, move_shard(shard, to));
        assert_eq!(number, before.number().next());
    }
    let after = world.newest(client);
    for (shard, owner) in after.shards() {
        assert_eq!(owner, Some(GroupId(if shard.0 < 5 { 503 } else { 504 })));
    }
    // All to one group, which no balance allows: it holds until the next leave.
    for shard in 0..10 {
        world.change(client, move_shard(shard, 503));
    }
    assert_eq!(load(&world.newest(client)), [(503, 10), (504, 0)].into());
    world.change(client, leave([503]));
    check(world, client, &[504]);
    world.change(client, leave([504]));
    check(world, client, &[]);
}

/// One client for each group does these changes, all clients at the same time.
fn concurrent(world: &mut World, groups: &[u64], changes: impl Fn(u64) -> Vec<Change>) {
    let mut jobs = Vec::new();
    for group in groups {
        let (client, changes) = (world.client(), changes(*group));
        jobs.push(world.begin(&client, |clerk| async move {
            for change in changes {
                clerk.change(&change).await.expect("changed");
            }
        }));
    }
    jobs.iter().for_each(|job| world.finish(job));
}

fn minimal_one_by_one(world: &mut World, client: &Client, groups: &[u64]) {
    let mut before = check(world, client, groups);
    let more: Vec<u64> = (0..5).map(|n| groups.len() as u64 + 1 + n).collect();
    let mut there = groups.to_vec();
    for group in &more {
        world.change(client, named(*group, &["a", "b", "c"]));
        there.push(*group);
        let after = check(world, client, &there);
        check_kept(&before, &after);
        before = after;
    }
    for group in &more {
        world.change(client, leave([*group]));
        there.retain(|there| there != group);
        let after = check(world, client, &there);
        check_kept(&before, &after);
        before = after;
    }
    // And where they matter: all leave, but two, and come back.
    let (stay, go) = groups.split_at(2);
    for group in go {
        world.change(client, leave([*group]));
    }
    before = check(world, client, stay);
    for group in go {
        world.change(client, join([*group]));
        let after = world.newest(client);
        check_kept(&before, &after);
        before = after;
    }
    check(world, client, groups);
}

#[test]
fn multi_4a() {
    seeds(|seed| {
        let mut world = World::lab(seed);
        let client = world.client();
        let mut seen = vec![check(&mut world, &client, &[])];
        world.change(&client, all(&[named(1, &["x", "y", "z"]), named(2, &["a", "b", "c"])]));
        seen.push(check(&mut world, &client, &[1, 2]));
        world.change(&client, named(3, &["j", "k", "l"]));
        seen.push(check(&mut world, &client, &[1, 2, 3]));
        for (group, names) in [(1, ["x", "y", "z"]), (2, ["a", "b", "c"]), (3, ["j", "k", "l"])] {
            let found = seen[2].group(GroupId(group)).expect("joined");
            assert_eq!(found.servers, servers(group, &names));
        }
        world.change(&client, leave([1, 3]));
        seen.push(check(&mut world, &client, &[2]));
        world.change(&client, leave([2]));
        seen.push(check(&mut world, &client, &[]));
        for was in &seen {
            assert_eq!(&world.query(&client, was.number()), was);
        }

        let groups: Vec<u64> = (1_000..1_010).collect();
        concurrent(&mut world, &groups, |group| {
            let three = [
                named(group, &["a", "b", "c"]),
                named(group + 1_000, &["a"]),
                named(group + 2_000, &["a"]),
            ];
            vec![all(&three), leave([group + 1_000, group + 2_000])]
        });
        let before = check(&mut world, &client, &groups);
        let more: Vec<u64> = (11..16).collect();
        world.change(&client, join(more.clone()));
        let with: Vec<u64> = groups.iter().chain(&more).copied().collect();
        let after = check(&mut world, &client, &with);
        check_kept(&before, &after);
        world.change(&client, leave(more));
        let last = check(&mut world, &client, &groups);
        check_kept(&after, &last);
        the_same_without_the_leader(&mut world, &client, &last);
    });
}

fn the_same_without_the_leader(world: &mut World, client: &Client, before: &Configuration) {
    let leader = world.await_leader();
    world.cluster.kill(leader);
    let elected = world
        .cluster
        .run_until(10 * SECOND, |cluster| cluster.leader().is_some_and(|other| other != leader));
    assert!(elected.reached());
    assert_eq!(&world.newest(client), before);
    assert_eq!(&world.query(client, before.number()), before);
}

#[test]
fn minimal_again_4a() {
    seeds(|seed| {
        let mut world = World::lab(seed);
        let client = world.client();
        for group in 1..=3 {
            world.change(&client, named(group, &["a", "b", "c"]));
        }
        let before = check(&mut world, &client, &[1, 2, 3]);
        world.change(&client, leave([1]));
        let after = check(&mut world, &client, &[2, 3]);
        let moved: BTreeSet<_> = after.moves_since(&before).map(|moved| moved.shard).collect();
        assert_eq!(moved, before.shards_of(GroupId(1)).collect());
        assert!(moved.len() <= 10 / 3 + 1);
        check_kept(&before, &after);
        world.change(&client, named(1, &["a", "b", "c"]));
        let back = check(&mut world, &client, &[1, 2, 3]);
        check_kept(&after, &back);
        assert!(back.moves_since(&after).count() <= 10 / 3 + 1);
    });
}
