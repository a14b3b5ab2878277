//! `cargo xtask soak`: three real processes with logs on disk, under load, and faults: kill -9, SIGSTOP, torn
//! writes.
//!
//! Two workloads run all the time. `shardkv import` loads a real data set again and again, and what `export`
//! gives at the end must be the input, byte for byte. The appender (`server/examples/appender.rs`) appends
//! unique tokens, and every one that was acknowledged must be there once, where its reply said. At the end
//! all replicas have the same digest; and all of it again after a cold restart.
//!
//! A fault counts only if writes of both workloads were acknowledged before it and after it; a run that
//! had too few faults fails.

mod check;
mod cluster;
mod data;
mod faults;
mod import;
mod layout;
mod load;
mod netns;
mod options;
mod random;
mod sharded;
mod status;
mod tokens;
mod torn;
mod transport;
mod view;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::cargo::{cargo, root, stream};
use crate::stage::{Counts, Ended};
use cluster::{Cluster, eventually};
use data::Data;
use faults::{Done, FIRST, seconds};
use import::{Imports, Slot};
use layout::Layout;
use options::{HELP, Options};
use random::Random;
use tokens::Appender;

/// A run that is under way.
struct Soak {
    // In the order in which they are to end.
    appender: Appender,
    imports: Imports,
    cluster: Cluster,
    dir: PathBuf,
    done: Done,
    random: Random,
    begun: Instant,
}

