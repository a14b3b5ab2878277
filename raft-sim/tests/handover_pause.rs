//! How long clients wait when leadership is handed over, in simulated time: every message takes as long as every other,
//! and every sync.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kv::ClerkError;
use raft_sim::disk::OpKind;
use raft_sim::kv::{KvCluster, KvConfig};
use raft_sim::net::Link;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const ROUND_TRIP: Duration = Duration::from_millis(10);
const SYNC: Duration = Duration::from_millis(3);
const TRANSFERS: usize = 41;

/// When each write of one client was done, from the beginning on.
type Times = Arc<Mutex<Vec<Duration>>>;

fn cluster(seed: u64) -> KvCluster {
    let mut config = KvConfig::new(seed, 3);
    config.clerk.deadline = 60 * SECOND;
    let mut kv = KvCluster::start(config);
    let mut link = Link::default();
    link.latency = (ROUND_TRIP / 2, ROUND_TRIP / 2);
    kv.nodes().net().set_default_link(link);
    for at in 0..3 {
        kv.nodes().disk(at).set_latency(OpKind::Sync, SYNC..=SYNC);
        kv.nodes().disk(at).set_latency(OpKind::Write, Duration::ZERO..=Duration::ZERO);
    }
    assert!(kv.nodes_mut().run_until(5 * SECOND, |nodes| nodes.leader().is_some()).reached());
    kv
}

/// A client that writes without a pause, until the cluster ends.
fn write(kv: &mut KvCluster, times: &Times) {
    let (client, told) = (kv.client(), times.clone());
    kv.spawn(client, move |clerk| async move {
        let begun = Instant::now();
        loop {
            clerk.clerk().put(b"k", b"v").await?;
            told.lock().expect("no panic").push(begun.elapsed());
        }
        #[allow(unreachable_code, reason = "says what the errors are")]
        Ok::<(), ClerkError>(())
    });
}

/// The longest time between two writes since `from`.
fn longest_gap(times: &Times, from: usize) -> Duration {
    let times = times.lock().expect("no panic");
    let gaps = times[from..].windows(2).map(|pair| pair[1] - pair[0]);
    gaps.max().expect("writes go on")
}

#[test]
fn clients_wait_for_two_round_trips_and_two_syncs_when_leadership_is_handed_over() {
    let mut kv = cluster(1);
    let times = Times::default();
    write(&mut kv, &times);
    kv.nodes_mut().run_for(SECOND);
    let usual = longest_gap(&times, 10);
    // To a leader and back, to a follower and back, and its sync.
    assert!(usual < 2 * ROUND_TRIP + 2 * SYNC, "a write takes {usual:?}");
    let mut pauses = Vec::new();
    for turn in 0..TRANSFERS as u64 {
        // At any time in the life of a write.
        kv.nodes_mut().run_for(Duration::from_millis(turn));
        let leader = kv.nodes().leader().expect("one leads");
        let next = (leader + 1) % 3;
        let before = times.lock().expect("no panic").len() - 1;
        let group = kv.nodes().group(leader).expect("it runs");
        // Asked for when it is called.
        drop(group.transfer_leadership(kv.nodes().id(next)));
        kv.nodes_mut().run_for(SECOND);
        assert_eq!(kv.nodes().leader(), Some(next));
        // What a write takes longer than usual.
        pauses.push(longest_gap(&times, before) - usual);
    }
    pauses.sort();
    let median = pauses[TRANSFERS / 2];
    // The other one is asked, syncs its vote for itself, asks for votes, and those are synced too. Meanwhile the client is
    // sent there.
    assert!(median < 2 * ROUND_TRIP + 2 * SYNC, "the median is {median:?} of {pauses:?}");
}
