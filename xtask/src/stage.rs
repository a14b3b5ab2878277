//! A stage of `test-all`, and the story they make together.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Checks that passed, failed and were skipped: a stage that is one check counts as one, a stage that runs
/// tests counts them.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Counts {
    pub(crate) const PASSED: Self = Self { passed: 1, failed: 0, skipped: 0 };
    pub(crate) const FAILED: Self = Self { passed: 0, failed: 1, skipped: 0 };
    pub(crate) const SKIPPED: Self = Self { passed: 0, failed: 0, skipped: 1 };

    /// One check.
    pub(crate) fn of(passed: bool) -> Self {
        if passed { Self::PASSED } else { Self::FAILED }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// The counts in a line of libtest, `test result: ok. 3 passed; 0 failed; 1 ignored; …`; zero of any
    /// other line.
    pub(crate) fn in_line(line: &str) -> Self {
        let Some((_, rest)) = line.split_once("test result: ") else { return Self::default() };
        let number = |what: &str| {
            rest.split([';', '.'])
                .find_map(|part| part.trim().strip_suffix(what)?.trim().parse().ok())
        };
        let count = |what| number(what).unwrap_or(0);
        Self { passed: count("passed"), failed: count("failed"), skipped: count("ignored") }
    }
}

/// How a stage ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// It ran; what it counted.
    Ran(Counts),
    /// It cannot run here, for this reason.
    Skipped(String),
    /// It could not be carried out.
    Broken(String),
}

/// A stage that has ended.
struct Line {
    name: &'static str,
    ended: Ended,
    took: Duration,
}

/// Runs stages one after the other, whether the ones before failed or not.
#[derive(Default)]
pub(crate) struct Story {
    lines: Vec<Line>,
}

impl Story {
    /// Runs a stage and says so.
    pub(crate) fn stage(
        &mut self,
        name: &'static str,
        run: impl FnOnce() -> Result<Ended, String>,
    ) {
        println!("\n== {name}");
        let start = Instant::now();
        let ended = run().unwrap_or_else(Ended::Broken);
        match &ended {
            Ended::Skipped(why) => println!("skipped: {why}"),
            Ended::Broken(why) => println!("failed: {why}"),
            Ended::Ran(_) => {}
        }
        self.lines.push(Line { name, ended, took: start.elapsed() });
    }

    /// The sum of all stages.
    pub(crate) fn counts(&self, strict: bool) -> Counts {
        let mut sum = Counts::default();
        for line in &self.lines {
            sum.add(match &line.ended {
                Ended::Ran(counts) => *counts,
                Ended::Skipped(_) if !strict => Counts::SKIPPED,
                Ended::Skipped(_) | Ended::Broken(_) => Counts::FAILED,
            });
        }
        sum
    }

    /// A table of the stages, and the line that sums them up, alone on the last line.
    pub(crate) fn tell(&self, strict: bool) -> String {
        let mut text = String::from("\n");
        let width = self.lines.iter().map(|line| line.name.len()).max().unwrap_or(0);
        for Line { name, ended, took } in &self.lines {
            let took = took.as_secs_f64();
            let said = match ended {
                Ended::Ran(Counts::PASSED) => "passed".to_owned(),
                Ended::Ran(Counts::FAILED) => "FAILED".to_owned(),
                Ended::Ran(counts) => counts.to_string(),
                Ended::Skipped(why) => format!("skipped: {why}"),
                Ended::Broken(why) => format!("FAILED: {}", why.lines().next().unwrap_or(why)),
            };
            let _ = writeln!(text, "{name:<width$}  {took:>7.1} s  {said}");
        }
        let total: f64 = self.lines.iter().map(|line| line.took.as_secs_f64()).sum();
        let _ = writeln!(text, "{:<width$}  {total:>7.1} s\n", "");
        let _ = writeln!(text, "{}", self.counts(strict));
        text
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtests_lines_are_counted_and_others_are_not() {
        let line = "test result: FAILED. 12 passed; 2 failed; 3 ignored; 0 measured; 4 filtered out; \
                    finished in 0.52s";
        assert_eq!(Counts::in_line(line), Counts { passed: 12, failed: 2, skipped: 3 });
        assert_eq!(Counts::in_line("test raft::elects ... ok"), Counts::default());
    }

    #[test]
    fn the_story_ends_with_the_sum_alone_on_its_line() {
        let mut story = Story::default();
        story.stage("fmt", || Ok(Ended::Ran(Counts::PASSED)));
        story.stage("tests", || Ok(Ended::Ran(Counts { passed: 40, failed: 1, skipped: 2 })));
        story.stage("soak", || Ok(Ended::Skipped("no time".into())));
        story.stage("doc", || Err("no cargo".into()));
        assert_eq!(story.tell(false).lines().last(), Some("41 passed, 2 failed, 3 skipped"));
        assert_eq!(story.counts(true), Counts { passed: 41, failed: 3, skipped: 2 });
    }
}