/// `cargo xtask soak ARGS`.
pub(crate) fn run(args: &[String]) -> Result<ExitCode, String> {
    if args.iter().any(|arg| ["--help", "-h"].contains(&arg.as_str())) {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    let options = Options::parse(args)?;
    if let Some(why) = options.netns.then(netns::missing).flatten() {
        println!("skipped: {why}");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(if soak(options)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The short form, as a stage of `test-all`.
pub(crate) fn short() -> Result<Ended, String> {
    stage(&["--short"])
}

/// The same, with TLS between all of them.
pub(crate) fn short_tls() -> Result<Ended, String> {
    stage(&["--short", "--transport", "tls"])
}

/// The first, of a sharded cluster.
pub(crate) fn short_sharded() -> Result<Ended, String> {
    stage(&["--short", "--sharded"])
}

/// Five nodes on five hosts, or nearly so.
pub(crate) fn short_netns() -> Result<Ended, String> {
    match netns::missing() {
        Some(why) => Ok(Ended::Skipped(why)),
        None => stage(&["--short", "--netns"]),
    }
}

fn stage(args: &[&str]) -> Result<Ended, String> {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    Ok(Ended::Ran(Counts::of(soak(Options::parse(&args)?)?)))
}

/// Whether everything held. The directory of a run that failed is kept.
fn soak(options: Options) -> Result<bool, String> {
    if options.netns {
        return netns::run(options);
    }
    let Some(programs) = build(options.short)? else { return Ok(false) };
    // Below `target` and not in /tmp, which may be memory: a log belongs on a disk.
    let dir = root().join(format!("target/soak/{}", std::process::id()));
    fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    println!("seed {}, in {}", options.seed, dir.display());
    let ran = match options.sharded {
        true => sharded::run(&dir, &programs, options),
        false => Soak::start(&dir, &programs, options).and_then(|mut soak| {
            soak.faults(options)?;
            soak.end()
        }),
    };
    match ran {
        Ok(line) => {
            println!("{line}");
            // What is left over is of no use.
            let _ = fs::remove_dir_all(&dir);
            Ok(true)
        }
        Err(error) => {
            println!(
                "FAILED: {error}\nlogs and data are kept in {}; the same faults again: cargo xtask soak \
                 --seed {} --transport {}{}{}",
                dir.display(),
                options.seed,
                options.transport.name(),
                if options.sharded { " --sharded" } else { "" },
                if options.short { " --short" } else { "" }
            );
            Ok(false)
        }
    }
}

/// Builds `shardkv` and the appender; the directory they are in.
fn build(short: bool) -> Result<Option<PathBuf>, String> {
    let mut command =
        cargo(&["build", "-p", "shardkv-server", "--bin", "shardkv", "--example", "appender"]);
    if !short {
        command.arg("--release");
    }
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    // TARGET/debug/xtask
    let target = own.ancestors().nth(2).ok_or("xtask is not in a target directory")?;
    let profile = if short { "debug" } else { "release" };
    Ok(stream(&mut command, |_| ())?.then(|| target.join(profile)))
}

impl Soak {
    fn start(dir: &Path, programs: &Path, options: Options) -> Result<Self, String> {
        let (begun, seed) = (Instant::now(), options.seed);
        let program = programs.join("shardkv");
        let mut cluster = Cluster::new(dir, program, Layout::Plain, options.transport)?;
        (0..3).try_for_each(|node| cluster.start(node))?;
        let (leader, term) = cluster.leader()?;
        let data = Data::load()?;
        println!(
            "{:7.1} s  three nodes run, node {} leads (term {term}); importing the {} lines of {}",
            begun.elapsed().as_secs_f64(),
            leader + 1,
            data.lines.len(),
            data.from
        );
        let (imports, appender) = load::start(&cluster, data, dir, programs, seed)?;
        let (dir, done, random) = (dir.to_owned(), Done::default(), Random::new(seed));
        Ok(Self { appender, imports, cluster, dir, done, random, begun })
    }

    fn tell(&self, what: &str) {
        println!("{:7.1} s  {what}", self.begun.elapsed().as_secs_f64());
    }

    fn faults(&mut self, options: Options) -> Result<(), String> {
        FIRST.into_iter().try_for_each(|fault| self.inflict(fault))?;
        while self.begun.elapsed() < Duration::from_secs(60 * options.minutes) {
            let fault = self.random_fault();
            self.inflict(fault)?;
        }
        Ok(())
    }

    /// Ends the workloads and checks everything; the line that sums up.
    fn end(mut self) -> Result<String, String> {
        self.floors()?;
        let slots = self.imports.finish()?;
        self.appender.finish()?;
        self.tell("the import and the appender have ended; no more faults");
        self.same_state()?;
        let unknown_done = self.contents(&slots)?;
        self.cluster.stop_all()?;
        (0..3).try_for_each(|node| self.cluster.sound_log(node))?;
        (0..3).try_for_each(|node| self.cluster.start(node))?;
        self.tell("stopped all nodes, their logs are sound, and started them again");
        self.same_state()?;
        self.contents(&slots)?;
        Ok(self.sum(unknown_done))
    }

    /// A run that had too few faults proves nothing.
    fn floors(&self) -> Result<(), String> {
        let Done { leader_kills, follower_pauses, torn_writes, .. } = &self.done;
        match leader_kills.len() >= 3 && *follower_pauses >= 1 && *torn_writes >= 1 {
            true => Ok(()),
            false => Err(format!(
                "too few faults: {} leader kills, {follower_pauses} pauses, {torn_writes} torn writes",
                leader_kills.len()
            )),
        }
    }

    /// Equal applied indexes and equal digests.
    fn same_state(&mut self) -> Result<(), String> {
        let mut last = Vec::new();
        let same = eventually("all replicas have the same state", || {
            self.cluster.all_run()?;
            last = self.cluster.status()?;
            let (first, rest) = last.split_first().ok_or("no node")?;
            let same = first.reachable
                && rest.iter().all(|row| {
                    (row.applied, row.keys, &row.digest)
                        == (first.applied, first.keys, &first.digest)
                });
            Ok(same.then(|| first.clone()))
        });
        let row = same.map_err(|error| format!("{error}; they say {last:?}"))?;
        if last.iter().any(|row| row.snapshot.is_none()) {
            return Err(format!("a node has never taken a snapshot: {last:?}"));
        }
        self.tell(&format!(
            "equal state on all three: applied {}, {} keys, digest {}",
            row.applied, row.keys, row.digest
        ));
        Ok(())
    }

    fn contents(&self, slots: &[Slot]) -> Result<u64, String> {
        let (line, unknown_done) =
            check::contents(&self.cluster, &self.dir, slots, &self.appender.told())?;
        self.tell(&line);
        Ok(unknown_done)
    }

    fn sum(&self, unknown_done: u64) -> String {
        let (done, told) = (&self.done, self.appender.told());
        let counted = |what: &str, spans: &[Duration]| {
            let mut spans = spans.to_vec();
            spans.sort_unstable();
            match spans.last() {
                None => format!("0 {what}"),
                Some(max) => format!(
                    "{} {what} (downtime median {}, max {})",
                    spans.len(),
                    seconds(spans[spans.len() / 2]),
                    seconds(*max)
                ),
            }
        };
        [
            format!("soak: {:.0} s", self.begun.elapsed().as_secs_f64()),
            format!("{} records in {} imports", self.imports.records(), self.imports.rounds()),
            format!(
                "{} appends acknowledged, {} unknown ({unknown_done} done), {} sent again",
                told.acks(),
                told.unknown(),
                told.sent_again
            ),
            counted("leader kills", &done.leader_kills),
            counted("leader pauses", &done.leader_pauses),
            format!("{} follower kills", done.follower_kills),
            format!("{} follower pauses", done.follower_pauses),
            counted("kills of all", &done.kills_of_all),
            counted("restarts of all", &done.restarts),
            format!("{} torn writes", done.torn_writes),
            "0 violations".to_owned(),
        ]
        .join("; ")
    }
}
