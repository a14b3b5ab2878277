//! The same seed makes the same run: twice in one process, and in two processes.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::process::Command;

use raft_sim::swarm::core::CoreSuite;
use raft_sim::swarm::{Campaign, Order, Recording, Scale, Seeds, Suite};

const SEEDS: u64 = 12;

fn hashes(threads: usize) -> BTreeMap<u64, u64> {
    let seeds = Seeds { from: 1, count: Some(SEEDS) };
    let order = Order { seeds, scale: Scale::Short, threads };
    Campaign::new(&CoreSuite, order).run(|_| (), |_| ControlFlow::Continue(())).hashes
}

#[test]
fn the_same_seed_twice_in_one_process() {
    let (one, other) = (hashes(1), hashes(2));
    assert_eq!(one.len(), SEEDS as usize);
    assert_eq!(one, other);
    // And the seed matters.
    let different: std::collections::BTreeSet<u64> = one.values().copied().collect();
    assert_eq!(different.len(), one.len());
}

#[test]
fn the_same_seed_in_two_processes() {
    let run = || {
        let mut program = Command::new(env!("CARGO_BIN_EXE_swarm"));
        program.args(["--suite", "core", "--seeds", "4", "--threads", "1"]);
        let output = program.output().expect("the program runs");
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().filter(|line| line.contains("trace ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let (one, other) = (run(), run());
    assert_eq!(one.len(), 4);
    assert_eq!(one, other);
    // And the same as in this process.
    for seed in 1..=4 {
        let outcome = CoreSuite.run(seed, Scale::Short, Recording::Hash);
        let trace = format!(
            "core seed {seed}: {:.1} s, trace {:016x},",
            outcome.simulated.as_secs_f64(),
            outcome.hash
        );
        assert!(
            one[seed as usize - 1].starts_with(&trace),
            "{trace} is not {}",
            one[seed as usize - 1]
        );
    }
}
