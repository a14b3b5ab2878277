//! Crashes at every effect of a short run, and crashes during the recovery from a crash: items 26 and 28 of the
//! catalogue.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use raft_core::{BoxFuture, NodeId, Service};
use raft_sim::cluster::GROUP;
use raft_sim::invariants::Invariant;
use raft_sim::watch::{At, Event, View};
use raft_sim::world::Fate;
use raft_sim::{Cluster, ClusterConfig, Keep};

use super::support::*;

/// Snapshots every few commands, nothing of the log behind them, and small segments.
fn eventful(seed: u64, nodes: u64) -> ClusterConfig {
    let mut config = ClusterConfig::new(seed, nodes);
    config.snapshot_bytes = Some(1500);
    config.snapshot_chunk_bytes = 256;
    (config.wal.segment_bytes, config.wal.fill_bytes) = (2048, 512);
    config.raft = |raft| raft.trailing_bytes_max = 0;
    config
}

/// The fates of all processes, so that one may end at what is no call of its disk or network.
#[derive(Clone, Default)]
struct Fates(Arc<Mutex<BTreeMap<NodeId, Fate>>>);

impl Invariant for Fates {
    fn name(&self) -> &'static str {
        "crash-points"
    }

    fn check(&mut self, at: &At<'_>, _: &View) -> Result<(), String> {
        let point = match at.event {
            Event::Submitted(_) => "submitted",
            Event::Durable(_) => "durable",
            Event::Applied(_) => "applied",
            Event::SnapshotMade(_) => "snapshot made",
            Event::SnapshotTaken(_) => "snapshot taken",
            Event::Restored(_) => "restored",
            _ => return Ok(()),
        };
        if let Some(fate) = lock(&self.0).get(&at.node) {
            fate.reach(point);
        }
        Ok(())
    }
}

/// Nobody asks it anything.
struct Mute;

impl Service for Mute {
    fn call(&self, request: Bytes) -> BoxFuture<'static, Bytes> {
        Box::pin(async { request })
    }
}

fn journals_that_crash_anywhere(config: ClusterConfig) -> Cluster<Journal> {
    let fates = Fates::default();
    let book = fates.clone();
    let cluster = Cluster::start_serving(config, Journal::default, move |_, process| {
        let node = NodeId(process.name().trim_start_matches('n').parse().expect("a number"));
        lock(&book.0).insert(node, process.fate().clone());
        Arc::new(Mute)
    });
    cluster.watch().add_invariant(GROUP, Box::new(fates));
    cluster
}

/// What the node does that will crash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    /// It is elected, and serves.
    Leads,
    /// It votes, follows, falls behind, and gets a snapshot.
    Follows,
}

/// A short run, up to the crash or to its end. Every run of the same part is the same up to the crash.
fn run(nodes: u64, part: Part, crash: Option<(&str, u64)>) -> (Cluster<Journal>, Client, usize) {
    let mut cluster = journals_that_crash_anywhere(eventful(nodes, nodes));
    let mut client = Client::default();
    let leader = await_leader(&mut cluster);
    client.propose(&mut cluster, leader);
    cluster.run_for(20 * MS);
    let victim = 0;
    let leader = if part == Part::Leads { victim } else { 1 };
    if let Some((effect, nth)) = crash {
        let host = cluster.host(victim);
        cluster.sim().crash_at(host, effect, nth);
    }
    // All at once: nobody remembers a leader, and whoever campaigns first is elected.
    (0..cluster.len()).for_each(|at| cluster.reboot(at));
    cluster.run_for(10 * MS);
    if let Some(group) = cluster.group(leader) {
        group.campaign();
    }
    cluster.run_for(40 * MS);
    for round in 0..30 {
        match (part, round) {
            (Part::Follows, 5) => cluster.isolate(victim),
            (Part::Follows, 25) => {
                cluster.rejoin(victim);
                cluster.run_for(150 * MS);
            }
            _ => {}
        }
        if !cluster.is_up(victim) {
            break;
        }
        client.propose_bytes(&mut cluster, leader, 100);
        cluster.run_for(3 * MS);
    }
    (cluster, client, victim)
}

