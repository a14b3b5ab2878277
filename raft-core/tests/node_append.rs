//! `Group::append`: the entry is known as soon as the leader has it, its outcome later.
#![cfg(feature = "node")]

mod node_support;

use std::time::Duration;

use bytes::Bytes;
use node_support::*;
use raft_core::node::{Appended, GroupConfig, ProposalError};
use raft_core::*;
use tokio::time::Instant;

/// With a disk that hangs and followers that hear nothing: no commit is waited for, and no time passes.
#[tokio::test(start_paused = true)]
async fn the_entry_is_known_before_anything_of_it_is_durable_or_sent() {
    let cluster = Cluster::new(3).await;
    let leader = cluster.leader().await;
    let group = cluster.group(leader);
    let before = group.status();
    cluster.net.filter(|envelope| !matches!(envelope.message, Message::AppendEntries(_)));
    cluster.disks[leader].stall(true);
    let asked = Instant::now();
    let appended = within(5, group.append(bytes("x"))).await.unwrap();
    assert_eq!(asked.elapsed(), Duration::ZERO);
    assert_eq!(appended.id(), LogId::new(before.term, before.last.index.next()));
    assert_eq!((group.status().commit, group.status().proposals), (before.commit, 1));
    cluster.net.filter(|_| true);
    cluster.disks[leader].stall(false);
    let id = appended.id();
    let applied = within(5, appended.applied()).await.unwrap();
    assert_eq!((applied.id, applied.output), (id, 1));
}

#[tokio::test(start_paused = true)]
async fn commands_stand_in_the_order_in_which_they_were_queued() {
    let cluster = Cluster::new(3).await;
    let leader = cluster.leader().await;
    let group = cluster.group(leader);
    let first = group.status().last.index.next();
    let queued: Vec<_> = (0..100).map(|count| group.append(bytes(count))).collect();
    // Among them: whoever waits for the output alone is in the same queue.
    let proposed = group.propose(bytes(100));
    let mut appended = Vec::new();
    for append in queued {
        appended.push(within(5, append).await.unwrap());
    }
    for (count, appended) in appended.into_iter().enumerate() {
        assert_eq!(appended.id().index.0, first.0 + count as u64);
        assert_eq!(within(5, appended.applied()).await.unwrap().output, count + 1);
    }
    assert_eq!(within(5, proposed).await.unwrap().id.index.0, first.0 + 100);
    assert_eq!(cluster.converged().await, (0..=100).map(bytes).collect::<Vec<_>>());
}

/// The entry that an append became.
async fn entry(
    append: impl Future<Output = Result<Appended<usize>, ProposalError>>,
) -> Result<LogId, ProposalError> {
    within(5, append).await.map(|appended| appended.id())
}

#[tokio::test(start_paused = true)]
async fn what_is_not_appended_is_refused_at_once() {
    let tune = |config: &mut GroupConfig| {
        config.raft.command_bytes_max = 100;
        config.inbox_bytes_max = 100;
    };
    let cluster = Cluster::tuned(3, |_| {}, tune).await;
    let leader = cluster.leader().await;
    let (group, follower) = (cluster.group(leader), cluster.group((leader + 1) % 3));
    assert_eq!(
        entry(follower.append(bytes("x"))).await,
        Err(ProposalError::Rejected(ProposeError::NotLeader { leader: Some(id(leader)) }))
    );
    let too_large = ProposeError::TooLarge { bytes: 101, bytes_max: 100 };
    assert_eq!(
        entry(group.append(Bytes::from(vec![0; 101]))).await,
        Err(ProposalError::Rejected(too_large))
    );
    let (first, second) = (group.append(bytes("x")), group.append(bytes("y")));
    let full = ProposeError::Overloaded { in_flight_bytes: 2 * (64 + 1), in_flight_bytes_max: 100 };
    assert_eq!(entry(second).await, Err(ProposalError::Rejected(full)));
    assert!(entry(first).await.is_ok());
    // A loop looks first whether it has to stop: it does not take this one any more.
    let shutdown = cluster.node(leader).shutdown();
    let late = group.append(bytes("z"));
    within(5, shutdown).await;
    assert_eq!(entry(late).await, Err(ProposalError::Stopped));
    assert_eq!(entry(group.append(bytes("z"))).await, Err(ProposalError::Stopped));
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_is_overwritten_is_unknown_and_its_successor_is_not_taken_for_it() {
    let cluster = Cluster::new(3).await;
    let old = cluster.leader().await;
    cluster.net.cut(id(old));
    let lost = within(5, cluster.group(old).append(bytes("lost"))).await.unwrap();
    let at = lost.id();
    within(30, async {
        while !cluster
            .running()
            .any(|(position, group)| position != old && group.status().role == Role::Leader)
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let next = cluster
        .running()
        .find(|(position, group)| *position != old && group.status().role == Role::Leader);
    let kept = within(5, next.unwrap().1.append(bytes("kept"))).await.unwrap();
    within(5, kept.applied()).await.unwrap();
    cluster.net.heal();
    assert_eq!(cluster.converged().await, [bytes("kept")]);
    let fate = within(5, lost.applied()).await;
    assert!(matches!(fate, Err(ProposalError::Unknown { .. })), "{fate:?}");
    assert!(cluster.group(old).status().last > at);
}

#[tokio::test(start_paused = true)]
async fn nobody_has_to_wait_for_the_outcome_nor_for_the_entry() {
    let cluster = Cluster::new(1).await;
    cluster.leader().await;
    let group = cluster.group(0);
    drop(group.append(bytes("not even polled")));
    drop(within(5, group.append(bytes("appended"))).await.unwrap());
    let last = within(5, group.append(bytes("last"))).await.unwrap();
    assert_eq!(within(5, last.applied()).await.unwrap().output, 3);
    assert_eq!(group.status().proposals, 0);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_ends_leaves_the_outcome_unknown() {
    let mut cluster = Cluster::new(3).await;
    let leader = cluster.leader().await;
    let group = cluster.group(leader).clone();
    cluster.net.cut(id(leader));
    let appended = within(5, group.append(bytes("x"))).await.unwrap();
    cluster.crash(leader);
    let fate = within(5, appended.applied()).await;
    assert!(matches!(fate, Err(ProposalError::Unknown { .. })), "{fate:?}");
}
