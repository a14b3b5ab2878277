//! What is printed.

use std::time::Duration;

use raft_sim::swarm::{Minimised, Outcome, Scale, Totals};

/// Says how to run the same again.
#[derive(Clone, Copy)]
pub(crate) struct Report {
    pub(crate) suite: &'static str,
    pub(crate) scale: Scale,
}

/// The last lines of a trace that are shown.
const LINES: usize = 40;

impl Report {
    fn replay(self, seed: u64) -> String {
        let long = if self.scale == Scale::Long { " --long" } else { "" };
        format!("cargo xtask sim --suite {} --seed {seed}{long}", self.suite)
    }

    pub(crate) fn seed(self, outcome: &Outcome) {
        let Outcome { seed, simulated, hash, faults, verdict, .. } = outcome;
        let seconds = simulated.as_secs_f64();
        println!("{} seed {seed}: {seconds:.1} s, trace {hash:016x}, faults: {faults}", self.suite);
        if let Err(failure) = verdict {
            println!("FAILED seed={seed} {failure}");
            println!("replay: {}", self.replay(*seed));
        }
    }

    pub(crate) fn hangs(self, seed: u64, limit: Duration) {
        println!("FAILED seed={seed} by=hang: not done after {limit:?} of real time");
        println!("replay: {}", self.replay(seed));
    }

    pub(crate) fn minimised(self, seed: u64, minimised: &Minimised) {
        let Minimised { without, plan, failure, lines, tries } = minimised;
        println!("\nminimised seed={seed} in {tries} runs: {failure}");
        if !without.is_empty() {
            println!("it fails as well {}", without.join(", "));
        }
        println!("what is left:\n{plan}");
        println!("the last events:");
        for line in &lines[lines.len().saturating_sub(LINES)..] {
            println!("  {line}");
        }
    }

    /// Of a run without faults.
    pub(crate) fn speed(self, calm: &Outcome, took: Duration) {
        let speed = calm.simulated.as_secs_f64() / took.as_secs_f64().max(1e-9);
        println!(
            "speed: three nodes under load: {speed:.0} simulated seconds per second, on one thread"
        );
        if let Err(failure) = &calm.verdict {
            println!("FAILED without faults {failure}");
        }
    }

    pub(crate) fn totals(
        self,
        totals: &Totals,
        took: Duration,
        threads: usize,
        below: &[(&'static str, u64, u64)],
    ) {
        let simulated = totals.simulated.as_secs_f64();
        let speed = simulated / took.as_secs_f64().max(1e-9);
        println!(
            "\n{}: {} seeds, {:.2} simulated hours in {:.1} s: {speed:.0} simulated seconds per second on \
             {threads} threads",
            self.suite,
            totals.seeds,
            simulated / 3600.0,
            took.as_secs_f64(),
        );
        println!("faults: {}", totals.faults);
        println!("coverage: {}", totals.coverage);
        for (what, count, least) in below {
            println!("FAILED too little was covered: {what} {count}, of at least {least}");
        }
        match totals.failed.len() {
            0 => println!("no seed failed"),
            count => {
                let seeds: Vec<u64> = totals.failed.iter().map(|outcome| outcome.seed).collect();
                println!("{count} seeds FAILED: {seeds:?}");
            }
        }
    }
}
