//! Data directories that miss something: items 57 to 60 of the catalogue. The others serve on; the node starts, or
//! says exactly why it does not.

use std::sync::Arc;

use raft_core::{Entry, LogId, LogIndex, Payload, Storage, Term, Write, WriteOp, WriteSeq};
use raft_sim::cluster::GROUP;
use raft_sim::disk::Image;
use raft_sim::{Cluster, ClusterConfig, Keep, SimDisk};
use raft_storage::{Wal, WalOptions, inspect_wal};

use super::store::{identity, run};
use super::support::*;

/// A cluster that has served for a while, with several segments and snapshots, one of whose followers is down;
/// and which that is.
pub(crate) fn worn(seed: u64) -> (Cluster<Journal>, usize, Client) {
    let mut config = ClusterConfig::new(seed, 3);
    config.snapshot_bytes = Some(4000);
    (config.wal.segment_bytes, config.wal.fill_bytes) = (4096, 1024);
    config.raft = |raft| raft.trailing_bytes_max = 6000;
    let (mut cluster, leader) = led_by(config);
    let mut client = Client::default();
    for _ in 0..200 {
        client.propose_somewhere(&mut cluster);
        cluster.run_for(3 * MS);
    }
    let victim = others(&cluster, &[leader])[0];
    cluster.power_loss(victim, Keep::Everything);
    (cluster, victim, client)
}

fn files(disk: &SimDisk, suffix: &str) -> Vec<String> {
    disk.names().into_iter().filter(|name| name.ends_with(suffix)).collect()
}

/// Starts the node; the others serve meanwhile. Gives why it has stopped, if it has.
pub(crate) fn start(
    cluster: &mut Cluster<Journal>,
    client: &mut Client,
    at: usize,
) -> Option<String> {
    cluster.restart(at);
    let before = client.acked().len();
    for _ in 0..100 {
        client.propose_somewhere(cluster);
        cluster.run_for(5 * MS);
    }
    assert!(client.acked().len() > before + 90, "the others do not serve");
    cluster.stopped(at)
}

/// The node may have forgotten what it promised: its word does not count any more. Nobody notices today, so what it
/// says comes late, and the others are a majority before.
pub(crate) fn forgetful(cluster: &mut Cluster<Journal>, at: usize) {
    cluster.watch().wiped(cluster.id(at));
    let host = cluster.host(at);
    for other in others(cluster, &[at]) {
        let latency = (20 * MS, 30 * MS);
        cluster.net().change_link(host, cluster.host(other), |link| link.latency = latency);
    }
}

/// Spoils a follower's directory, and expects that the node does not start and says this; with the old directory it
/// does.
pub(crate) fn refused(what: &str, says: &[&str], spoil: impl Fn(&SimDisk)) {
    each_seed(3, |seed| {
        let (mut cluster, victim, mut client) = worn(seed);
        let sound = cluster.disk(victim).image();
        spoil(cluster.disk(victim));
        let names = cluster.disk(victim).names();
        let reason = start(&mut cluster, &mut client, victim).unwrap_or_default();
        for part in says {
            assert!(reason.contains(part), "{what}: {reason:?} does not say {part:?}");
        }
        // Whoever has to repair it finds it as it was, but for the lock.
        let after = cluster.disk(victim).names().into_iter().filter(|name| name != "lock");
        let names = names.into_iter().filter(|name| name != "lock");
        assert!(after.eq(names), "{what}: the directory was changed");
        cluster.kill(victim);
        cluster.disk(victim).restore(&sound);
        settle(&mut cluster, &mut client);
    });
}

#[test]
fn c57_a_truncated_segment_is_refused() {
    refused("cut in the middle", &[".wal is corrupt at offset", "restore this node"], |disk| {
        let oldest = &files(disk, ".wal")[0];
        disk.truncate(oldest, disk.size(oldest).expect("there") / 2);
    });
    refused(
        "without its header",
        &[".wal is corrupt at offset", "the log goes on with batch"],
        |disk| {
            let wal = files(disk, ".wal");
            disk.truncate(&wal[wal.len() / 2], 100);
        },
    );
    refused("a snapshot", &[".snap is corrupt at offset"], |disk| {
        let snapshot = &files(disk, ".snap")[0];
        disk.truncate(snapshot, disk.size(snapshot).expect("there") - 1);
    });
    refused("the identity", &["identity is corrupt at offset 0"], |disk| {
        disk.truncate("identity", 39);
    });
}

/// What cannot be told from a crash: the log ends within its last batch. The node starts, and gets what it lost from
/// the others.
#[test]
fn c57_a_log_that_ends_early_starts() {
    each_seed(3, |seed| {
        let (mut cluster, victim, mut client) = worn(seed);
        let (mount, mut last) = (cluster.disk(victim).mount(), None);
        let seen = run(inspect_wal(&mount, |record| last = Some(record.clone())));
        assert_eq!(seen.expect("readable").damage, []);
        let last = last.expect("there is a log");
        cluster.disk(victim).truncate(&last.file, last.offset + 20);
        forgetful(&mut cluster, victim);
        assert_eq!(start(&mut cluster, &mut client, victim), None);
        settle(&mut cluster, &mut client);
    });
}

#[test]
fn c58_a_missing_segment_is_refused() {
    refused("in the middle", &["the file is missing", "is there"], |disk| {
        let wal = files(disk, ".wal");
        assert!(wal.len() > 2, "{wal:?}");
        disk.set_contents(&wal[wal.len() / 2], None);
    });
    refused("all of them", &["the log is missing"], |disk| {
        files(disk, ".wal").iter().for_each(|name| disk.set_contents(name, None));
        files(disk, ".snap").iter().for_each(|name| disk.set_contents(name, None));
    });
}

#[test]
fn c59_a_missing_snapshot_is_refused() {
    refused("the newest", &["is compacted up to", "a snapshot is missing"], |disk| {
        files(disk, ".snap").iter().for_each(|name| disk.set_contents(name, None));
    });
}

#[test]
fn c60_a_missing_hard_state_or_identity_is_refused() {
    refused("identity", &["no identity file", "restore the file `identity`"], |disk| {
        disk.set_contents("identity", None);
    });
    // Nothing but a bug, or a forger, makes a log without a hard state.
    let image = forged(7, 1);
    let says = ["has an entry of t3 and a hard state of t0", "the hard state is missing"];
    each_seed(1, |seed| {
        let (mut cluster, leader) = led(seed, 3);
        let victim = (0..3).find(|at| cluster.id(*at).0 == 1).expect("node 1");
        if victim == leader {
            cluster.reboot(leader);
        }
        cluster.kill(victim);
        cluster.disk(victim).restore(&image);
        cluster.restart(victim);
        cluster.run_for(100 * MS);
        let reason = cluster.stopped(victim).unwrap_or_default();
        assert!(says.iter().all(|part| reason.contains(part)), "{reason}");
    });
}

/// A directory whose log has an entry of term 3 and no hard state.
fn forged(cluster: u64, node: u64) -> Image {
    let disk = SimDisk::new(1);
    run(async {
        let mount = Arc::new(disk.mount());
        let wal = Wal::open(mount, identity(cluster, node), WalOptions::default()).await;
        let wal = wal.expect("opens");
        let id = LogId::new(Term(3), LogIndex(1));
        let op = WriteOp::Append(vec![Entry { id, payload: Payload::Noop }]);
        let write = Write { group: GROUP, seq: WriteSeq(1), op };
        wal.write(vec![write]).await.expect("written");
        wal.close().await;
    });
    disk.image()
}
