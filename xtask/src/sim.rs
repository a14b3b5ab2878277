//! `cargo xtask sim`: runs swarms of simulated clusters, in release mode.

use std::process::ExitCode;

use crate::cargo::cargo;

/// Passes `args` on to the program `swarm`.
pub(crate) fn run(args: &[String]) -> Result<ExitCode, String> {
    let swarm =
        ["run", "--release", "-p", "raft-sim", "--features", "shardkv", "--bin", "swarm", "--"];
    let mut command = cargo(&swarm);
    let status = command.args(args).status().map_err(|error| error.to_string())?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, Into::into))
}
