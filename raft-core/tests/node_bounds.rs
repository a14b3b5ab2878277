//! Many groups share the disk and the network; every queue has a bound, and it is reached here.
#![cfg(feature = "node")]

mod node_support;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use node_support::*;
use raft_core::node::{Group, GroupConfig, ProposalError, QueryError};
use raft_core::*;

const GROUPS: u64 = 50;

/// Fifty more groups on each of three nodes, all led by the first.
async fn many() -> (Cluster, Vec<Vec<Group<History>>>) {
    let cluster = Cluster::new(3).await;
    let mut groups = Vec::new();
    for position in 0..3 {
        let mut here = Vec::new();
        for group in 0..GROUPS {
            let config = cluster.group_config(position, GroupId(100 + group));
            here.push(cluster.node(position).add_group(config, History::default()).await.unwrap());
        }
        groups.push(here);
    }
    groups[0].iter().for_each(Group::campaign);
    within(20, async {
        while groups[0].iter().any(|group| group.status().role != Role::Leader) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    (cluster, groups)
}

#[tokio::test(start_paused = true)]
async fn one_write_and_one_send_carry_many_groups() {
    let (cluster, groups) = many().await;
    tokio::time::sleep(Duration::from_millis(510)).await;
    let (calls, sends) = (cluster.disks[0].calls().len(), cluster.net.sends().len());
    let proposals: Vec<_> = groups[0].iter().map(|group| group.propose(bytes("x"))).collect();
    for proposal in proposals {
        assert_eq!(within(5, proposal).await.unwrap().output, 1);
    }
    let calls = &cluster.disks[0].calls()[calls..];
    let sends = &cluster.net.sends()[sends..];
    let all: BTreeSet<_> = (100..100 + GROUPS).map(GroupId).collect();
    assert_eq!(calls.first(), Some(&all), "one write for all groups");
    assert_eq!(sends.first(), Some(&all), "one send for all groups");
    assert!(sends.len() <= 6, "{} sends", sends.len());
    assert_eq!(cluster.node(0).status().groups, GROUPS as usize + 1);
    for group in 0..GROUPS as usize {
        within(5, async {
            while groups.iter().any(|node| node[group].peek(|_, state| state.commands.len()) != 1) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_inbox_is_overloaded_and_recovers() {
    let tune = |config: &mut GroupConfig| config.inbox_bytes_max = 10 * (64 + 100);
    let cluster = Cluster::tuned(1, |_| {}, tune).await;
    cluster.leader().await;
    let group = cluster.group(0);
    let command = || Bytes::from(vec![0; 100]);
    // The loop does not run before this task waits: eleven at once are one too many.
    let proposals: Vec<_> = (0..11).map(|_| group.propose(command())).collect();
    assert_eq!(group.status().inbox_bytes, 10 * 164);
    for (count, proposal) in proposals.into_iter().enumerate() {
        let fate = within(5, proposal).await;
        if count < 10 {
            assert!(fate.is_ok());
        } else {
            let overloaded = ProposeError::Overloaded {
                in_flight_bytes: 11 * 164,
                in_flight_bytes_max: 10 * 164,
            };
            assert_eq!(fate, Err(ProposalError::Rejected(overloaded)));
        }
    }
    // A single one may be larger than the bound.
    assert!(within(5, group.propose(Bytes::from(vec![0; 10_000]))).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn reads_are_bounded_in_the_inbox_and_while_they_wait() {
    let tune = |config: &mut GroupConfig| config.raft.reads_max = 10;
    let cluster = Cluster::tuned(3, |_| {}, tune).await;
    let leader = cluster.leader().await;
    cluster.net.cut(id(leader));
    let group = cluster.group(leader);
    let refused = Err(QueryError::Refused(ReadError::Overloaded { reads_max: 10 }));
    let waiting: Vec<_> = (0..10).map(|_| group.read(|_| ())).collect();
    assert_eq!(group.read(|_| ()).await, refused, "the inbox");
    tokio::time::sleep(Duration::from_millis(1)).await;
    let late: Vec<_> = (0..10).map(|_| group.read(|_| ())).collect();
    for read in late {
        assert_eq!(within(1, read).await, refused, "those that wait");
    }
    for read in waiting {
        let fate = within(10, read).await;
        assert!(matches!(fate, Err(QueryError::LeadershipLost { .. })), "{fate:?}");
    }
}

/// While a leader's disk hangs, its writer's queue and its pending proposals grow to the core's limit and
/// no further.
#[tokio::test(start_paused = true)]
async fn the_writers_queue_is_bounded_on_a_leader() {
    const LIMIT: u64 = 100_000;
    let tune = |config: &mut GroupConfig| {
        config.raft.command_bytes_max = 10_000;
        config.raft.in_flight_bytes_max = LIMIT;
    };
    let cluster = Cluster::tuned(1, |_| {}, tune).await;
    cluster.leader().await;
    cluster.disks[0].stall(true);
    let group = cluster.group(0);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let proposal = group.propose(Bytes::from(vec![0; 1000]));
        tasks.spawn(proposal);
        tokio::task::yield_now().await;
    }
    let held = cluster.node(0).status().write_bytes;
    assert!((LIMIT - 1100..=LIMIT).contains(&held), "{held} bytes");
    cluster.disks[0].stall(false);
    let fates = within(5, tasks.join_all()).await;
    let count =
        |test: fn(&Result<_, ProposalError>) -> bool| fates.iter().filter(|f| test(f)).count();
    assert_eq!(count(|fate| fate.is_ok()), LIMIT as usize / 1064);
    assert!(fates.iter().all(|fate| matches!(
        fate,
        Ok(_) | Err(ProposalError::Rejected(ProposeError::Overloaded { .. }))
    )));
}

/// While a follower's disk hangs, its queue grows to the leader's window and no further.
#[tokio::test(start_paused = true)]
async fn the_writers_queue_is_bounded_on_a_follower() {
    const WINDOW: u64 = 50_000;
    let tune = |config: &mut GroupConfig| {
        config.raft.window_bytes_max = WINDOW;
        config.raft.append_bytes_max = 5_000;
    };
    let cluster = Cluster::tuned(3, |_| {}, tune).await;
    let leader = cluster.leader().await;
    let follower = (leader + 1) % 3;
    cluster.disks[follower].stall(true);
    for _ in 0..300 {
        within(5, cluster.group(leader).propose(Bytes::from(vec![0; 1000]))).await.unwrap();
        let held = cluster.node(follower).status().write_bytes;
        assert!(held <= WINDOW + 5_000, "{held} bytes");
    }
    assert!(cluster.node(follower).status().write_bytes >= WINDOW, "the bound was reached");
    cluster.disks[follower].stall(false);
    assert_eq!(cluster.converged().await.len(), 300);
}

/// More is committed than the applier may be given at once: it calls for the rest itself, and does not wait
/// for a tick.
#[tokio::test(start_paused = true)]
async fn the_appliers_queue_is_bounded_and_refilled_at_once() {
    let tune = |config: &mut GroupConfig| config.raft.applying_bytes_max = 1000;
    let cluster = Cluster::tuned(1, |_| {}, tune).await;
    cluster.leader().await;
    let group = cluster.group(0);
    let began = tokio::time::Instant::now();
    let proposals: Vec<_> = (0..2000).map(|count| group.propose(bytes(count))).collect();
    for proposal in proposals {
        within(5, proposal).await.unwrap();
    }
    let largest = group.peek(|_, state| *state.batches.iter().max().unwrap());
    // The core hands out another batch while less than the limit is out: at most twice the limit.
    assert!(largest <= 2 * 1000 / 64, "{largest} commands of more than 64 bytes");
    assert!(began.elapsed() < Duration::from_millis(50), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn messages_for_nobody_here_are_counted() {
    let cluster = Cluster::new(3).await;
    let leader = cluster.leader().await;
    let before = cluster.node(leader).status().dropped;
    let stranger = cluster.net.port(NodeId(9));
    let message = |group: u64, to: NodeId| Envelope {
        group: GroupId(group),
        from: NodeId(9),
        to,
        term: Term(1),
        message: Message::RequestVoteReply(RequestVoteReply { granted: true }),
    };
    let mut messages = vec![message(77, id(leader)), message(1, id(leader))];
    stranger.send(&mut messages);
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(cluster.node(leader).status().dropped, before + 1);
}
