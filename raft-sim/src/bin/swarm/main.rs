//! Runs swarms: whole configurations drawn from seeds. `cargo xtask sim` is this.
//!
//! Exits with 1 when a seed failed, or when a campaign covered too little.

#![forbid(unsafe_code)]

mod report;
mod watchdog;

use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use raft_sim::swarm::core::CoreSuite;
use raft_sim::swarm::{Campaign, Order, Recording, Scale, Seeds, Suite, Totals};

use report::Report;
use watchdog::Watchdog;

/// Runs production nodes in simulated worlds whose every detail comes from a seed.
#[derive(Parser)]
#[command(name = "swarm")]
struct Args {
    /// What is run.
    #[arg(long, value_enum, default_value = "all")]
    suite: Which,
    /// This seed only.
    #[arg(long, conflicts_with_all = ["seeds", "from", "minutes"])]
    seed: Option<u64>,
    /// How many seeds [default: 100, or as many as the minutes allow].
    #[arg(long)]
    seeds: Option<u64>,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// For so long, of real time; with several suites, for each.
    #[arg(long)]
    minutes: Option<u64>,
    /// Longer runs, of up to five simulated minutes.
    #[arg(long)]
    long: bool,
    /// Ends with the first seed that fails.
    #[arg(long)]
    stop_at_first: bool,
    /// Writes the last lines of the trace there, one JSON object each; of --seed.
    #[arg(long, requires = "seed")]
    trace: Option<PathBuf>,
    /// No line for each seed.
    #[arg(long)]
    quiet: bool,
    /// How many threads [default: as many as there are processors].
    #[arg(long)]
    threads: Option<usize>,
    /// How many runs to spend on making a failure smaller.
    #[arg(long, default_value_t = 60)]
    tries: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Which {
    Core,
    #[cfg(feature = "kv")]
    Kv,
    #[cfg(feature = "shardkv")]
    Shardkv,
    All,
}

impl Which {
    /// Suites are added here.
    fn suites(self) -> Vec<Box<dyn Suite>> {
        let mut suites: Vec<Box<dyn Suite>> = Vec::new();
        if matches!(self, Self::Core | Self::All) {
            suites.push(Box::new(CoreSuite));
        }
        #[cfg(feature = "kv")]
        if matches!(self, Self::Kv | Self::All) {
            suites.push(Box::new(raft_sim::kv::KvSuite));
        }
        #[cfg(feature = "shardkv")]
        if matches!(self, Self::Shardkv | Self::All) {
            suites.push(Box::new(raft_sim::shardkv::ShardSuite));
        }
        suites
    }
}

impl Args {
    fn order(&self) -> Order {
        let count = match (self.seed, self.seeds, self.minutes) {
            (Some(_), _, _) => Some(1),
            (None, Some(count), _) => Some(count),
            (None, None, Some(_)) => None,
            (None, None, None) => Some(100),
        };
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Order {
            seeds: Seeds { from: self.seed.unwrap_or(self.from), count },
            scale: if self.long { Scale::Long } else { Scale::Short },
            threads: self.threads.unwrap_or(processors),
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut held = true;
    for suite in args.suite.suites() {
        held &= campaign(&args, &*suite);
    }
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[allow(clippy::disallowed_methods, reason = "campaigns are timed, and not simulated")]
fn now() -> Instant {
    Instant::now()
}

/// Whether everything held, and enough was covered.
fn campaign(args: &Args, suite: &dyn Suite) -> bool {
    let (begun, order) = (now(), args.order());
    let deadline = args.minutes.map(|minutes| begun + Duration::from_secs(60 * minutes));
    let report = Report { suite: suite.name(), scale: order.scale };
    let watchdog = Watchdog::start(report);
    let totals = Campaign::new(suite, order).run(
        |seed| watchdog.begin(seed),
        |outcome| {
            watchdog.end(outcome.seed);
            if !args.quiet || outcome.verdict.is_err() {
                report.seed(outcome);
            }
            let stop = args.stop_at_first && outcome.verdict.is_err();
            let late = deadline.is_some_and(|deadline| now() >= deadline);
            if stop || late { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        },
    );
    let took = begun.elapsed();
    drop(watchdog);
    explain(args, suite, &totals, report);
    let below = totals.below(&suite.floors());
    report.totals(&totals, took, order.threads, &below);
    let begun = now();
    report.speed(&suite.calm(), begun.elapsed());
    let written = match (&args.trace, args.seed) {
        (Some(path), Some(seed)) => trace(suite, seed, order.scale, path),
        _ => Ok(()),
    };
    if let Err(error) = &written {
        println!("FAILED to write the trace: {error}");
    }
    totals.failed.is_empty() && below.is_empty() && written.is_ok()
}

/// Makes the first failure of each kind smaller.
fn explain(args: &Args, suite: &dyn Suite, totals: &Totals, report: Report) {
    let mut known = Vec::new();
    for outcome in &totals.failed {
        let Err(failure) = &outcome.verdict else { continue };
        if known.contains(&failure.by) || known.len() == 3 {
            continue;
        }
        known.push(failure.by.clone());
        let minimised = suite.minimise(outcome.seed, report.scale, failure, args.tries);
        report.minimised(outcome.seed, &minimised);
    }
}

fn trace(suite: &dyn Suite, seed: u64, scale: Scale, path: &Path) -> std::io::Result<()> {
    let outcome = suite.run(seed, scale, Recording::Lines);
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for line in &outcome.lines {
        writeln!(file, "{line}")?;
    }
    file.flush()
}
