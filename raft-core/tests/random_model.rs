//! Random schedules of clusters of one, three and five real cores: a network that loses, doubles, delays and
//! parts; disks that are slow, stall, and lose what they had not written; proposals, reads, snapshots. After
//! every event the invariants of `tests/model` hold. Then the faults end, and the cluster must serve again.
//!
//! A failure prints its seed. `RANDOM_SEED=7` runs that one alone, `RANDOM_SEEDS=100000` runs as many,
//! from `RANDOM_FROM` on.

#[allow(dead_code)] // Each test uses a part of it.
mod sim;

use self::sim::{Members, run_seeds};

/// Runs in the everyday tests.
const SEEDS: u64 = 5_000;

#[test]
fn faults_then_recovery() {
    let Some(met) = run_seeds("random_model", Members::Fixed, SEEDS) else { return };
    // About half of what they met when this was written.
    let floors = [
        ("elections", met.elections, 7_000),
        ("step-downs without a quorum", met.step_downs_without_quorum, 2_000),
        ("step-downs with a stalled disk", met.step_downs_with_stalled_disk, 900),
        ("crashes", met.crashes, 25_000),
        ("lost writes", met.writes_lost, 2_300),
        ("commands", met.commands, 65_000),
        ("overloads", met.overloaded, 20_000),
        ("reads", met.reads, 28_000),
        ("snapshots taken", met.snapshots_taken, 28_000),
        ("snapshots sent", met.snapshots_sent, 1_600),
        ("snapshots installed", met.snapshots_installed, 500),
        ("truncations", met.truncations, 1_100),
        ("votes held for the disk", met.held_votes, 19_000),
    ];
    for (what, met, floor) in floors {
        assert!(met >= floor, "only {met} {what}; the floor is {floor}");
    }
}
