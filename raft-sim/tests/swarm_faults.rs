//! Each class of faults alone: it does what it is called, and everything holds.

mod swarm_support;

use raft_sim::cluster::Wire;
use raft_sim::swarm::core::{CorePlan, CoreSuite};
use raft_sim::swarm::{Faults, Planned, Scale, Tally};
use swarm_support::{did_not_happen, happened};

/// What happens in a few seeds in which only what `keep` keeps goes wrong.
fn alone(keep: impl Fn(&mut Faults) -> bool) -> Tally {
    swarm_support::alone(CoreSuite, |plan| plan.setting.nodes >= 3 && keep(&mut plan.faults))
}

#[test]
fn nothing() {
    let seen = alone(|faults| {
        *faults = Faults::default();
        true
    });
    did_not_happen(&seen, &["messages lost", "kill", "truncations", "partition"]);
}

#[test]
fn links() {
    let seen = alone(|f| {
        *f = Faults { links: f.links.take(), ..Faults::default() };
        f.links.is_some()
    });
    happened(&seen, &["messages lost", "messages doubled", "messages on detours"]);
    did_not_happen(&seen, &["kill", "partition"]);
}

#[test]
fn filters() {
    let seen = alone(|f| {
        *f = Faults { filters: f.filters.take(), ..Faults::default() };
        f.filters.is_some()
    });
    happened(&seen, &["messages lost"]);
    did_not_happen(&seen, &["messages doubled", "kill"]);
}

#[test]
fn partitions() {
    let seen = alone(|f| {
        *f = Faults { partitions: f.partitions.take(), ..Faults::default() };
        f.partitions.is_some()
    });
    happened(&seen, &["partition", "one-way partition", "messages lost", "truncations"]);
    did_not_happen(&seen, &["kill"]);
}

#[test]
fn crashes() {
    let seen = alone(|f| {
        *f = Faults { crashes: f.crashes.take(), ..Faults::default() };
        f.crashes.is_some()
    });
    happened(&seen, &["kill", "power loss, nothing kept", "crash at a point", "sectors lost"]);
    did_not_happen(&seen, &["partition", "stopped by an I/O error"]);
}

#[test]
fn outages() {
    let seen = alone(|f| {
        *f = Faults { outages: f.outages.take(), ..Faults::default() };
        f.outages.is_some()
    });
    happened(&seen, &["outage of all nodes", "power loss, prefix kept", "restarts"]);
    did_not_happen(&seen, &["crash at a point"]);
}

#[test]
fn pauses() {
    let seen = alone(|f| {
        *f = Faults { pauses: f.pauses.take(), ..Faults::default() };
        f.pauses.is_some()
    });
    happened(&seen, &["pause of a process", "truncations"]);
    did_not_happen(&seen, &["kill"]);
}

#[test]
fn clocks() {
    let seen = alone(|f| {
        *f = Faults { clocks: f.clocks.take(), ..Faults::default() };
        f.clocks.is_some()
    });
    happened(&seen, &["clock drift", "clock jump"]);
    did_not_happen(&seen, &["kill", "messages lost"]);
}

#[test]
fn slow_disks() {
    let seen = alone(|f| {
        *f = Faults { slow_disks: f.slow_disks.take(), ..Faults::default() };
        f.slow_disks.is_some()
    });
    happened(&seen, &["slow disk", "stalled disk"]);
    did_not_happen(&seen, &["kill"]);
}

#[test]
fn disk_errors() {
    let seen = alone(|f| {
        *f = Faults { disk_errors: f.disk_errors.take(), ..Faults::default() };
        f.disk_errors.is_some()
    });
    happened(&seen, &["full disk", "stopped by an I/O error", "stopped by a full disk"]);
    did_not_happen(&seen, &["partition", "messages doubled"]);
}

#[test]
fn minorities() {
    let seen = alone(|f| {
        *f = Faults { minority: f.minority.take(), ..Faults::default() };
        f.minority.is_some()
    });
    let kinds = ["quorum only", "deaf minority", "mute minority"];
    assert_eq!(kinds.map(|kind| seen.count(kind)).iter().sum::<u64>(), 5, "{seen}");
    did_not_happen(&seen, &["kill", "partition"]);
}

#[test]
fn both_wires_and_all_sizes_are_drawn() {
    let plans: Vec<CorePlan> = (1..200).map(|seed| CoreSuite.draw(seed, Scale::Short)).collect();
    for nodes in [1, 3, 5, 7] {
        assert!(plans.iter().any(|plan| plan.setting.nodes == nodes), "{nodes}");
    }
    for wire in [Wire::Messages, Wire::Streams] {
        assert!(plans.iter().any(|plan| plan.setting.wire == wire), "{wire:?}");
    }
    for snapshot in [Some(1), Some(100), Some(1000), Some(64_000), None] {
        assert!(plans.iter().any(|plan| plan.setting.snapshot_bytes == snapshot), "{snapshot:?}");
    }
    let off = plans.iter().filter(|plan| plan.faults.crashes.is_none()).count();
    assert!((40..95).contains(&off), "each class is off in a third of the plans: {off} of 199");
}
