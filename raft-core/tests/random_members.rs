//! Random schedules in which the members of a group change: learners come and go, voters are replaced, leaders are
//! voted out and asked to hand over, removed nodes lose their disks and come back; with all the faults of
//! `random_model`. Then the faults end, and whoever is a member must serve again, undisturbed by who is not.
//!
//! A failure prints its seed; see `random_model` for how to run it.

#[allow(dead_code)] // Each test uses a part of it.
mod sim;

use self::sim::{Members, run_seeds};

/// Runs in the everyday tests.
const SEEDS: u64 = 4_000;

#[test]
fn members_change_under_faults() {
    let Some(met) = run_seeds("random_members", Members::Changing, SEEDS) else { return };
    // About half of what they met when this was written.
    let floors = [
        ("elections", met.elections, 6_000),
        ("crashes", met.crashes, 25_000),
        ("truncations", met.truncations, 450),
        ("snapshots installed", met.snapshots_installed, 600),
        ("changes begun", met.changes_begun, 2_900),
        ("changes committed", met.changes_committed, 3_800),
        ("refusals of those behind", met.not_caught_up, 1_000),
        ("nodes told that they are out", met.told_removed, 2_500),
        ("disks lost", met.wiped, 5_000),
        ("transfers", met.transfers, 700),
        ("refusals while handing over", met.refused_in_transfer, 900),
        ("elections that were asked for", met.handed_over, 220),
    ];
    for (what, met, floor) in floors {
        assert!(met >= floor, "only {met} {what}; the floor is {floor}");
    }
}
