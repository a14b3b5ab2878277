//! `shardkv member` and `shardkv leader`: who belongs to a group, and who leads it.

use clap::{Args, Subcommand};

use super::Connect;
use crate::config::HostPort;
use crate::units::Span;

#[derive(Debug, Subcommand)]
pub(crate) enum MemberCommand {
    /// Show the members of a group, where they are, and how far each is
    List(ShowArgs),
    /// Add a node: it gets the log, and a vote when it has caught up
    ///
    /// The node must run: `shardkv server --join` starts one. Asked for again, it goes on where it was left.
    Add(AddArgs),
    /// Give a learner a vote, when it has caught up
    Promote(OneArgs),
    /// Remove a node; the last voter stays
    Remove(OneArgs),
    /// Put a node in the place of a voter, in one step, when it has caught up
    Replace(ReplaceArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum LeaderCommand {
    /// Show who leads a group
    Show(ShowArgs),
    /// Hand leadership over to another voter; clients wait for about two round trips and two syncs
    Transfer(TransferArgs),
}

/// Which group.
#[derive(Clone, Debug, Args)]
pub(crate) struct Which {
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// The group; 0 is the controller. A plain cluster has one, without a number
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) which: Which,
}

/// What every change of members can be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Altering {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Only if the members are those since this index, as `member list` shows it
    #[arg(long, value_name = "INDEX")]
    pub(crate) expect: Option<u64>,
    /// How long to wait until it is done; shows how it does on stderr
    #[arg(long, value_name = "SPAN", default_value = "10m")]
    pub(crate) wait: Span,
}

#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// The node
    pub(crate) node: u64,
    #[command(flatten)]
    pub(crate) altering: Altering,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The node
    pub(crate) node: u64,
    /// Where it is reached [default: where it has told the cluster that it is]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) at: Option<HostPort>,
    /// It gets the log and no vote
    #[arg(long)]
    pub(crate) learner: bool,
    #[command(flatten)]
    pub(crate) altering: Altering,
}

#[derive(Debug, Args)]
pub(crate) struct ReplaceArgs {
    /// The voter that goes
    pub(crate) old: u64,
    /// The node that comes
    pub(crate) new: u64,
    /// Where the new one is reached [default: where it has told the cluster that it is]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) at: Option<HostPort>,
    #[command(flatten)]
    pub(crate) altering: Altering,
}

#[derive(Debug, Args)]
pub(crate) struct TransferArgs {
    /// The voter that is to lead
    #[arg(long, value_name = "NODE")]
    pub(crate) to: u64,
    #[command(flatten)]
    pub(crate) which: Which,
}
