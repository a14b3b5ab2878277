//! `cargo xtask test-all`: every check there is, as a list of stages.

use std::process::{ExitCode, Stdio};

use crate::cargo::{cargo, stream};
use crate::stage::{Counts, Ended, Story};
use crate::{examples, no_std, readme, soak};

/// Runs all stages and tells how it went.
pub(crate) fn run(args: &[String]) -> Result<ExitCode, String> {
    let (mut quick, mut strict) = (false, false);
    for arg in args {
        match arg.as_str() {
            "--quick" => quick = true,
            "--strict" => strict = true,
            _ => {
                return Err(format!(
                    "test-all has no argument {arg:?}; it has --quick and --strict"
                ));
            }
        }
    }
    let mut story = Story::default();
    story.stage("format", || tool("rustfmt", &["fmt", "--all", "--", "--check"]));
    // The bench's peers are some 150 crates that nothing else needs.
    let peers: &[&str] = if quick { &[] } else { &["--features", "shardkv-bench/peers"] };
    story.stage("lints", || {
        let clippy = ["clippy", "--workspace", "--all-targets"];
        tool("clippy", &[&clippy, peers, &["--", "-D", "warnings"]].concat())
    });
    story.stage("documentation", || {
        let mut command = cargo(&["doc", "--workspace", "--no-deps"]);
        command.env("RUSTDOCFLAGS", "-D warnings");
        Ok(Ended::Ran(Counts::of(stream(&mut command, |_| ())?)))
    });
    story.stage("core without std", no_std::check);
    story.stage("tests", || {
        let tests = ["--workspace", "--no-fail-fast", "--lib", "--bins", "--tests", "--examples"];
        count(&[&["test"], &tests[..], peers].concat())
    });
    story.stage("documentation tests", || {
        count(&[&["test", "--workspace", "--no-fail-fast", "--doc"], peers].concat())
    });
    story.stage("examples", examples::check);
    story.stage("README", readme::check);
    story.stage("soak, short", soak::short);
    story.stage("soak over TLS, short", soak::short_tls);
    story.stage("soak of shards, short", soak::short_sharded);
    story.stage("soak in namespaces, short", soak::short_netns);
    print!("{}", story.tell(strict));
    Ok(if story.counts(strict).failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A cargo command that counts as one check and needs a component of the toolchain.
fn tool(component: &str, args: &[&str]) -> Result<Ended, String> {
    // `cargo fmt` and `cargo clippy` are programs of their own beside cargo.
    let there = cargo(&[args[0], "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        return Ok(Ended::Skipped(format!(
            "no {component}; try `rustup component add {component}`"
        )));
    }
    Ok(Ended::Ran(Counts::of(stream(&mut cargo(args), |_| ())?)))
}

/// A cargo command whose tests are counted.
fn count(args: &[&str]) -> Result<Ended, String> {
    let mut counts = Counts::default();
    let succeeded = stream(&mut cargo(args), |line| counts.add(Counts::in_line(line)))?;
    if !succeeded && counts.failed == 0 {
        // It did not compile, or a test ended its process: no line tells of that.
        counts.add(Counts::FAILED);
    }
    Ok(Ended::Ran(counts))
}
