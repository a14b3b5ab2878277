//! `cargo xtask mutants`: builds the planted bugs in, switches on one at a time, and shows that each is found.
//!
//! A check that has never failed proves little. The bugs are those of `raft-core/src/planted/bugs.rs`; the
//! simulator's swarm hunts them by default, the ordinary tests with `--tests`. First the same build must come
//! through without a bug: otherwise whatever it reports would say nothing.

mod args;
#[path = "../../../raft-core/src/planted/bugs.rs"]
#[allow(unreachable_pub, reason = "it is a part of raft-core's interface when bugs are planted")]
mod bugs;
mod child;
mod swarm;
mod table;
mod tests;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::cargo::{cargo, root};
use args::{Args, Hunter};
use bugs::PlantedBug;
use table::Table;

/// How the hunt for a bug ended.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Fate {
    /// Something failed, as it should.
    Found {
        /// The invariant, the checker or the test.
        by: String,
        /// The first seed that shows it, when there are seeds.
        seed: Option<u64>,
    },
    /// Everything passed.
    Missed,
    /// Time was up.
    TimeUp,
    /// It ended in a way that says nothing.
    Broken(String),
}

/// Something that hunts bugs.
trait Hunt {
    /// Fails unless the same checks pass without a bug.
    fn check_without_a_bug(&self, bugs: &[PlantedBug], limit: Duration) -> Result<(), String>;

    fn hunt(&self, bug: PlantedBug, limit: Duration) -> Result<Fate, String>;
}

/// Runs the task.
pub(crate) fn run(args: &[String]) -> Result<ExitCode, String> {
    let args = match args::parse(args)? {
        args::Parsed::Run(args) => args,
        args::Parsed::List => {
            for bug in PlantedBug::ALL {
                println!("{:<28} {}", bug.name(), bug.what());
            }
            return Ok(ExitCode::SUCCESS);
        }
        args::Parsed::Help => {
            print!("{}", args::HELP);
            return Ok(ExitCode::SUCCESS);
        }
    };
    match &args.hunter {
        Hunter::Swarm { seeds, from } => {
            hunt(&args, &swarm::Swarm::build(*seeds, *from, &args.bugs)?)
        }
        Hunter::Tests => hunt(&args, &tests::Tests::build(args.bugs.iter().copied())?),
    }
}

fn hunt(args: &Args, hunter: &impl Hunt) -> Result<ExitCode, String> {
    hunter.check_without_a_bug(&args.bugs, args.limit)?;
    let mut table = Table::begin(args.bugs.iter().map(|bug| bug.name()));
    for bug in &args.bugs {
        let start = Instant::now();
        let fate = hunter.hunt(*bug, args.limit)?;
        table.row(bug.name(), &fate, start.elapsed());
    }
    Ok(if table.end() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `cargo ARGS` with the bugs built in, in a target directory of its own: other flags would build everything
/// anew each time.
fn planted_cargo(args: &[&str]) -> Command {
    let mut command = cargo(args);
    let mut flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    flags.push_str(" --cfg planted_bugs");
    command.env("RUSTFLAGS", flags.trim_start());
    command.env("CARGO_TARGET_DIR", root().join("target").join("planted"));
    command
}

#[cfg(test)]
mod checks {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// The names of all bugs that stand in the sources under `dir`.
    fn planted_in(dir: &Path, into: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                planted_in(&path, into);
            } else if !path.ends_with("planted/mod.rs") && !path.ends_with("planted.rs") {
                let text = std::fs::read_to_string(&path).expect("text");
                let names = text.split("planted!(").skip(1).filter_map(|rest| rest.split_once(')'));
                into.extend(names.map(|(name, _)| name.to_owned()));
            }
        }
    }

    #[test]
    fn every_bug_of_the_list_is_planted_and_no_other() {
        let mut planted = BTreeSet::new();
        for package in ["raft-core", "raft-storage", "raft-transport", "kv", "shardkv"] {
            planted_in(&root().join(package).join("src"), &mut planted);
        }
        let listed: BTreeSet<String> =
            PlantedBug::ALL.iter().map(|bug| format!("{bug:?}")).collect();
        assert_eq!(planted, listed);
    }

    #[test]
    fn names_are_those_of_the_variants_in_lower_case() {
        for bug in PlantedBug::ALL {
            let mut name = String::new();
            for letter in format!("{bug:?}").chars() {
                if letter.is_uppercase() && !name.is_empty() {
                    name.push('-');
                }
                name.extend(letter.to_lowercase());
            }
            assert_eq!(bug.name(), name);
            assert!(!bug.what().is_empty() && !bug.what().contains('\n'));
        }
    }
}