/// Item 26: the run is had as often as it has effects, and the node crashes at another one of them each time; of
/// what was not synced something is left, or all, or nothing.
fn crash_everywhere(nodes: u64, part: Part, least: usize) -> BTreeSet<String> {
    let (mut whole, mut client, victim) = run(nodes, part, None);
    let host = whole.host(victim);
    let reached = whole.sim().reached(host);
    settle(&mut whole, &mut client);
    let keeps = [Keep::RandomSectors, Keep::Nothing, Keep::Everything, Keep::Prefix];
    let mut crashes = 0;
    for (effect, count) in &reached {
        for nth in 1..=*count {
            let _said = Place { nodes, part, effect, nth };
            let (mut cluster, mut client, victim) = run(nodes, part, Some((effect, nth)));
            assert!(!cluster.is_up(victim), "no crash");
            cluster.power_loss(victim, keeps[crashes % keeps.len()]);
            settle(&mut cluster, &mut client);
            crashes += 1;
        }
    }
    assert!(crashes >= least, "only {crashes}: {reached:?}");
    reached.into_keys().collect()
}

/// Says where, if something is wrong.
#[derive(Debug)]
#[allow(dead_code, reason = "printed")]
struct Place<'a> {
    nodes: u64,
    part: Part,
    effect: &'a str,
    nth: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{self:?}");
        }
    }
}

/// Panics unless all of these are among the effects.
fn has_all(effects: &BTreeSet<String>, wanted: &[&str]) {
    let missing: Vec<_> = wanted.iter().filter(|effect| !effects.contains(**effect)).collect();
    assert!(missing.is_empty(), "no crash at {missing:?}, but at {effects:?}");
}

const OF_EVERYBODY: [&str; 12] = [
    "before create",
    "after create",
    "before write",
    "after write",
    "before sync",
    "after sync",
    "before rename",
    "after rename",
    "before sync directory",
    "after sync directory",
    "submitted",
    "applied",
];

#[test]
fn c26_a_group_of_one_crashes_at_every_effect() {
    let effects = crash_everywhere(1, Part::Leads, 150);
    has_all(&effects, &OF_EVERYBODY);
    has_all(&effects, &["durable", "snapshot made", "snapshot taken"]);
}

#[test]
fn c26_a_leader_crashes_at_every_effect() {
    let effects = crash_everywhere(3, Part::Leads, 200);
    has_all(&effects, &OF_EVERYBODY);
    has_all(&effects, &["durable", "snapshot made", "snapshot taken"]);
    has_all(&effects, &["pre-vote", "request-vote", "append-entries"]);
}

#[test]
fn c26_a_follower_crashes_at_every_effect() {
    let effects = crash_everywhere(3, Part::Follows, 150);
    has_all(&effects, &OF_EVERYBODY);
    has_all(&effects, &["pre-vote-reply", "request-vote-reply", "append-entries-reply"]);
    has_all(&effects, &["install-snapshot-reply", "restored"]);
}

/// Item 28: the power goes at the first change that the recovery makes on the disk, at the second one of the next
/// recovery, and so on, until one gets through. The others serve meanwhile.
#[test]
fn c28_a_crash_loop_ends_with_everything_there() {
    let mut crashes = 0;
    each_seed(5, |seed| {
        for nodes in [1, 3] {
            let mut cluster = journals(eventful(seed, nodes));
            let (mut client, victim) = (Client::default(), await_leader(&mut cluster));
            for _ in 0..40 {
                client.propose(&mut cluster, victim);
                cluster.run_for(MS);
            }
            cluster.power_loss(victim, Keep::RandomSectors);
            crashes += crash_loop(&mut cluster, &mut client, victim);
            settle(&mut cluster, &mut client);
        }
    });
    assert!(crashes > 60, "only {crashes}");
}

/// Gives how many times it has crashed.
fn crash_loop(cluster: &mut Cluster<Journal>, client: &mut Client, victim: usize) -> u64 {
    for nth in 1.. {
        let disk = cluster.disk(victim).clone();
        disk.unmount_at(disk.boundaries() + nth);
        cluster.restart(victim);
        let up = |c: &Cluster<Journal>| c.group(victim).is_some();
        let recovered = cluster.run_until(50 * MS, up).reached();
        client.propose_somewhere(cluster);
        cluster.run_for(50 * MS);
        assert_eq!(cluster.stopped(victim), None);
        disk.unmount_at(u64::MAX);
        cluster.power_loss(victim, Keep::RandomSectors);
        if recovered {
            return nth - 1;
        }
    }
    unreachable!("a recovery has an end")
}
