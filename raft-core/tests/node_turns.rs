//! How snapshots share a node: one at a time, at a pace, and not on all nodes at the same moment.
#![cfg(feature = "node")]

mod node_support;

use std::collections::BTreeSet;
use std::time::Duration;

use node_support::*;
use raft_core::node::{Group, GroupConfig};
use raft_core::*;
use tokio::time::Instant;

const PIECE_TIME: Duration = Duration::from_millis(10);

fn by_hand(config: &mut GroupConfig) {
    config.snapshot_bytes = None;
    config.snapshot_piece_bytes = 100;
}

fn often(config: &mut GroupConfig) {
    config.snapshot_bytes = Some(10_000);
    config.raft.trailing_bytes_max = 0;
    config.snapshot_piece_bytes = 100;
}

async fn propose(group: &Group<History>, count: usize) {
    for command in 0..count {
        within(10, group.propose(bytes(command))).await.unwrap();
    }
}

/// More groups beside the first one on node 1, which each lead themselves.
async fn more_groups(cluster: &Cluster, count: u64) -> Vec<Group<History>> {
    let mut groups = Vec::new();
    for number in 2..2 + count {
        let config = cluster.group_config(0, GroupId(number));
        let group = cluster.node(0).add_group(config, History::default()).await.unwrap();
        while group.status().role != Role::Leader {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        groups.push(group);
    }
    groups
}

#[tokio::test(start_paused = true)]
async fn a_node_takes_one_snapshot_at_a_time_and_every_group_has_its_turn() {
    let cluster = Cluster::tuned(1, |_| {}, often).await;
    cluster.leader().await;
    let groups = more_groups(&cluster, 4).await;
    cluster.disks[0].set_snapshot_delay(PIECE_TIME);
    // All of them are due again before the last one has had its turn.
    for _ in 0..30 {
        for group in &groups {
            propose(group, 30).await;
        }
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(cluster.disks[0].most_snapshots(), 1);
    for group in &groups {
        let status = group.status();
        let snapshot = status.snapshot.expect("one");
        assert!(snapshot.index.0 > 700, "{status:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_ends_gives_its_turn_to_the_next() {
    let mut cluster = Cluster::tuned(2, |_| {}, by_hand).await;
    let leader = cluster.leader().await;
    let (other, away) = (1 - leader, cluster.disks[leader].clone());
    let mut config = cluster.group_config(leader, GroupId(9));
    config.initial = Membership::of_voters([id(leader)]);
    let second = cluster.node(leader).add_group(config, History::default()).await.unwrap();
    while second.status().role != Role::Leader {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    propose(cluster.group(leader), 100).await;
    propose(&second, 10).await;
    away.set_snapshot_delay(Duration::from_secs(60));
    let first = cluster.group(leader).clone();
    let begun = tokio::spawn(async move { first.snapshot().await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    away.set_snapshot_delay(PIECE_TIME);
    let target = Target::of_voters([id(other)]);
    within(30, cluster.group(leader).change_membership(target, None, Duration::from_secs(20)))
        .await
        .unwrap();
    within(10, second.snapshot()).await.expect("its turn");
    assert!(begun.await.unwrap().is_err(), "its group has ended");
    cluster.crash(leader);
}

/// The pieces of the next snapshot that is begun by itself, and how long each took; `meanwhile` so many bytes
/// are proposed.
async fn next_snapshot(cluster: &Cluster, meanwhile: usize) -> (u32, Duration) {
    let (disk, before) = (&cluster.disks[0], cluster.disks[0].snapshots_written().len());
    while disk.open_snapshots() == 0 {
        propose(cluster.group(0), 1).await;
    }
    within(10, cluster.group(0).propose(bytes("x".repeat(meanwhile)))).await.unwrap();
    while disk.snapshots_written().len() == before {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (pieces, took) = disk.snapshots_written()[before];
    assert!(pieces >= 3, "{pieces} pieces");
    (pieces, took / pieces)
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_leaves_the_disk_to_others() {
    let cluster = Cluster::tuned(1, |_| {}, often).await;
    cluster.leader().await;
    cluster.disks[0].set_snapshot_delay(PIECE_TIME);
    let (pieces, each) = next_snapshot(&cluster, 1).await;
    assert_eq!(each.as_millis(), 4 * PIECE_TIME.as_millis(), "{pieces} pieces");
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_not_held_up_when_the_log_has_grown_meanwhile_or_somebody_asks() {
    let cluster = Cluster::tuned(1, |_| {}, often).await;
    cluster.leader().await;
    cluster.disks[0].set_snapshot_delay(PIECE_TIME);
    let (pieces, each) = next_snapshot(&cluster, 20_000).await;
    assert!(each < 2 * PIECE_TIME, "{pieces} pieces of {each:?}: the log is late");
    // The large entry is due at once; whatever is under way is waited for.
    propose(cluster.group(0), 10).await;
    let begun = Instant::now();
    within(60, cluster.group(0).snapshot()).await.unwrap();
    let (pieces, _) = cluster.disks[0].snapshots_written().pop().unwrap();
    let took = begun.elapsed();
    assert!(took < 3 * pieces * PIECE_TIME, "{took:?} for {pieces} pieces: somebody asked");
}

/// The replicas of a group apply the same entries; they are not busy with their snapshots at the same time.
#[tokio::test(start_paused = true)]
async fn the_replicas_of_a_group_take_their_snapshots_at_different_entries() {
    let cluster = Cluster::tuned(3, |_| {}, often).await;
    let leader = cluster.leader().await;
    let mut taken = vec![BTreeSet::new(); 3];
    for _ in 0..1000 {
        propose(cluster.group(leader), 1).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        for (position, group) in cluster.running() {
            taken[position].extend(group.status().snapshot.map(|last| last.index));
        }
    }
    let gaps = |one: &BTreeSet<LogIndex>, other: &BTreeSet<LogIndex>| {
        one.iter().flat_map(|a| other.iter().map(|b| a.0.abs_diff(b.0))).min()
    };
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        let gap = gaps(&taken[one], &taken[other]).expect("both have some");
        assert!(taken[one].len() >= 3 && gap >= 10, "{taken:?}");
    }
}
