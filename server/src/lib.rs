//! The program `shardkv`, which is all of [`main`]: runs nodes of a replicated key/value store, and talks to them.
//!
//! One thread runs everything but the disk, whose calls block threads of their own: a hand-off between
//! threads costs more than the work on either side of it.
#![forbid(unsafe_code)]

mod bench;
mod cli;
mod client;
mod config;
#[cfg(feature = "decoders")]
#[doc(hidden)]
pub mod decoders;
mod exit;
mod logging;
mod node;
mod records;
mod run;
mod units;
mod wire;

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches};

use cli::{Cli, Command, ConfigCommand, InspectCommand, ServerArgs};
use config::Config;
use exit::{Done, Failure, report};
use logging::LogFormat;

/// Does what the command line says.
pub fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    report(dispatch(cli, &matches))
}

fn dispatch(cli: Cli, matches: &ArgMatches) -> Done {
    let Cli { log, command } = cli;
    let format = log.log_format.unwrap_or(LogFormat::Text);
    let level = log.log_level.clone().unwrap_or_else(|| "error".to_owned());
    let config = |args: &ServerArgs| settings(args, &log, matches);
    match command {
        Command::Server(args) => {
            let config = config(&args)?;
            logging::start(config.log_format.value, &config.log_level.value)?;
            return block_on(run::server(config));
        }
        Command::Config(ConfigCommand::Show(args)) => {
            return run::print(config(&args)?.to_string().as_bytes());
        }
        Command::Config(ConfigCommand::Example) => return run::print(config::EXAMPLE.as_bytes()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "shardkv", &mut script);
            return run::print(&script);
        }
        _ => logging::start(format, &level)?,
    }
    match command {
        Command::Demo(args) => block_on(run::demo(args)),
        Command::Get(args) => block_on(run::get(args)),
        Command::Put(args) => block_on(run::put(args)),
        Command::Append(args) => block_on(run::append(args)),
        Command::Del(args) => block_on(run::del(args)),
        Command::Cas(args) => block_on(run::cas(args)),
        Command::Scan(args) => block_on(run::scan(args)),
        Command::Status(args) => block_on(run::status(args)),
        Command::Shard(command) => block_on(run::shard(command)),
        Command::Member(command) => block_on(run::member(command)),
        Command::Leader(command) => block_on(run::leader(command)),
        Command::Import(args) => block_on(run::import(args)),
        Command::Export(args) => block_on(run::export(args)),
        Command::Bench(args) => block_on(bench::bench(args)),
        Command::Certs(command) => run::certs(command),
        Command::Inspect(InspectCommand::Wal { dir }) => block_on(run::inspect_wal(&dir)),
        Command::Server(_) | Command::Config(_) | Command::Completions { .. } => Ok(()),
    }
}

/// The effective settings of the innermost subcommand, which is the one that has their flags.
fn settings(
    args: &ServerArgs,
    log: &cli::LogFlags,
    matches: &ArgMatches,
) -> Result<Config, Failure> {
    let mut innermost = matches;
    while let Some((_, inner)) = innermost.subcommand() {
        innermost = inner;
    }
    config::load(&args.flags, log, args.config.as_deref(), innermost)
}

/// Runs a command on this thread. At the end nothing is waited for: a disk that hangs must not keep a
/// node that has failed from ending.
fn block_on(command: impl Future<Output = Done>) -> Done {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::refused(format!("cannot start: {error}")))?;
    let done = runtime.block_on(command);
    runtime.shutdown_background();
    done
}
