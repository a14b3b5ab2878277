//! `cargo xtask fuzz`: lets libFuzzer look for inputs that break a decoder, one target after the other.
//!
//! What libFuzzer finds interesting is kept in `target/fuzz/corpus`, for the next run to go on from; the seeds in
//! `fuzz/corpus` are only read. An input that breaks something belongs there once it is fixed, so that it is tried
//! in each `test-all`.

use std::fs;
use std::process::{ExitCode, Stdio};

use crate::cargo::{cargo, root};

const HELP: &str = "\
Usage: cargo xtask fuzz [TARGET...] [--seconds N]

Fuzzes each TARGET, or all of them, for N seconds (default 60).

  --list       lists the targets
  --seconds N  how long each is fuzzed
";

/// No input is longer, which is more than any seed has; a frame may be, and would only be slower.
const INPUT_BYTES_MAX: u32 = 32 << 10;
/// Every allocation of a decoder is far below this.
const ALLOCATION_MB_MAX: u32 = 64;
const MEMORY_MB_MAX: u32 = 1024;
/// What takes longer than this for one input hangs.
const INPUT_SECONDS_MAX: u32 = 10;

/// `cargo xtask fuzz ARGS`.
pub(crate) fn run(args: &[String]) -> Result<ExitCode, String> {
    let all = targets()?;
    let (mut chosen, mut seconds) = (Vec::new(), 60);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--help" | "-h" => {
                print!("{HELP}");
                return Ok(ExitCode::SUCCESS);
            }
            "--list" => {
                all.iter().for_each(|target| println!("{target}"));
                return Ok(ExitCode::SUCCESS);
            }
            "--seconds" => {
                let number = args.next().and_then(|text| text.parse().ok());
                seconds = number.ok_or("--seconds needs a number")?;
            }
            target if all.iter().any(|name| name == target) => chosen.push(target.to_owned()),
            _ => return Err(format!("no target {arg:?}; `--list` lists them\n\n{HELP}")),
        }
    }
    needed()?;
    let chosen = if chosen.is_empty() { all } else { chosen };
    let failed: Vec<&String> = chosen.iter().filter(|target| !fuzz(target, seconds)).collect();
    println!("\n{} targets fuzzed for {seconds} s each, {} failed", chosen.len(), failed.len());
    for target in &failed {
        println!("failed: {target}; what broke it is in fuzz/artifacts/{target}");
    }
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn targets() -> Result<Vec<String>, String> {
    let folder = root().join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> =
        names.filter_map(|name| Some(name.strip_suffix(".rs")?.to_owned())).collect();
    names.sort();
    Ok(names)
}

/// What is not there is said, with the line that installs it.
fn needed() -> Result<(), String> {
    let there = |command: &mut std::process::Command| {
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    if !there(&mut cargo(&["fuzz", "--version"])) {
        return Err("no cargo-fuzz; try `cargo install cargo-fuzz`".to_owned());
    }
    if !there(std::process::Command::new("c++").arg("--version")) {
        return Err("no C++ compiler for libFuzzer; try `apt-get install g++`".to_owned());
    }
    Ok(())
}

/// Whether a target held.
fn fuzz(target: &str, seconds: u32) -> bool {
    println!("\n== {target}");
    let found = root().join("target/fuzz/corpus").join(target);
    let seeds = root().join("fuzz/corpus").join(target);
    if let Err(error) = fs::create_dir_all(&found) {
        println!("{}: {error}", found.display());
        return false;
    }
    let mut command = cargo(&["fuzz", "run", "--fuzz-dir", "fuzz", "--release", target]);
    command.args([found, seeds]).arg("--").args([
        format!("-max_total_time={seconds}"),
        format!("-max_len={INPUT_BYTES_MAX}"),
        format!("-malloc_limit_mb={ALLOCATION_MB_MAX}"),
        format!("-rss_limit_mb={MEMORY_MB_MAX}"),
        format!("-timeout={INPUT_SECONDS_MAX}"),
        "-print_final_stats=1".to_owned(),
        "-verbosity=1".to_owned(),
    ]);
    // Sanitizers are not a stable part of rustc. For this child alone, they are as good as stable.
    command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", root().join("target/fuzz"));
    match command.status() {
        Ok(status) => status.success(),
        Err(error) => {
            println!("cargo fuzz: {error}");
            false
        }
    }
}
