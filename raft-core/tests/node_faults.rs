//! Failures: of the disk, the transport and the state machine; and the end of a node.
#![cfg(feature = "node")]

mod node_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use node_support::*;
use raft_core::node::{ProposalError, QueryError, SnapshotError, StartError, StopReason};
use raft_core::*;

fn alive() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

#[tokio::test(start_paused = true)]
async fn a_failed_write_stops_the_node_says_why_and_answers_everybody() {
    let cluster = Cluster::new(1).await;
    cluster.leader().await;
    let group = cluster.group(0);
    within(5, group.propose(bytes("kept"))).await.unwrap();
    cluster.disks[0].fail_writes();
    let proposals: Vec<_> = (0..10).map(|count| group.propose(bytes(count))).collect();
    let reason = within(5, cluster.node(0).stopped()).await;
    assert!(matches!(&reason, StopReason::Storage(why) if why.contains("injected")), "{reason:?}");
    for proposal in proposals {
        let fate = within(5, proposal).await;
        assert!(matches!(fate, Err(ProposalError::Unknown { .. })), "{fate:?}");
    }
    let calls = cluster.disks[0].calls().len();
    assert_eq!(within(5, group.propose(bytes("late"))).await, Err(ProposalError::Stopped));
    assert_eq!(within(5, group.read(|_| ())).await, Err(QueryError::Stopped));
    assert_eq!(within(5, group.snapshot()).await, Err(SnapshotError::Stopped));
    let config = cluster.group_config(0, GroupId(2));
    let started = within(5, cluster.node(0).add_group(config, History::default())).await;
    assert!(matches!(started, Err(StartError::Stopped)));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(cluster.disks[0].calls().len(), calls, "never called again");
    assert_eq!(alive(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_transport_stops_the_node() {
    let cluster = Cluster::new(3).await;
    let leader = cluster.leader().await;
    cluster.net.close(id(leader));
    assert_eq!(within(5, cluster.node(leader).stopped()).await, StopReason::Transport);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_state_machine_stops_its_node_and_no_other() {
    let mut cluster = Cluster::new(3).await;
    let leader = cluster.leader().await;
    cluster.crash(leader);
    let armed = Arc::new(AtomicBool::new(false));
    let trigger = armed.clone();
    cluster.machine.on_apply =
        Some(Arc::new(move || assert!(!trigger.load(Ordering::SeqCst), "a bug in apply")));
    cluster.start(leader).await;
    let broken = leader;
    let leader = cluster.leader().await;
    within(5, cluster.group(leader).propose(bytes("fine"))).await.unwrap();
    cluster.converged().await;
    armed.store(true, Ordering::SeqCst);
    let proposal = within(5, cluster.group(leader).propose(bytes("boom"))).await;
    assert_eq!(proposal.is_ok(), broken != leader);
    let reason = within(5, cluster.node(broken).stopped()).await;
    assert!(matches!(reason, StopReason::Panicked(_)), "{reason:?}");
    armed.store(false, Ordering::SeqCst);
    cluster.crash(broken);
    let leader = cluster.leader().await;
    within(5, cluster.group(leader).propose(bytes("after"))).await.unwrap();
}

/// A leader whose disk hangs makes way, although its heartbeats leave in time; the others go on.
#[tokio::test(start_paused = true)]
async fn a_leader_with_a_hanging_disk_steps_down_and_answers() {
    let cluster = Cluster::new(3).await;
    let leader = cluster.leader().await;
    cluster.disks[leader].stall(true);
    let proposal = cluster.group(leader).propose(bytes("x"));
    let term = cluster.group(leader).status().term;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_ne!(cluster.group(leader).status().role, Role::Leader);
    let next = cluster.leader().await;
    assert!(next != leader && cluster.group(next).status().term > term);
    within(5, cluster.group(next).propose(bytes("y"))).await.unwrap();
    // The others had the entry durably, so it was committed, and the old leader sees that.
    let fate = within(5, proposal).await;
    assert!(!matches!(fate, Err(ProposalError::Rejected(_) | ProposalError::Stopped)), "{fate:?}");
    cluster.disks[leader].stall(false);
    assert_eq!(cluster.converged().await, [bytes("x"), bytes("y")]);
}

/// A slow disk is no reason for anything: everything takes its time, in large batches.
#[tokio::test(start_paused = true)]
async fn a_slow_disk_makes_large_batches() {
    let cluster = Cluster::new(3).await;
    let leader = cluster.leader().await;
    cluster.disks.iter().for_each(|disk| disk.set_delay(Duration::from_millis(100)));
    let before = cluster.disks[leader].calls().len();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..50 {
        let group = cluster.group(leader).clone();
        tasks.spawn(async move {
            for count in 0..10 {
                group.propose(bytes(format!("{writer}.{count}"))).await.unwrap();
            }
        });
    }
    within(10, tasks.join_all()).await;
    let calls = cluster.disks[leader].calls().len() - before;
    assert!(calls <= 25, "{calls} writes for 500 proposals of 50 writers");
    assert_eq!(cluster.leader().await, leader, "and nobody else came");
}

/// The applier gives way between batches: while it works off a long backlog, the loop goes on turning and
/// readers look at the state in between.
#[tokio::test(start_paused = true)]
async fn a_long_backlog_of_the_applier_delays_nobody() {
    let mut cluster = Cluster::new(1).await;
    cluster.crash(0);
    let (applies, turns) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = applies.clone();
    cluster.machine.on_apply = Some(Arc::new(move || {
        seen.fetch_add(1, Ordering::SeqCst);
    }));
    cluster.start(0).await;
    cluster.leader().await;
    let group = cluster.group(0).clone();
    let proposals: Vec<_> = (0..20_000).map(|count| group.propose(bytes(count))).collect();
    // Ticks 50 ms apart would show nothing in paused time: a neighbour on the thread counts its turns.
    let (neighbour, applied) = (turns.clone(), applies.clone());
    let beside = tokio::spawn(async move {
        while applied.load(Ordering::SeqCst) < 70 {
            neighbour.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
        }
    });
    for proposal in proposals {
        within(5, proposal).await.unwrap();
    }
    within(5, beside).await.unwrap();
    let largest = group.peek(|_, state| *state.batches.iter().max().unwrap());
    assert!(largest <= 256, "{largest} commands at once");
    let turns = turns.load(Ordering::SeqCst);
    assert!(turns >= 60, "one turn of others for each batch, not {turns}");
}

#[tokio::test(start_paused = true)]
async fn shutdown_answers_everybody_and_leaves_no_task() {
    let cluster = Cluster::new(3).await;
    let leader = cluster.leader().await;
    cluster.net.cut(id(leader));
    cluster.disks[leader].stall(true);
    let group = cluster.group(leader);
    let appended: Vec<_> = (0..500).map(|count| group.propose(bytes(count))).collect();
    let read = group.read(|_| ());
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    let before = group.status().proposals;
    assert_eq!(before, 500);
    let fresh: Vec<_> = (0..500).map(|count| group.propose(bytes(count))).collect();
    within(1, cluster.node(leader).shutdown()).await;
    for proposal in appended {
        let fate = within(1, proposal).await;
        assert!(matches!(fate, Err(ProposalError::Unknown { .. })), "{fate:?}");
    }
    for proposal in fresh {
        assert_eq!(within(1, proposal).await, Err(ProposalError::Stopped));
    }
    let read = within(1, read).await;
    assert_eq!(read, Err(QueryError::Stopped));
    for position in 0..3 {
        let node = cluster.node(position);
        within(1, async { tokio::join!(node.shutdown(), node.shutdown()) }).await;
        assert_eq!(within(1, node.stopped()).await, StopReason::Shutdown);
    }
    assert_eq!(alive(), 0);
}

/// Dropping a node is a crash: nothing of it runs, sends or writes afterwards; whoever waits is told.
#[tokio::test(start_paused = true)]
async fn a_dropped_node_does_nothing_more() {
    let mut cluster = Cluster::new(3).await;
    let leader = cluster.leader().await;
    let group = cluster.group(leader).clone();
    cluster.net.cut(id(leader));
    let proposal = group.propose(bytes("x"));
    tokio::task::yield_now().await;
    let (sends, calls) = (cluster.net.sends().len(), cluster.disks[leader].calls().len());
    for position in 0..3 {
        cluster.nodes[position] = None;
    }
    let fate = within(1, proposal).await;
    assert!(matches!(fate, Err(ProposalError::Unknown { .. })), "{fate:?}");
    assert_eq!(within(1, group.propose(bytes("y"))).await, Err(ProposalError::Stopped));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(cluster.net.sends().len(), sends);
    assert_eq!(cluster.disks[leader].calls().len(), calls);
    assert_eq!(alive(), 0);
}

/// Not even what was committed before: the applier is not polled once more.
#[tokio::test(start_paused = true)]
async fn a_dropped_node_applies_nothing_more() {
    let mut cluster = Cluster::new(1).await;
    cluster.leader().await;
    let group = cluster.group(0).clone();
    let proposals: Vec<_> = (0..20_000).map(|count| group.propose(bytes(count))).collect();
    let applied = || group.peek(|_, state| state.commands.len());
    while applied() == 0 {
        tokio::task::yield_now().await;
    }
    let before = applied();
    cluster.nodes[0] = None;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(applied(), before);
    assert!(before < 20_000, "the backlog was long enough");
    for proposal in proposals {
        assert!(matches!(within(1, proposal).await, Ok(_) | Err(ProposalError::Unknown { .. })));
    }
}

/// A node that was paused for long gets one tick, not hundreds: it begins no election when the leader's
/// messages are there.
#[tokio::test(start_paused = true)]
async fn a_pause_is_no_burst_of_ticks() {
    let cluster = Cluster::new(3).await;
    let leader = cluster.leader().await;
    let term = cluster.group(leader).status().term;
    let turns = || (0..3).map(|position| cluster.node(position).status().turns).sum::<u64>();
    let before = turns();
    // The clock jumps while nothing runs, as it does for a process that was stopped.
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(turns() - before < 20, "{} turns", turns() - before);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!((cluster.leader().await, cluster.group(leader).status().term), (leader, term));
}
