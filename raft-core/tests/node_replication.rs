//! The driver replicates: proposals are applied in order everywhere, and each gets one true answer.
#![cfg(feature = "node")]

mod node_support;

use std::time::Duration;

use node_support::*;
use raft_core::node::{ProposalError, QueryError};
use raft_core::*;

#[tokio::test(start_paused = true)]
async fn a_group_of_one_commits() {
    let cluster = Cluster::new(1).await;
    let leader = cluster.leader().await;
    let group = cluster.group(leader);
    for count in 1..=10 {
        let applied = within(5, group.propose(bytes(count))).await.unwrap();
        assert_eq!(applied.output, count);
        assert_eq!(group.read(|state| state.commands.len()).await, Ok(count));
    }
    assert_eq!(group.status().applied, group.status().last.index);
}

#[tokio::test(start_paused = true)]
async fn three_nodes_apply_the_same_in_the_order_of_proposal() {
    let cluster = Cluster::new(3).await;
    let leader = cluster.leader().await;
    let proposals: Vec<_> =
        (0..1000).map(|count| cluster.group(leader).propose(bytes(count))).collect();
    let mut last = LogIndex::ZERO;
    for (count, proposal) in proposals.into_iter().enumerate() {
        let applied = within(5, proposal).await.unwrap();
        assert_eq!(applied.output, count + 1);
        assert!(applied.id.index > last);
        last = applied.id.index;
    }
    let state = cluster.converged().await;
    assert_eq!(state, (0..1000).map(bytes).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_follower_rejects_and_names_the_leader() {
    let cluster = Cluster::new(3).await;
    let leader = cluster.leader().await;
    let follower = cluster.group((leader + 1) % 3);
    let hint = Some(id(leader));
    assert_eq!(
        within(5, follower.propose(bytes("x"))).await,
        Err(ProposalError::Rejected(ProposeError::NotLeader { leader: hint }))
    );
    assert_eq!(
        within(5, follower.read(|_| ())).await,
        Err(QueryError::Refused(ReadError::NotLeader { leader: hint }))
    );
}

/// Ten rounds of: propose without pause, crash the leader, go on with the next one. What was answered with
/// an output is in the state once; what was rejected is not; nothing waits for ever.
#[tokio::test(start_paused = true)]
async fn proposals_in_flight_when_the_leader_is_lost_are_never_answered_wrongly() {
    let mut cluster = Cluster::new(3).await;
    let (mut applied, mut refused, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..10 {
        let leader = cluster.leader().await;
        let group = cluster.group(leader).clone();
        let commands: Vec<_> = (0..50).map(|count| bytes(format!("{round}.{count}"))).collect();
        let (early, late) = commands.split_at(25);
        let mut tasks = Vec::new();
        for command in early {
            tasks.push((command, tokio::spawn(group.propose(command.clone()))));
        }
        if round % 2 == 0 {
            // Some of these get through, and some stay with the old leader.
            for _ in 0..3 + round {
                tokio::task::yield_now().await;
            }
            cluster.net.cut(id(leader));
        }
        for command in late {
            tasks.push((command, tokio::spawn(group.propose(command.clone()))));
        }
        if round % 2 == 1 {
            tokio::task::yield_now().await;
            cluster.crash(leader);
        }
        for (command, task) in tasks {
            match within(30, task).await.unwrap() {
                Ok(_) => applied.push(command.clone()),
                Err(ProposalError::Unknown { .. }) => unknown.push(command.clone()),
                Err(_) => refused.push(command.clone()),
            }
        }
        cluster.net.heal();
        if cluster.groups[leader].is_none() {
            cluster.start(leader).await;
        }
    }
    let state = cluster.converged().await;
    let count = |command| state.iter().filter(|known| *known == command).count();
    assert!(applied.iter().all(|command| count(command) == 1));
    assert!(refused.iter().all(|command| count(command) == 0));
    assert!(unknown.iter().all(|command| count(command) <= 1));
    let (applied, unknown) = (applied.len(), unknown.len());
    assert!(applied > 0 && unknown > 0, "{applied} applied, {unknown} unknown: shows nothing");
}

#[tokio::test(start_paused = true)]
async fn a_cut_off_leader_answers_its_proposals_and_reads_when_it_steps_down() {
    let cluster = Cluster::new(3).await;
    let leader = cluster.leader().await;
    let group = cluster.group(leader);
    cluster.net.cut(id(leader));
    let (proposal, read) = (group.propose(bytes("lost")), group.read(|_| ()));
    let (proposal, read) = within(10, async { tokio::join!(proposal, read) }).await;
    assert!(matches!(proposal, Err(ProposalError::Unknown { .. })), "{proposal:?}");
    assert!(matches!(read, Err(QueryError::LeadershipLost { .. })), "{read:?}");
    assert_eq!(group.status().proposals, 0);
}

#[tokio::test(start_paused = true)]
async fn a_read_sees_every_write_answered_before_it() {
    let cluster = Cluster::new(3).await;
    let leader = cluster.leader().await;
    let group = cluster.group(leader);
    for count in 1..=50 {
        let written = within(5, group.propose(bytes(count))).await.unwrap();
        let reads = (0..10).map(|_| tokio::spawn(group.read(|state| state.commands.len())));
        for read in reads.collect::<Vec<_>>() {
            assert!(within(5, read).await.unwrap().unwrap() >= written.output);
        }
    }
}

/// The log is applied again in many batches, and a read is confirmed before the last of them.
#[tokio::test(start_paused = true)]
async fn a_read_after_a_restart_sees_every_write_answered_before_it() {
    let mut cluster = Cluster::new(1).await;
    cluster.leader().await;
    let proposals: Vec<_> = (0..2000).map(|count| cluster.group(0).propose(bytes(count))).collect();
    for proposal in proposals {
        within(5, proposal).await.unwrap();
    }
    cluster.crash(0);
    cluster.start(0).await;
    let group = cluster.group(0);
    group.campaign();
    let mut leads = group.changes();
    within(5, leads.wait_for(|change| change.role == Role::Leader)).await.unwrap();
    assert_eq!(within(5, group.read(|state| state.commands.len())).await, Ok(2000));
}

#[tokio::test(start_paused = true)]
async fn all_reads_of_a_turn_share_one_round() {
    let cluster = Cluster::new(3).await;
    let leader = cluster.leader().await;
    // Past the tick, so that no heartbeat comes between.
    tokio::time::sleep(Duration::from_millis(60)).await;
    let before = cluster.net.sends().len();
    let reads: Vec<_> = (0..100).map(|_| cluster.group(leader).read(|_| ())).collect();
    for read in reads {
        within(5, read).await.unwrap();
    }
    let sends = cluster.net.sends().len() - before;
    assert!(sends <= 3, "one question and two answers, not {sends}");
}

#[tokio::test(start_paused = true)]
async fn nodes_that_restart_have_everything() {
    let mut cluster = Cluster::new(3).await;
    let leader = cluster.leader().await;
    for count in 0..100 {
        within(5, cluster.group(leader).propose(bytes(count))).await.unwrap();
    }
    for position in 0..3 {
        cluster.crash(position);
    }
    for position in 0..3 {
        cluster.start(position).await;
    }
    cluster.leader().await;
    assert_eq!(cluster.converged().await, (0..100).map(bytes).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn roles_are_announced() {
    let cluster = Cluster::new(3).await;
    let leader = cluster.leader().await;
    let mut changes = cluster.group(leader).changes();
    assert_eq!(changes.borrow_and_update().role, Role::Leader);
    cluster.net.cut(id(leader));
    within(30, changes.wait_for(|change| change.role != Role::Leader)).await.unwrap();
    cluster.node(leader).shutdown().await;
    while changes.changed().await.is_ok() {}
}

/// A follower that knows better may ask for an election.
#[tokio::test(start_paused = true)]
async fn campaign_begins_an_election() {
    let cluster = Cluster::new(1).await;
    cluster.group(0).campaign();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(cluster.group(0).status().role, Role::Leader);
}
