//! The commands that run nodes, and those that look at their files and settings.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::config::ServerFlags;
use crate::units::Span;

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How many nodes
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=9))]
    pub(crate) nodes: u64,
    /// Make the data directories here and keep them at the end; a second run goes on with them
    /// [default: a temporary folder that is removed at the end]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Do nothing by itself: no workload, and no leader that is stopped
    #[arg(long)]
    pub(crate) idle: bool,
    /// End by itself after this long [default: on Ctrl-C]
    #[arg(long = "for", value_name = "SPAN")]
    pub(crate) for_: Option<Span>,
}

#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// A TOML file of settings; flags and the environment win over it, each setting for itself
    #[arg(long, env = "SHARDKV_CONFIG", hide_env_values = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) flags: ServerFlags,
}

#[derive(Debug, Subcommand)]
pub(crate) enum InspectCommand {
    /// Print the records of a write-ahead log and verify their checksums
    ///
    /// Nothing is written. The node of the directory must not be running.
    Wal {
        /// The data directory
        dir: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every setting in effect and where it comes from: flag, environment, file or default
    Show(Box<ServerArgs>),
    /// Print a file of settings, each explained, to begin with
    Example,
}
