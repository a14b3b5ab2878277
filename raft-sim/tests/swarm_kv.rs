//! Two hundred seeds of the key/value swarm, on two threads: each simulates 20 to 60 seconds of faults, and then the
//! time to recover. `cargo xtask sim --suite kv --seed N` runs one of them again.

use std::ops::ControlFlow;

use raft_sim::kv::KvSuite;
use raft_sim::swarm::{Campaign, Order, Scale, Seeds, Suite};

#[test]
fn two_hundred_seeds() {
    let seeds = Seeds { from: 1, count: Some(200) };
    let order = Order { seeds, scale: Scale::Short, threads: 2 };
    let totals = Campaign::new(&KvSuite, order).run(
        |_| (),
        |outcome| {
            if let Err(failure) = &outcome.verdict {
                println!("FAILED seed={} {failure}", outcome.seed);
            }
            ControlFlow::Continue(())
        },
    );
    let failed: Vec<u64> = totals.failed.iter().map(|outcome| outcome.seed).collect();
    assert_eq!(failed, [], "cargo xtask sim --suite kv --seed N");
    assert_eq!(totals.below(&KvSuite.floors()), [], "too little was covered");
    println!("{} seeds, {:?} simulated", totals.seeds, totals.simulated);
}
