//! Disks that fail, lie, rot, fill up and are slow: entries 20, 21, 22 and 25 of the museum, and items 51 to 55 and
//! 63 of the catalogue.

use std::time::Duration;

use raft_core::Role;
use raft_sim::disk::{Failure, OpKind};
use raft_sim::{Cluster, ClusterConfig, Keep};

use super::support::*;

/// Proposes for so long, every 5 ms, at whoever leads.
fn serve_for(cluster: &mut Cluster<Journal>, client: &mut Client, time: Duration) {
    let until = cluster.sim().now() + time;
    while cluster.sim().now() < until {
        client.propose_somewhere(cluster);
        cluster.run_for(5 * MS);
    }
}

/// Serves until a node has given up. Gives why.
fn serve_until_stopped(cluster: &mut Cluster<Journal>, client: &mut Client, at: usize) -> String {
    for _ in 0..400 {
        if let Some(reason) = cluster.stopped(at) {
            return reason;
        }
        serve_for(cluster, client, 5 * MS);
    }
    panic!("node {at} goes on, after {:?}", cluster.disk(at));
}

/// How many numbers were answered within some time.
fn answered_in(cluster: &mut Cluster<Journal>, client: &mut Client, time: Duration) -> usize {
    let before = client.acked().len();
    serve_for(cluster, client, time);
    client.acked().len() - before
}

/// Snapshots every now and then, and small segments, so that every operation there is takes place.
fn busy(seed: u64, nodes: u64) -> ClusterConfig {
    let mut config = ClusterConfig::new(seed, nodes);
    config.snapshot_bytes = Some(2000);
    (config.wal.segment_bytes, config.wal.fill_bytes) = (4096, 1024);
    config.raft = |raft| raft.trailing_bytes_max = 500;
    config
}

/// Museum 20: a sync fails, and one more would "succeed", for the system has marked its pages clean. Nothing is
/// synced or written or said any more; what was answered before is there after a restart.
#[test]
fn m20_a_failed_sync_is_not_tried_again() {
    each_seed(4, |seed| {
        for (nodes, nth) in [(1, 1), (1, 3), (3, 1), (3, 2), (3, 5)] {
            for power in [false, true] {
                let (mut cluster, leader) = led_by(busy(seed, nodes));
                let victim = if seed % 2 == 0 { leader } else { nodes as usize - 1 };
                let mut client = Client::default();
                serve_for(&mut cluster, &mut client, 50 * MS);
                cluster.disk(victim).fail(OpKind::Sync, nth, Failure::Io);
                let reason = serve_until_stopped(&mut cluster, &mut client, victim);
                assert!(reason.contains("injected I/O error"), "{reason}");
                cluster.run_for(100 * MS);
                let (changes, host) = (cluster.disk(victim).changes(), cluster.host(victim));
                cluster.net().reset_traffic();
                serve_for(&mut cluster, &mut client, 2 * SECOND);
                assert_eq!(cluster.disk(victim).changes(), changes, "it writes on");
                let sent = cluster.net().traffic().sum(|from, _, _| from == host);
                assert_eq!(sent.messages, 0, "it talks on");
                if power {
                    cluster.power_loss(victim, Keep::Nothing);
                }
                settle(&mut cluster, &mut client);
            }
        }
    });
}

