//! The seeds of the swarms that everybody runs, on two threads: each simulates 20 to 60 seconds of faults, and then the
//! time to recover. `cargo xtask sim --suite SUITE --seed N` runs one of them again.

use std::ops::ControlFlow;

use raft_sim::kv::KvSuite;
use raft_sim::shardkv::ShardSuite;
use raft_sim::swarm::core::CoreSuite;
use raft_sim::swarm::{Campaign, Order, Scale, Seeds, Suite};

fn hold(suite: &dyn Suite, count: u64) {
    let seeds = Seeds { from: 1, count: Some(count) };
    let order = Order { seeds, scale: Scale::Short, threads: 2 };
    let totals = Campaign::new(suite, order).run(
        |_| (),
        |outcome| {
            if let Err(failure) = &outcome.verdict {
                println!("FAILED seed={} {failure}", outcome.seed);
            }
            ControlFlow::Continue(())
        },
    );
    let failed: Vec<u64> = totals.failed.iter().map(|outcome| outcome.seed).collect();
    assert_eq!(failed, [], "cargo xtask sim --suite {} --seed N", suite.name());
    assert_eq!(totals.below(&suite.floors()), [], "too little was covered");
    println!("{} seeds, {:?} simulated", totals.seeds, totals.simulated);
}

#[test]
fn a_thousand_of_the_core() {
    hold(&CoreSuite, 1000);
}

#[test]
fn two_hundred_of_the_key_value_service() {
    hold(&KvSuite, 200);
}

#[test]
fn two_hundred_of_shards() {
    hold(&ShardSuite, 200);
}
