//! The labs' scenarios of part 2D: snapshots. The service of every server takes one whenever ten commands more were
//! applied.

mod lab_support;

use std::time::Duration;

use lab_support::{Disks, Journal, Lab, Retry, SNAPSHOT_INTERVAL, Seen, Setup, seeds};
use raft_sim::Cluster;

/// Raft's state on a disk stays below this, however many commands there were.
const RAFT_STATE_BYTES_MAX: u64 = 2000;

/// What happens to a server while the others go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Victim {
    None,
    /// It is cut off, and then needs a snapshot.
    Cut,
    /// It crashes, and then needs a snapshot.
    Crashed,
}

/// 30 rounds of commands; the victim is a follower, and in every third round the leader.
fn snapshots(setup: Setup, what: Victim) -> Seen {
    let seed = setup.seed;
    let mut lab = Lab::new(setup.snapshotting());
    let everybody = lab.servers();
    agree(&mut lab, everybody);
    let mut leader = lab.check_one_leader();
    for round in 0..30 {
        let follower = lab.next(leader, 1);
        let (victim, sender) = if round % 3 == 1 { (leader, follower) } else { (follower, leader) };
        let others = match what {
            Victim::None => everybody,
            Victim::Cut => {
                lab.disconnect(victim);
                everybody - 1
            }
            Victim::Crashed => {
                lab.crash(victim);
                everybody - 1
            }
        };
        if what != Victim::None {
            agree(&mut lab, others);
        }
        for _ in 0..commands(&mut lab, seed) {
            let command = lab.fresh();
            lab.propose(sender, command);
        }
        agree(&mut lab, others);
        check_size(&mut lab);
        match what {
            Victim::None => continue,
            Victim::Cut => lab.connect(victim),
            Victim::Crashed => lab.revive(victim),
        }
        agree(&mut lab, everybody);
        leader = lab.check_one_leader();
    }
    lab.finish()
}

/// How many commands a round has: eleven, or between five and fifteen.
fn commands(lab: &mut Lab, seed: u64) -> usize {
    match seed / 6 % 2 {
        0 => SNAPSHOT_INTERVAL + 1,
        _ => lab.rng.usize(SNAPSHOT_INTERVAL / 2..SNAPSHOT_INTERVAL * 3 / 2),
    }
}

fn agree(lab: &mut Lab, servers: usize) -> u64 {
    let command = lab.fresh();
    lab.one(command, servers, Retry::Yes)
}

/// The log is short. The originals' disks take no time; where ours do, a snapshot may be on its way.
fn check_size(lab: &mut Lab) {
    let patience = match lab.setup.disks {
        Disks::Instant => Duration::ZERO,
        Disks::Slow => Duration::from_millis(100),
    };
    let sizes = |cluster: &Cluster<Journal>| {
        (0..cluster.len()).filter_map(|at| raft_state_bytes(cluster, at)).collect::<Vec<_>>()
    };
    let waited = lab.cluster.run_until(patience, |cluster| {
        sizes(cluster).iter().all(|bytes| *bytes < RAFT_STATE_BYTES_MAX)
    });
    assert!(waited.reached(), "Raft's states have {:?} bytes", sizes(&lab.cluster));
}

/// Bytes of Raft's state on the disk of a server: an upper bound.
///
/// A retained entry counts with 64 bytes besides its command; the log spends 40 on its record and 24 on the
/// batch it is in, which it may share. The hard state is one more record. What is preallocated is not counted,
/// nor are segments that wait to be used again.
fn raft_state_bytes(cluster: &Cluster<Journal>, at: usize) -> Option<u64> {
    const HARD_STATE_BYTES: u64 = 128;
    cluster.status(at).map(|status| status.log_bytes + HARD_STATE_BYTES)
}

/// `snapshot_basic_2d`, `TestSnapshotBasic2D`.
#[test]
fn snapshot_basic_2d() {
    seeds(|seed| snapshots(Setup::reliable(seed, 3), Victim::None)).floor(
        1000,
        "snapshots",
        |seen| seen.coverage.snapshots_taken,
    );
}

/// `snapshot_install_2d`, `TestSnapshotInstall2D`.
#[test]
fn snapshot_install_2d() {
    seeds(|seed| snapshots(Setup::reliable(seed, 3), Victim::Cut)).floor(
        200,
        "installed snapshots",
        |seen| seen.coverage.snapshots_received,
    );
}

/// `snapshot_install_unreliable_2d`, `TestSnapshotInstallUnreliable2D`.
#[test]
fn snapshot_install_unreliable_2d() {
    seeds(|seed| snapshots(Setup::unreliable(seed, 3), Victim::Cut)).floor(
        200,
        "installed snapshots",
        |seen| seen.coverage.snapshots_received,
    );
}

/// `snapshot_install_crash_2d`, `TestSnapshotInstallCrash2D`.
#[test]
fn snapshot_install_crash_2d() {
    seeds(|seed| snapshots(Setup::reliable(seed, 3).crashing(), Victim::Crashed))
        .floor(200, "installed snapshots", |seen| seen.coverage.snapshots_received)
        .floor(600, "crashes", |seen| seen.coverage.crashes);
}

/// `snapshot_install_unreliable_crash_2d`, `TestSnapshotInstallUnCrash2D`.
#[test]
fn snapshot_install_unreliable_crash_2d() {
    seeds(|seed| snapshots(Setup::unreliable(seed, 3).crashing(), Victim::Crashed))
        .floor(200, "installed snapshots", |seen| seen.coverage.snapshots_received)
        .floor(600, "crashes", |seen| seen.coverage.crashes);
}

/// `TestSnapshotAllCrash3D` (2023 and later): all servers crash after snapshots; no index goes backwards.
#[test]
fn snapshot_all_crash_2d() {
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 3).crashing().snapshotting());
        agree(&mut lab, 3);
        for _ in 0..5 {
            for _ in 0..commands(&mut lab, seed) {
                agree(&mut lab, 3);
            }
            let before = agree(&mut lab, 3);
            crash_all(&mut lab);
            let after = agree(&mut lab, 3);
            assert!(after > before, "the index went from {before} to {after}");
        }
        lab.finish()
    })
    .floor(200, "restored snapshots", |seen| seen.coverage.restores);
}

fn crash_all(lab: &mut Lab) {
    (0..lab.servers()).for_each(|at| lab.crash(at));
    (0..lab.servers()).for_each(|at| lab.revive(at));
}

/// `TestSnapshotInit3D` (2023 and later): a snapshot that a server has started from outlives the next crash, too.
#[test]
fn snapshot_init_2d() {
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 3).crashing().snapshotting());
        for _ in 0..SNAPSHOT_INTERVAL + 2 {
            agree(&mut lab, 3);
        }
        crash_all(&mut lab);
        // Something is written again.
        agree(&mut lab, 3);
        crash_all(&mut lab);
        assert_eq!(agree(&mut lab, 3), SNAPSHOT_INTERVAL as u64 + 4);
        lab.finish()
    })
    .floor(100, "restored snapshots", |seen| seen.coverage.restores);
}
