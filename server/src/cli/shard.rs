//! `shardkv shard`: which group has which shards.

use clap::{Args, Subcommand};

use super::Connect;
use crate::config::Peers;
use crate::units::Span;

#[derive(Debug, Subcommand)]
pub(crate) enum ShardCommand {
    /// Show each shard: its slots, its group, what it holds, and where it goes
    List(ListArgs),
    /// Let groups join: each gets its part of the shards
    ///
    /// A group must run before it joins: `groups` in the settings of its nodes says so. Where its nodes are is
    /// asked of the endpoints; a group that they do not know of is joined with --servers.
    Join(JoinArgs),
    /// Let groups leave: the others get their shards
    Leave(LeaveArgs),
    /// Move one shard to a group, where it stays until a group joins or leaves
    Move(MoveArgs),
    /// Print a configuration: its groups, and who owns what
    Query(QueryArgs),
    /// Balance the shards anew, also those that were moved by hand
    Rebalance(RebalanceArgs),
}

/// What every change can be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Changing {
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// Wait until the shards have moved, but not longer than this; shows how they do on stderr
    #[arg(long, value_name = "SPAN", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "10m")]
    pub(crate) wait: Option<Span>,
    /// Print one line of JSON: the configuration, and the shards that move
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// Print JSON: an array with an object for each shard
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct JoinArgs {
    /// The groups
    #[arg(required = true, value_name = "GROUP")]
    pub(crate) groups: Vec<u64>,
    /// The nodes of the group and where they are reached; of one group only [default: what the endpoints
    /// know]
    #[arg(long, value_name = "ID=HOST:PORT,…")]
    pub(crate) servers: Option<Peers>,
    /// The part of the shards that each gets, in proportion to the other groups' weights
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) weight: u32,
    #[command(flatten)]
    pub(crate) changing: Changing,
}

#[derive(Debug, Args)]
pub(crate) struct LeaveArgs {
    /// The groups
    #[arg(required = true, value_name = "GROUP")]
    pub(crate) groups: Vec<u64>,
    /// Also if no other group is left: then nobody serves the shards, until a group joins
    #[arg(long)]
    pub(crate) last: bool,
    #[command(flatten)]
    pub(crate) changing: Changing,
}

#[derive(Debug, Args)]
pub(crate) struct MoveArgs {
    /// The shard
    pub(crate) shard: u16,
    /// Its new group
    #[arg(long, value_name = "GROUP")]
    pub(crate) to: u64,
    #[command(flatten)]
    pub(crate) changing: Changing,
}

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// Its number [default: the newest]
    pub(crate) number: Option<u64>,
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// Print one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RebalanceArgs {
    /// A group's part of the shards from now on, in proportion to the others'; may be given again
    #[arg(long = "weight", value_name = "GROUP=NUMBER", value_parser = weight)]
    pub(crate) weights: Vec<(u64, u32)>,
    #[command(flatten)]
    pub(crate) changing: Changing,
}

fn weight(text: &str) -> Result<(u64, u32), String> {
    let parsed = text.split_once('=').and_then(|(group, weight)| {
        Some((group.trim().parse().ok()?, weight.trim().parse().ok()?))
    });
    parsed.ok_or_else(|| format!("`{text}` is no weight; write it like `2=3`"))
}
