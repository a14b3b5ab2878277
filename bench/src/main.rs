//! Side-by-side measurements: this project and its peers, the same load, the same machine, in turns.
//!
//! A [`suite`] measures one thing on both sides at several points; a [`bar`] is one ratio of it, with what
//! it must be and what we aim for. [`run`] takes the sides in turn, peer and ours, each in a process of
//! its own, at least five times; only ratios within one pair are compared, because the machine's speed
//! drifts. [`report`] prints the table and the JSON.
//!
//! CPU per operation stands beside every rate: on few cores, shared by servers and clients, it is what
//! throughput means, and it moves far less than the rate does.

#![forbid(unsafe_code)]
// A benchmark measures the wall clock and drives blocking threads; nothing here runs in the simulator.
#![allow(clippy::disallowed_methods)]
// Without the peers, some of what serves both sides has no caller.
#![cfg_attr(not(feature = "peers"), allow(dead_code))]

mod awake;
mod bar;
mod cluster;
mod load;
mod measure;
mod ours;
mod peers;
mod report;
mod run;
mod sample;
mod suite;
mod suites;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::awake::Awake;
use crate::run::Verdict;
use crate::suite::{Plan, Side, Suite};

/// Measures this project beside its peers and prints a table with ratios.
///
/// Exits with 0 when every bar that was measured is met, with 2 when one is missed (never in a smoke run),
/// with 1 when a measurement went wrong.
#[derive(Parser)]
#[command(name = "bench")]
struct Options {
    /// Only bars whose name contains this, e.g. `core`, `cluster/64`.
    name: Option<String>,
    /// Write one object per bar to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A smoke run: one short pair each. Not a measurement.
    #[arg(long, global = true)]
    quick: bool,
    /// List the bars and stop.
    #[arg(long)]
    list: bool,
    /// Where data directories go while measuring; must be on a real disk.
    #[arg(long, global = true, value_name = "DIR", default_value = "target/bench-data")]
    dir: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Takes one side of one suite once and prints its figures as JSON.
    Sample {
        /// The suite.
        suite: String,
        /// Which side.
        side: Side,
    },
    /// Prints what the disk under --dir allows: latency of a 4 KiB write with fdatasync.
    Disk,
    /// The other side of a transport that is measured, until the standard input ends.
    #[command(hide = true)]
    Far {
        /// What it talks over.
        over: ours::transports::Over,
    },
    /// Keeps all processors awake until the standard input ends.
    #[command(hide = true)]
    Spin,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let suites = suites::all();
    let done = match &options.command {
        Some(Command::Sample { suite, side }) => sample(&suites, suite, *side, &options),
        Some(Command::Disk) => {
            disk(&options).map(|p50| println!("p50 {p50:.0} µs")).map_err(Into::into)
        }
        Some(Command::Spin) => awake::spin().map_err(Into::into),
        Some(Command::Far { over }) => {
            ours::transports::far::run(*over, &options.dir).map_err(|why| format!("{why:?}").into())
        }
        None if options.list => {
            list(&suites);
            Ok(())
        }
        None => return measure(&suites, &options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn list(suites: &[Box<dyn Suite>]) {
    for suite in suites {
        println!("{}: {}", suite.name(), suite.about());
        for bar in suite.bars() {
            let unit = bar.unit.unwrap_or("x");
            let bound = bar.bound.word();
            println!("  {}: {bound} {} {unit}, aim {} {unit}", bar.name, bar.must, bar.aim);
        }
    }
}

type Failed = Box<dyn std::error::Error>;

fn sample(
    suites: &[Box<dyn Suite>],
    name: &str,
    side: Side,
    options: &Options,
) -> Result<(), Failed> {
    let suite = suites.iter().find(|suite| suite.name() == name).ok_or("no such suite")?;
    // Absolute, and this process' own: servers are started in it.
    let dir = std::path::absolute(&options.dir)?.join(format!("{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let plan = Plan::new(options.quick, dir);
    let awake = suite.waits_for_the_disk().then(Awake::start).transpose()?;
    let measured = match side {
        Side::Ours => suite.ours(&plan),
        Side::Peer => suite.peer(&plan),
    };
    drop(awake);
    std::fs::remove_dir_all(&plan.dir)?;
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

fn disk(options: &Options) -> std::io::Result<f64> {
    std::fs::create_dir_all(&options.dir)?;
    let _awake = Awake::start()?;
    peers::floor::disk_p50_us(&options.dir)
}

fn measure(suites: &[Box<dyn Suite>], options: &Options) -> ExitCode {
    let plan = Plan::new(options.quick, options.dir.clone());
    let wanted = |name: &str| options.name.as_ref().is_none_or(|part| name.contains(part.as_str()));
    if options.quick {
        println!("--quick: a smoke run, not a measurement");
    }
    let mut outcomes = Vec::new();
    for suite in suites {
        if suite.bars().iter().any(|bar| wanted(bar.name)) {
            let waits = suite.waits_for_the_disk();
            let disk_p50_us = waits.then(|| disk(options).unwrap_or(f64::NAN));
            let mut some = run::run(suite.as_ref(), &plan, |bar| wanted(bar.name));
            some.iter_mut().for_each(|outcome| outcome.disk_p50_us = disk_p50_us);
            println!("\n{}: {}", suite.name(), suite.about());
            print!("{}{}", report::disk(disk_p50_us), report::table(&some));
            outcomes.extend(some);
        }
    }
    if outcomes.is_empty() {
        eprintln!("error: no bar has that in its name; --list lists them");
        return ExitCode::FAILURE;
    }
    if let Some(file) = &options.json {
        let text = format!("{:#}\n", report::json(&outcomes, options.quick));
        if let Err(error) = std::fs::write(file, text) {
            eprintln!("error: {}: {error}", file.display());
            return ExitCode::FAILURE;
        }
    }
    let count =
        |wanted: fn(&Verdict) -> bool| outcomes.iter().filter(|o| wanted(&o.verdict)).count();
    let met = count(|v| matches!(v, Verdict::Measured { met: true, .. }));
    let missed = count(|v| matches!(v, Verdict::Measured { met: false, .. }));
    let failed = count(|v| matches!(v, Verdict::Failed(_)));
    let skipped = count(|v| matches!(v, Verdict::Skipped(_)));
    println!("{met} bars met, {missed} missed, {failed} failed to run, {skipped} skipped");
    match (failed, missed) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) if options.quick => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(2),
        _ => ExitCode::FAILURE,
    }
}