/// Museum 20, items 51 to 54: every kind of operation fails once, the first, second, … time. A node that stops
/// says why; and nothing that was answered is lost, also by a group of one.
#[test]
fn m20_any_operation_may_fail() {
    let kinds = [
        OpKind::Open,
        OpKind::Create,
        OpKind::Size,
        OpKind::Read,
        OpKind::Write,
        OpKind::Sync,
        OpKind::SetLen,
        OpKind::Rename,
        OpKind::Remove,
        OpKind::SyncDir,
    ];
    let (mut stops, mut failures) = (0, 0);
    for kind in kinds {
        for nth in 1..=5 {
            for nodes in [1, 3] {
                let (mut cluster, leader) = led_by(busy(nth, nodes));
                let victim = if nth % 2 == 0 { leader } else { nodes as usize - 1 };
                let mut client = Client::default();
                cluster.disk(victim).fail(kind, nth, Failure::Io);
                serve_for(&mut cluster, &mut client, 300 * MS);
                failures += cluster.disk(victim).failures(kind);
                if let Some(reason) = cluster.stopped(victim) {
                    assert!(reason.contains("injected I/O error"), "{kind}: {reason}");
                    stops += 1;
                }
                cluster.disk(victim).calm();
                cluster.power_loss(victim, Keep::RandomSectors);
                settle(&mut cluster, &mut client);
            }
        }
    }
    assert!(stops > 40 && failures > 60, "{stops} stops by {failures} failures");
}

/// Museum 20, the same while the node starts: it gives up with the reason, and starts when asked again.
#[test]
fn m20_any_operation_may_fail_during_a_start() {
    let kinds =
        [OpKind::List, OpKind::Open, OpKind::Size, OpKind::Read, OpKind::Write, OpKind::Remove];
    let mut failures = 0;
    for kind in kinds {
        for nth in 1..=4 {
            let (mut cluster, leader) = led_by(busy(nth, 3));
            let mut client = Client::default();
            serve_for(&mut cluster, &mut client, 200 * MS);
            cluster.power_loss(leader, Keep::RandomSectors);
            cluster.disk(leader).fail(kind, nth, Failure::Io);
            cluster.restart(leader);
            cluster.run_for(200 * MS);
            if let Some(reason) = cluster.stopped(leader) {
                assert!(reason.contains("injected I/O error"), "{kind}: {reason}");
                failures += 1;
            }
            cluster.disk(leader).calm();
            settle(&mut cluster, &mut client);
        }
    }
    assert!(failures > 12, "only {failures}");
}

/// Museum 25: a disk is full. A leader that cannot write any more stops, and another one leads; the others serve
/// on. When there is space again, the node goes on from where it was, without anybody's help but a restart.
#[test]
fn m25_a_node_whose_disk_is_full_stops_and_comes_back() {
    each_seed(5, |seed| {
        for leads in [true, false] {
            let (mut cluster, leader) = led_by(busy(seed, 3));
            let victim = if leads { leader } else { others(&cluster, &[leader])[0] };
            let mut client = Client::default();
            serve_for(&mut cluster, &mut client, 100 * MS);
            let room = cluster.sim().rng().u64(0..2000);
            let full = cluster.disk(victim).disk_bytes() + room;
            cluster.disk(victim).set_capacity(Some(full));
            let reason = serve_until_stopped(&mut cluster, &mut client, victim);
            assert!(
                reason.contains("free space on the disk, then start the node again"),
                "{reason}"
            );
            let another = |c: &Cluster<Journal>| c.leader().is_some_and(|at| at != victim);
            assert!(cluster.run_until(4 * TIMEOUT, another).reached(), "nobody takes over");
            assert!(answered_in(&mut cluster, &mut client, SECOND) > 150, "the others serve");
            // Whoever starts it again meanwhile does no harm, to it or to the others.
            for _ in 0..5 {
                cluster.reboot(victim);
                serve_for(&mut cluster, &mut client, 300 * MS);
            }
            cluster.disk(victim).set_capacity(None);
            settle(&mut cluster, &mut client);
        }
    });
}

/// Museum 25: all disks are full at once. Nobody serves, nothing is answered; with space, all is there.
#[test]
fn m25_when_all_disks_are_full_nothing_is_promised() {
    each_seed(5, |seed| {
        let (mut cluster, _) = led_by(busy(seed, 3));
        let mut client = Client::default();
        serve_for(&mut cluster, &mut client, 100 * MS);
        for at in 0..3 {
            cluster.disk(at).set_capacity(Some(cluster.disk(at).disk_bytes()));
        }
        serve_for(&mut cluster, &mut client, 3 * SECOND);
        let stopped = (0..3).filter(|at| cluster.stopped(*at).is_some()).count();
        assert!(stopped >= 2, "only {stopped} have noticed");
        assert_eq!(answered_in(&mut cluster, &mut client, SECOND), 0);
        for at in 0..3 {
            cluster.power_loss(at, Keep::RandomSectors);
            cluster.disk(at).set_capacity(None);
        }
        settle(&mut cluster, &mut client);
    });
}

