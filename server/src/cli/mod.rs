//! The command line: what can be asked of `shardkv`. The help texts are held by a test against
//! `tests/help`.

mod certs;
mod client;
mod member;
mod shard;
mod tools;

pub(crate) use certs::*;
pub(crate) use client::*;
pub(crate) use member::*;
pub(crate) use shard::*;
pub(crate) use tools::*;

use clap::{Args, Parser, Subcommand};

use crate::logging::LogFormat;

/// A linearizable, replicated key/value store: runs its nodes, and talks to them.
#[derive(Debug, Parser)]
#[command(
    name = "shardkv",
    version,
    max_term_width = 110,
    after_help = "Exit codes: 0 done, 1 refused, 2 usage, 3 unreachable or timed out (and without \
                  effect), 4 outcome unknown, 5 the node was removed from its cluster.\nData goes to stdout, everything else to stderr."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) log: LogFlags,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How log lines are written. They go to stderr.
#[derive(Clone, Default, Debug, Args)]
pub(crate) struct LogFlags {
    /// How log lines are written to stderr [default: text]
    #[arg(long, global = true, env = "SHARDKV_LOG_FORMAT", hide_env_values = true)]
    #[arg(value_name = "FORMAT", help_heading = "Logging")]
    pub(crate) log_format: Option<LogFormat>,
    /// error, warn, info, debug or trace, or a filter like `info,kv=debug` [default: info for
    /// `server`, otherwise error]
    #[arg(long, global = true, env = "SHARDKV_LOG_LEVEL", hide_env_values = true)]
    #[arg(value_name = "LEVEL", help_heading = "Logging")]
    pub(crate) log_level: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a whole cluster in this process, to try things out; Ctrl-C ends it and removes its data
    Demo(DemoArgs),
    /// Run one node of a cluster
    Server(Box<ServerArgs>),
    /// Print the value of a key
    ///
    /// The bytes of the value go to stdout as they are, with a newline after them only if stdout is a
    /// terminal. A missing key is exit code 1. The read is linearizable.
    Get(GetArgs),
    /// Set the value of a key
    Put(PutArgs),
    /// Append to the value of a key; a missing key counts as empty
    Append(PutArgs),
    /// Remove a key; a missing key is no error
    Del(DelArgs),
    /// Set a key if it is as expected, or else change nothing and exit with 1
    Cas(CasArgs),
    /// List keys and values in the order of the keys
    Scan(ScanArgs),
    /// Show the cluster on one screen: groups, leaders, shards, moves; works without a quorum
    Status(StatusArgs),
    /// Show and change which group has which shards
    #[command(subcommand)]
    Shard(ShardCommand),
    /// Show and change the members of a group
    #[command(subcommand)]
    Member(MemberCommand),
    /// Show who leads a group, and hand that over
    #[command(subcommand)]
    Leader(LeaderCommand),
    /// Load records from a file, each exactly once
    Import(ImportArgs),
    /// Write all records, or those with a prefix, to a file
    Export(ExportArgs),
    /// Measure throughput and latency with a closed loop of clients
    Bench(BenchArgs),
    /// Make the certificates by which nodes and clients know each other
    #[command(subcommand)]
    Certs(CertsCommand),
    /// Look at a node's files, offline
    #[command(subcommand)]
    Inspect(InspectCommand),
    /// Show the settings of `server`
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}
