//! The hunt with the ordinary tests: for each bug the list names one that must fail.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::bugs::PlantedBug;
use super::child;
use super::{Fate, Hunt, planted_cargo};
use crate::cargo::root;
use crate::stage::Counts;

/// Test programs by the arguments of `cargo test` that build them.
pub(super) struct Tests(BTreeMap<&'static str, Program>);

struct Program {
    path: PathBuf,
    /// Tests run where their package is.
    dir: PathBuf,
    /// Which of its tests to run; all if none is named.
    filter: Vec<&'static str>,
}

impl Tests {
    pub(super) fn build(bugs: impl Iterator<Item = PlantedBug>) -> Result<Self, String> {
        let mut programs = BTreeMap::new();
        for bug in bugs {
            if !programs.contains_key(bug.test()) {
                println!("cargo test {}", bug.test());
                programs.insert(bug.test(), Program::build(bug.test())?);
            }
        }
        Ok(Self(programs))
    }
}

impl Program {
    fn build(args: &'static str) -> Result<Self, String> {
        let (build, filter) = args.split_once(" -- ").unwrap_or((args, ""));
        let mut words: Vec<&str> = build.split_whitespace().collect();
        let package = words.get(1).copied().unwrap_or_default();
        let dir = root().join(package);
        words.splice(0..0, ["test", "--no-run"]);
        let output = planted_cargo(&words).stdout(Stdio::null()).output();
        let output = output.map_err(|error| format!("cargo: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let path = said.lines().find_map(executable);
        let path = path.ok_or_else(|| format!("cargo test {args} does not build:\n{said}"))?;
        let filter = filter.split_whitespace().collect();
        Ok(Self { path: root().join(path), dir, filter })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.filter).current_dir(&self.dir);
        command.env("CARGO_MANIFEST_DIR", &self.dir).env_remove("PLANTED_BUG");
        command
    }
}

/// The program that cargo names in a line `Executable tests/x.rs (target/…/x-0123)`.
fn executable(line: &str) -> Option<&str> {
    let (_, path) = line.trim().strip_prefix("Executable ")?.split_once('(')?;
    path.strip_suffix(')')
}

impl Hunt for Tests {
    fn check_without_a_bug(&self, _: &[PlantedBug], limit: Duration) -> Result<(), String> {
        for (args, program) in &self.0 {
            let ended = child::run(program.command(), limit)?;
            let passed = |printed: &str| {
                printed.lines().map(|line| Counts::in_line(line).passed).sum::<u64>()
            };
            if !ended.is_some_and(|ended| ended.status.success() && passed(&ended.printed) > 0) {
                return Err(format!("cargo test {args} does not pass without a bug"));
            }
        }
        Ok(())
    }

    fn hunt(&self, bug: PlantedBug, limit: Duration) -> Result<Fate, String> {
        let program = self.0.get(bug.test()).ok_or("a test that was not built")?;
        let mut command = program.command();
        command.env("PLANTED_BUG", bug.name());
        let Some(ended) = child::run(command, limit)? else { return Ok(Fate::TimeUp) };
        let failed: u64 = ended.printed.lines().map(|line| Counts::in_line(line).failed).sum();
        Ok(match ended.printed.lines().find_map(failed_test) {
            Some(name) if failed > 0 => Fate::Found { by: name.to_owned(), seed: None },
            _ if ended.status.success() => Fate::Missed,
            _ => Fate::Broken(format!("{}, and no test failed", ended.status)),
        })
    }
}

/// The test that failed, by a line of libtest.
fn failed_test(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... FAILED")
}

#[cfg(test)]
mod checks {
    use super::*;

    #[test]
    fn what_cargo_and_libtest_print_is_read() {
        let line = "  Executable tests/crash.rs (target/planted/debug/deps/crash-0a1b)";
        assert_eq!(executable(line), Some("target/planted/debug/deps/crash-0a1b"));
        let line = "  Executable unittests src/lib.rs (/t/debug/deps/kv-1)";
        assert_eq!(executable(line), Some("/t/debug/deps/kv-1"));
        assert_eq!(executable("   Compiling kv v0.1.0 (/home/user/kv)"), None);
        assert_eq!(failed_test("test model::agrees ... FAILED"), Some("model::agrees"));
        assert_eq!(failed_test("test model::agrees ... ok"), None);
    }
}
