//! `cargo xtask bench`: builds the server and the bench in release mode, and runs the bench.

use std::process::ExitCode;

use crate::cargo::{cargo, stream};

/// Passes `args` on to the bench.
pub(crate) fn run(args: &[String]) -> Result<ExitCode, String> {
    if !stream(&mut cargo(&["build", "--release", "-p", "shardkv-server"]), |_| ())? {
        return Ok(ExitCode::FAILURE);
    }
    let mut command =
        cargo(&["run", "--release", "-p", "shardkv-bench", "--features", "peers", "--"]);
    let status = command.args(args).status().map_err(|error| error.to_string())?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, Into::into))
}
