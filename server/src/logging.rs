//! Log lines, on stderr: what a node does is not the output of a command.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use crate::exit::{Done, Failure};

/// How log lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line, for machines.
    Json,
}

impl std::fmt::Display for LogFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// Sends log lines to stderr from now on. `level` is a level or a filter per module, as in
/// `info,raft_transport=debug`.
pub(crate) fn start(format: LogFormat, level: &str) -> Done {
    let filter = EnvFilter::try_new(level).map_err(|error| {
        Failure::usage(format!("log level `{level}`: {error}"))
            .hint("use error, warn, info, debug or trace, or a filter like `info,kv=debug`")
    })?;
    let colours = io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match format {
        LogFormat::Text => lines.with_ansi(colours).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| Failure::refused(format!("cannot start logging: {error}")))
}
