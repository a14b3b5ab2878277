//! Snapshots: taken, sent by chunks, resumed, restored; and a disk without room for them.
#![cfg(feature = "node")]

mod node_support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use node_support::*;
use raft_core::node::{GroupConfig, NodeConfig, SnapshotError, StartError, StopReason};
use raft_core::*;

fn small_chunks(config: &mut NodeConfig) {
    config.snapshot_chunk_bytes = 100;
}

/// Only when asked, and nothing kept behind.
fn by_hand(config: &mut GroupConfig) {
    config.snapshot_bytes = None;
    config.raft.trailing_bytes_max = 0;
    config.snapshot_piece_bytes = 64;
}

fn often(config: &mut GroupConfig) {
    config.snapshot_bytes = Some(1000);
    config.raft.trailing_bytes_max = 0;
}

async fn propose(cluster: &Cluster, leader: usize, commands: std::ops::Range<usize>) {
    for command in commands {
        within(10, cluster.group(leader).propose(bytes(command))).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_takes_snapshots_by_itself_and_compacts_its_log() {
    let mut cluster = Cluster::tuned(1, |_| {}, often).await;
    cluster.leader().await;
    propose(&cluster, 0, 0..500).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let status = cluster.group(0).status();
    assert!(status.snapshot > Some(LogId::new(status.term, LogIndex(480))), "{status:?}");
    assert!(status.log_bytes < 2000 && cluster.disks[0].log_len(GROUP) < 30, "{status:?}");
    // And starts from it.
    cluster.crash(0);
    cluster.start(0).await;
    cluster.leader().await;
    assert_eq!(cluster.converged().await.len(), 500);
}

/// Snapshots that are taken while commands are being applied have what their index says, no less and no more:
/// after a restart from each of them every command was applied once.
#[tokio::test(start_paused = true)]
async fn a_snapshot_under_load_has_what_its_index_says() {
    let mut cluster = Cluster::tuned(3, |_| {}, often).await;
    for round in 0..10_usize {
        let leader = cluster.leader().await;
        let mut proposals = Vec::new();
        for command in round * 100..round * 100 + 100 {
            proposals.push(cluster.group(leader).propose(bytes(command)));
            // Some turns of the loop take none, some a few.
            for _ in 0..command % 3 {
                tokio::task::yield_now().await;
            }
        }
        for (count, proposal) in proposals.into_iter().enumerate() {
            let applied = within(5, proposal).await.unwrap();
            assert_eq!(applied.output, round * 100 + count + 1);
        }
        assert!(cluster.group(leader).status().snapshot.is_some());
        for position in 0..3 {
            cluster.crash(position);
            cluster.start(position).await;
        }
    }
    cluster.leader().await;
    assert_eq!(cluster.converged().await, (0..1000).map(bytes).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_is_asked_for_has_what_is_applied_and_is_durable() {
    let cluster = Cluster::tuned(1, |_| {}, by_hand).await;
    assert_eq!(within(5, cluster.group(0).snapshot()).await, Ok(LogId::ZERO), "nothing to take");
    cluster.leader().await;
    for round in 0..3 {
        propose(&cluster, 0, round * 10..round * 10 + 10).await;
        let applied = cluster.group(0).peek(|applied, _| applied);
        let both = async { tokio::join!(cluster.group(0).snapshot(), cluster.group(0).snapshot()) };
        assert_eq!(within(5, both).await, (Ok(applied), Ok(applied)));
        assert_eq!(cluster.disks[0].snapshot_of(GROUP), Some(applied));
        assert_eq!(
            within(5, cluster.group(0).snapshot()).await,
            Ok(applied),
            "it is there already"
        );
    }
}

/// A follower away while the log is compacted gets the snapshot in small chunks; the link breaks in the
/// middle of it; what had arrived is not sent again.
#[tokio::test(start_paused = true)]
async fn a_laggard_gets_a_snapshot_by_chunks_and_resumes_after_a_break() {
    let cluster = Cluster::tuned(3, small_chunks, by_hand).await;
    let leader = cluster.leader().await;
    let laggard = (leader + 1) % 3;
    cluster.net.cut(id(laggard));
    propose(&cluster, leader, 0..1000).await;
    within(5, cluster.group(leader).snapshot()).await.unwrap();
    let offsets = Arc::new(Mutex::new(Vec::new()));
    let (seen, broken) = (offsets.clone(), AtomicU64::new(0));
    cluster.net.filter(move |envelope| {
        let Message::InstallSnapshot(install) = &envelope.message else { return true };
        seen.lock().unwrap().push(install.chunk.offset);
        assert!(install.chunk.data.len() <= 100);
        // Everything from the tenth to the twelfth chunk is lost.
        !(10..13).contains(&broken.fetch_add(1, Ordering::SeqCst))
    });
    cluster.net.heal();
    assert_eq!(cluster.converged().await.len(), 1000);
    let mut offsets = offsets.lock().unwrap().clone();
    let sent = offsets.len();
    offsets.dedup();
    assert!(offsets.is_sorted(), "never back: {offsets:?}");
    assert!(sent - offsets.len() >= 3, "the lost ones again");
    assert!(offsets.len() > 60, "{} chunks", offsets.len());
    // The reader is let go after a while.
    assert_eq!(cluster.node(leader).status().snapshot_sends, 1);
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert_eq!(cluster.node(leader).status().snapshot_sends, 0);
}

/// The leader takes newer snapshots while it sends an older one: the transfer goes on with the reader that
/// is open, and is not begun anew each time.
#[tokio::test(start_paused = true)]
async fn a_transfer_survives_newer_snapshots_of_the_sender() {
    let cluster = Cluster::tuned(3, small_chunks, by_hand).await;
    let leader = cluster.leader().await;
    let laggard = (leader + 1) % 3;
    cluster.net.cut(id(laggard));
    propose(&cluster, leader, 0..500).await;
    within(5, cluster.group(leader).snapshot()).await.unwrap();
    let metas = Arc::new(Mutex::new(Vec::new()));
    let seen = metas.clone();
    cluster.net.filter(move |envelope| {
        if let Message::InstallSnapshot(install) = &envelope.message {
            seen.lock().unwrap().push(install.meta.last);
        }
        true
    });
    // So that the transfer takes its time.
    cluster.disks[laggard].set_delay(Duration::from_millis(20));
    cluster.net.heal();
    while cluster.net.snapshots_sent.load(Ordering::SeqCst) < 5 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    propose(&cluster, leader, 500..520).await;
    within(5, cluster.group(leader).snapshot()).await.unwrap();
    assert_eq!(cluster.converged().await.len(), 520);
    let mut metas = metas.lock().unwrap().clone();
    assert!(metas.len() >= 18, "{}", metas.len());
    metas.dedup();
    assert_eq!(metas.len(), 1, "one transfer, of the snapshot it began with: {metas:?}");
    assert_eq!(cluster.group(laggard).status().snapshot, Some(metas[0]));
}

/// What is kept for a peer while it gets an older snapshot goes when it has caught up, though nothing is proposed
/// any more.
#[tokio::test(start_paused = true)]
async fn what_a_transfer_has_kept_goes_when_it_is_over() {
    let cluster = Cluster::tuned(3, small_chunks, by_hand).await;
    let leader = cluster.leader().await;
    let laggard = (leader + 1) % 3;
    cluster.net.cut(id(laggard));
    propose(&cluster, leader, 0..500).await;
    within(5, cluster.group(leader).snapshot()).await.unwrap();
    cluster.disks[laggard].set_delay(Duration::from_millis(20));
    cluster.net.heal();
    while cluster.net.snapshots_sent.load(Ordering::SeqCst) < 5 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    propose(&cluster, leader, 500..520).await;
    within(5, cluster.group(leader).snapshot()).await.unwrap();
    assert!(cluster.group(leader).status().log_bytes > 0, "kept for the transfer");
    assert_eq!(cluster.converged().await.len(), 520);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(cluster.group(leader).status().log_bytes, 0);
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_was_altered_is_dropped() {
    let cluster = Cluster::tuned(3, small_chunks, by_hand).await;
    let leader = cluster.leader().await;
    let laggard = (leader + 1) % 3;
    cluster.net.cut(id(laggard));
    propose(&cluster, leader, 0..300).await;
    within(5, cluster.group(leader).snapshot()).await.unwrap();
    let mut count = 0;
    cluster.net.filter(move |envelope| {
        if let Message::InstallSnapshot(install) = &mut envelope.message {
            count += 1;
            if count == 3 {
                let mut data = install.chunk.data.to_vec();
                data[7] ^= 1;
                install.chunk.data = data.into();
            }
        }
        true
    });
    cluster.net.heal();
    assert_eq!(cluster.converged().await, (0..300).map(bytes).collect::<Vec<_>>());
    assert_eq!(cluster.node(laggard).status().dropped, 1);
}

/// Only so many snapshots are sent at once; the others come later.
#[tokio::test(start_paused = true)]
async fn the_number_of_transfers_is_bounded() {
    let tune = |config: &mut NodeConfig| {
        small_chunks(config);
        config.snapshot_sends_max = 1;
        config.snapshot_idle_ticks = 5;
    };
    let cluster = Cluster::tuned(5, tune, by_hand).await;
    let leader = cluster.leader().await;
    let laggards = [(leader + 1) % 5, (leader + 2) % 5];
    laggards.iter().for_each(|laggard| cluster.net.cut(id(*laggard)));
    propose(&cluster, leader, 0..200).await;
    within(5, cluster.group(leader).snapshot()).await.unwrap();
    cluster.net.heal();
    let watch = async {
        loop {
            assert!(cluster.node(leader).status().snapshot_sends <= 1);
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
    };
    tokio::select! {
        biased;
        _ = watch => unreachable!(),
        state = cluster.converged() => assert_eq!(state.len(), 200),
    }
    for laggard in laggards {
        assert!(cluster.group(laggard).status().snapshot.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_delays_snapshots_and_stops_nothing() {
    let cluster = Cluster::tuned(1, |_| {}, often).await;
    cluster.leader().await;
    cluster.disks[0].set_full(true);
    propose(&cluster, 0, 0..100).await;
    let refused = within(5, cluster.group(0).snapshot()).await;
    assert!(matches!(refused, Err(SnapshotError::Full { .. })), "{refused:?}");
    tokio::time::sleep(Duration::from_secs(100)).await;
    let failures = cluster.group(0).status().snapshot_failures;
    assert!((3..12).contains(&failures), "tried again, less and less often: {failures}");
    propose(&cluster, 0, 100..110).await;
    cluster.disks[0].set_full(false);
    tokio::time::sleep(Duration::from_secs(70)).await;
    assert!(cluster.group(0).status().snapshot.is_some());
}

#[tokio::test(start_paused = true)]
async fn too_many_wishes_for_a_snapshot_are_refused() {
    let cluster = Cluster::tuned(1, |_| {}, by_hand).await;
    cluster.leader().await;
    let wishes: Vec<_> = (0..200).map(|_| cluster.group(0).snapshot()).collect();
    let mut busy = 0;
    for wish in wishes {
        busy += usize::from(within(5, wish).await == Err(SnapshotError::Busy));
    }
    assert_eq!(busy, 200 - 64);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_is_not_the_machines_is_refused() {
    #[derive(Debug)]
    struct Picky;
    impl StateMachine for Picky {
        type Output = ();
        fn apply(&mut self, commands: &[Command]) -> Vec<()> {
            vec![(); commands.len()]
        }
        fn snapshot(&self) -> Box<dyn SnapshotSource> {
            Whole::source("")
        }
        fn restore(&self) -> Box<dyn Restore<Self>> {
            Whole::restore(|_| Err(RestoreError { reason: "not mine".into() }))
        }
    }
    let mut cluster = Cluster::tuned(1, |_| {}, by_hand).await;
    cluster.leader().await;
    propose(&cluster, 0, 0..3).await;
    within(5, cluster.group(0).snapshot()).await.unwrap();
    cluster.crash(0);
    cluster.start_node(0);
    let config = cluster.group_config(0, GROUP);
    let started = cluster.node(0).add_group(config, Picky).await;
    assert!(matches!(started, Err(StartError::Restore(_))));
    // The place is free again.
    let config = cluster.group_config(0, GROUP);
    assert!(cluster.node(0).add_group(config, History::default()).await.is_ok());
    let config = cluster.group_config(0, GROUP);
    let again = cluster.node(0).add_group(config, History::default()).await;
    assert!(matches!(again, Err(StartError::Running)));
    cluster.node(0).shutdown().await;
    assert_eq!(cluster.node(0).stopped().await, StopReason::Shutdown);
}
