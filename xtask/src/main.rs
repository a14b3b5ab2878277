//! Project tasks: `cargo xtask TASK`. Standard library only, so that it starts in seconds.

#![forbid(unsafe_code)]
// Tasks are timed by the wall clock; nothing here runs in the simulator.
#![allow(clippy::disallowed_methods)]

mod bench;
mod cargo;
mod examples;
mod fuzz;
mod mutants;
mod no_std;
mod readme;
mod sim;
mod soak;
mod stage;
mod test_all;

use std::process::ExitCode;

const HELP: &str = "\
Usage: cargo xtask TASK

Tasks:
  test-all [--quick] [--strict]   every check; ends in \"N passed, N failed, N skipped\"
                                  --quick: leaves out what takes longest
                                  --strict: what cannot run counts as failed
  soak [ARGS]                     three real processes under load that are killed and paused, and whose
                                  logs are torn; `cargo xtask soak --help` shows its arguments
  mutants [ARGS]                  plants one bug at a time and shows that each is found;
                                  `cargo xtask mutants --help` shows its arguments
  fuzz [TARGET...] [--seconds N]  fuzzes the decoders of bytes from outside, each for 60 seconds; needs
                                  cargo-fuzz
  sim [ARGS]                      simulated clusters under faults, everything drawn from seeds;
                                  `cargo xtask sim --help` shows its arguments
  bench [ARGS]                    measures this project beside its peers, in release mode;
                                  `cargo xtask bench --help` shows its own arguments
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.split_first() {
        Some((task, rest)) if task == "test-all" => test_all::run(rest),
        Some((task, rest)) if task == "bench" => bench::run(rest),
        Some((task, rest)) if task == "fuzz" => fuzz::run(rest),
        Some((task, rest)) if task == "mutants" => mutants::run(rest),
        Some((task, rest)) if task == "sim" => sim::run(rest),
        Some((task, rest)) if task == "soak" => soak::run(rest),
        Some((help, _)) if ["help", "--help", "-h"].contains(&help.as_str()) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Some((task, _)) => Err(format!("no task {task:?}\n\n{HELP}")),
        None => Err(format!("which task?\n\n{HELP}")),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(2)
    })
}
