//! The hunt with the simulator's swarm: seed after seed until one fails.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::bugs::{PlantedBug, Suite};
use super::child::{self, Ended};
use super::tests::Tests;
use super::{Fate, Hunt, planted_cargo};
use crate::cargo::{root, stream};

/// Seeds that have to pass without a bug.
const SEEDS_WITHOUT_A_BUG: u64 = 20;

pub(super) struct Swarm {
    program: PathBuf,
    seeds: u64,
    from: u64,
    /// For what no swarm can be asked to find.
    tests: Tests,
}

impl Swarm {
    pub(super) fn build(seeds: u64, from: u64, bugs: &[PlantedBug]) -> Result<Self, String> {
        let args = ["build", "-p", "raft-sim", "--features", "shardkv", "--bin", "swarm"];
        if !stream(&mut planted_cargo(&args), |_| ())? {
            return Err("the swarm does not build with the bugs in it".to_owned());
        }
        let name = format!("swarm{}", std::env::consts::EXE_SUFFIX);
        let program = root().join("target").join("planted").join("debug").join(name);
        let rare = bugs.iter().copied().filter(|bug| suite(*bug).is_none());
        Ok(Self { program, seeds, from, tests: Tests::build(rare)? })
    }

    fn command(&self, suite: &str, seeds: u64) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["--seeds", &seeds.to_string(), "--from", &self.from.to_string()]);
        command.args(["--suite", suite, "--stop-at-first"]);
        command.current_dir(root()).env_remove("PLANTED_BUG");
        command
    }
}

/// What the swarm calls the workload that has to find the bug.
fn suite(bug: PlantedBug) -> Option<&'static str> {
    match bug.suite() {
        Suite::Core => Some("core"),
        Suite::Kv => Some("kv"),
        Suite::Shardkv => Some("shardkv"),
        Suite::Tests => None,
    }
}

impl Hunt for Swarm {
    fn check_without_a_bug(&self, bugs: &[PlantedBug], limit: Duration) -> Result<(), String> {
        let suites: BTreeSet<_> = bugs.iter().copied().filter_map(suite).collect();
        for suite in suites {
            let ended = child::run(self.command(suite, SEEDS_WITHOUT_A_BUG), limit)?;
            if !ended.is_some_and(|ended| ended.status.success()) {
                return Err(format!("the swarm's suite {suite} does not pass without a bug"));
            }
        }
        self.tests.check_without_a_bug(bugs, limit)
    }

    fn hunt(&self, bug: PlantedBug, limit: Duration) -> Result<Fate, String> {
        let Some(suite) = suite(bug) else { return self.tests.hunt(bug, limit) };
        let mut command = self.command(suite, self.seeds);
        command.env("PLANTED_BUG", bug.name());
        Ok(child::run(command, limit)?.map_or(Fate::TimeUp, |ended| fate(&ended)))
    }
}

fn fate(ended: &Ended) -> Fate {
    match (ended.status.code(), ended.printed.lines().find_map(failure)) {
        (Some(0), _) => Fate::Missed,
        (Some(1), Some((seed, by))) => Fate::Found { by: by.to_owned(), seed: Some(seed) },
        _ => Fate::Broken(format!("{}, and no seed is named", ended.status)),
    }
}

/// The seed, and what found the bug, in a line `FAILED seed=7 by=log_matching: …`.
fn failure(line: &str) -> Option<(u64, &str)> {
    let (seed, rest) = line.strip_prefix("FAILED seed=")?.split_once(" by=")?;
    let by = rest.split_once(':').map_or(rest, |(by, _)| by);
    Some((seed.parse().ok()?, by))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_tells_of_a_failure_is_read() {
        let line = "FAILED seed=18446744073709551615 by=one_vote_per_term: n2 voted twice: t3";
        assert_eq!(failure(line), Some((u64::MAX, "one_vote_per_term")));
        assert_eq!(failure("FAILED seed=1 by=panic"), Some((1, "panic")));
        for other in ["seed=1 by=x: y", "FAILED seed=x by=y: z", "FAILED", "20 seeds passed"] {
            assert_eq!(failure(other), None, "{other}");
        }
    }
}