/// Museum 25: there is no space for a snapshot, and enough for the log. The node serves on, and takes the snapshot
/// when there is space.
#[test]
fn m25_a_snapshot_that_has_no_space_is_taken_later() {
    each_seed(5, |seed| {
        let mut config = ClusterConfig::new(seed, 3);
        config.snapshot_bytes = Some(2000);
        let (mut cluster, leader) = led_by(config);
        let mut client = Client::default();
        for at in 0..3 {
            // What the log grows by next is there already.
            cluster.disk(at).set_capacity(Some(cluster.disk(at).disk_bytes() + 200));
        }
        serve_for(&mut cluster, &mut client, 300 * MS);
        let status = cluster.status(leader).expect("it runs");
        assert!(status.snapshot.is_none() && status.snapshot_failures > 0, "{status:?}");
        assert!(client.acked().len() >= 58, "only {} of 60", client.acked().len());
        (0..3).for_each(|at| cluster.disk(at).set_capacity(None));
        let taken = |c: &Cluster<Journal>| c.status(leader).is_some_and(|s| s.snapshot.is_some());
        assert!(cluster.run_until(4 * SECOND, taken).reached(), "it is tried again");
        settle(&mut cluster, &mut client);
    });
}

/// Item 63: syncs of a follower take seconds. Nobody else notices; what waits for its disk has a bound.
#[test]
fn c63_a_follower_with_a_slow_disk_disturbs_nobody() {
    each_seed(5, |seed| {
        let mut config = ClusterConfig::new(seed, 3);
        config.raft = |raft| (raft.window_bytes_max, raft.append_bytes_max) = (10_000, 10_000);
        let (mut cluster, leader) = led_by(config);
        let slow = others(&cluster, &[leader])[0];
        cluster.disk(slow).set_latency(OpKind::Sync, SECOND..=5 * SECOND);
        let (mut client, before) = (Client::default(), cluster.leaders());
        for _ in 0..2000 {
            client.propose(&mut cluster, leader);
            cluster.run_for(5 * MS);
            let status = cluster.status(slow).expect("it runs");
            // An entry of 40 bytes counts for 104.
            let waiting = (status.last.index.0 - status.durable.0) * 104;
            assert!(waiting <= 20_000, "{waiting} bytes wait for the disk");
        }
        assert_eq!(cluster.leaders(), before, "an election");
        assert!(client.acked().len() > 1980, "only {} of 2000", client.acked().len());
        cluster.disk(slow).calm();
        // The one under way is still slow.
        cluster.run_for(5 * SECOND);
        settle(&mut cluster, &mut client);
    });
}

/// Item 63: syncs of the leader take seconds. It makes way, once, for somebody whose disk is in order.
#[test]
fn c63_a_leader_with_a_slow_disk_makes_way() {
    each_seed(5, |seed| {
        let (mut cluster, leader) = led(seed, 3);
        cluster.disk(leader).set_latency(OpKind::Sync, SECOND..=5 * SECOND);
        let mut client = Client::default();
        let elections = cluster.coverage().elections;
        serve_for(&mut cluster, &mut client, 2 * SECOND);
        assert!(cluster.leader().is_some_and(|at| at != leader), "it leads on");
        let answered = answered_in(&mut cluster, &mut client, 30 * SECOND);
        assert!(answered > 5900, "only {answered} of 6000");
        let elections = cluster.coverage().elections - elections;
        assert!(elections <= 2, "{elections} elections");
        assert_ne!(role(&cluster, leader), Some(Role::Leader));
        cluster.disk(leader).calm();
        settle(&mut cluster, &mut client);
    });
}
