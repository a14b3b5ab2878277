//! Each class of faults of groups alone: it does what it is called, and everything holds.

mod swarm_support;

use raft_sim::cluster::Wire;
use raft_sim::kv::Patience;
use raft_sim::shardkv::{GroupFaults, Layout, ShardPlan, ShardSuite};
use raft_sim::swarm::{Faults, Planned, Scale, Tally};
use swarm_support::{did_not_happen, happened};

/// What happens in a few seeds in which only what `keep` keeps goes wrong, with groups and not with nodes.
fn alone(keep: impl Fn(&mut GroupFaults) -> bool) -> Tally {
    swarm_support::alone(ShardSuite, |plan| {
        plan.faults = Faults::default();
        plan.load.trouble = 0;
        // What is given up is in doubt, though nothing goes wrong: a shard that moves may take longer than that.
        plan.load.patience = Patience::Endless;
        plan.setting.nodes >= 3 && keep(&mut plan.group_faults)
    })
}

#[test]
fn nothing() {
    let seen = alone(|faults| {
        *faults = GroupFaults::default();
        true
    });
    happened(&seen, &["joins", "leaves", "moves", "shards moved", "keys moved", "sessions moved"]);
    did_not_happen(&seen, &["messages lost", "kill", "rift", "disk lost", "unknown"]);
}

#[test]
fn rifts() {
    let seen = alone(|faults| {
        *faults = GroupFaults { rifts: faults.rifts.take(), ..GroupFaults::default() };
        faults.rifts.is_some()
    });
    happened(&seen, &["rift", "one-way rift", "messages lost", "shards moved"]);
    did_not_happen(&seen, &["kill", "outage of a group", "disk lost"]);
}

#[test]
fn outages() {
    let seen = alone(|faults| {
        *faults = GroupFaults { outages: faults.outages.take(), ..GroupFaults::default() };
        faults.outages.is_some()
    });
    happened(&seen, &["outage of a group", "power loss, nothing kept", "moves resumed"]);
    did_not_happen(&seen, &["rift", "disk lost"]);
}

#[test]
fn lost_disks() {
    let seen = alone(|faults| {
        *faults = GroupFaults { lost_disks: faults.lost_disks.take(), ..GroupFaults::default() };
        faults.lost_disks.is_some()
    });
    happened(&seen, &["disk lost", "shards moved"]);
    did_not_happen(&seen, &["rift", "kill", "power loss, nothing kept"]);
}

#[test]
fn all_kinds_of_clusters_are_drawn() {
    let plans: Vec<ShardPlan> = (1..200).map(|seed| ShardSuite.draw(seed, Scale::Short)).collect();
    for layout in [Layout::Apart, Layout::Together] {
        assert!(plans.iter().any(|plan| plan.sharding.layout == layout), "{layout:?}");
    }
    for wire in [Wire::Messages, Wire::Streams] {
        assert!(plans.iter().any(|plan| plan.setting.wire == wire), "{wire:?}");
    }
    for shards in 1..=16 {
        assert!(plans.iter().any(|plan| plan.sharding.shards == shards), "{shards}");
    }
    for chunk_bytes in [1, 32 << 10] {
        assert!(plans.iter().any(|plan| plan.sharding.chunk_bytes == chunk_bytes), "{chunk_bytes}");
    }
    for off in [
        |plan: &ShardPlan| plan.group_faults.rifts.is_none(),
        |plan: &ShardPlan| plan.group_faults.outages.is_none(),
        |plan: &ShardPlan| plan.group_faults.lost_disks.is_none(),
    ] {
        let off = plans.iter().filter(|plan| off(plan)).count();
        assert!((40..95).contains(&off), "each class is off in a third of the plans: {off} of 199");
    }
}
