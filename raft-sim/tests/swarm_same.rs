//! The same seed makes the same run: twice in one process, and in two processes.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::process::Command;

use raft_sim::shardkv::ShardSuite;
use raft_sim::swarm::core::CoreSuite;
use raft_sim::swarm::{Campaign, Order, Recording, Scale, Seeds, Suite};

const SEEDS: u64 = 12;
const SUITES: [(&str, &dyn Suite); 2] = [("core", &CoreSuite), ("shardkv", &ShardSuite)];

fn hashes(suite: &dyn Suite, threads: usize) -> BTreeMap<u64, u64> {
    let seeds = Seeds { from: 1, count: Some(SEEDS) };
    let order = Order { seeds, scale: Scale::Short, threads };
    Campaign::new(suite, order).run(|_| (), |_| ControlFlow::Continue(())).hashes
}

#[test]
fn the_same_seed_twice_in_one_process() {
    for (_, suite) in SUITES {
        let (one, other) = (hashes(suite, 1), hashes(suite, 2));
        assert_eq!(one.len(), SEEDS as usize);
        assert_eq!(one, other);
        // And the seed matters.
        let different: std::collections::BTreeSet<u64> = one.values().copied().collect();
        assert_eq!(different.len(), one.len());
    }
}

#[test]
fn the_same_seed_in_two_processes() {
    for (name, suite) in SUITES {
        let run = || {
            let mut program = Command::new(env!("CARGO_BIN_EXE_swarm"));
            program.args(["--suite", name, "--seeds", "4", "--threads", "1"]);
            let output = program.output().expect("the program runs");
            assert!(output.status.success());
            let text = String::from_utf8(output.stdout).expect("text");
            let lines = text.lines().filter(|line| line.contains("trace "));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let (one, other) = (run(), run());
        assert_eq!(one.len(), 4);
        assert_eq!(one, other);
        // And the same as in this process.
        for (line, seed) in one.iter().zip(1..) {
            let outcome = suite.run(seed, Scale::Short, Recording::Hash);
            let (simulated, hash) = (outcome.simulated.as_secs_f64(), outcome.hash);
            let trace = format!("{name} seed {seed}: {simulated:.1} s, trace {hash:016x},");
            assert!(line.starts_with(&trace), "{trace} is not {line}");
        }
    }
}
