//! A thousand seeds of the core's swarm, on two threads: each simulates 20 to 60 seconds of faults, and then the
//! time to recover. `cargo xtask sim --suite core --seed N` runs one of them again.

use std::ops::ControlFlow;

use raft_sim::swarm::core::CoreSuite;
use raft_sim::swarm::{Campaign, Order, Scale, Seeds, Suite};

#[test]
fn a_thousand_seeds() {
    let seeds = Seeds { from: 1, count: Some(1000) };
    let order = Order { seeds, scale: Scale::Short, threads: 2 };
    let totals = Campaign::new(&CoreSuite, order).run(
        |_| (),
        |outcome| {
            if let Err(failure) = &outcome.verdict {
                println!("FAILED seed={} {failure}", outcome.seed);
            }
            ControlFlow::Continue(())
        },
    );
    let failed: Vec<u64> = totals.failed.iter().map(|outcome| outcome.seed).collect();
    assert_eq!(failed, [], "cargo xtask sim --suite core --seed N");
    assert_eq!(totals.below(&CoreSuite.floors()), [], "too little was covered");
    println!("{} seeds, {:?} simulated", totals.seeds, totals.simulated);
}
