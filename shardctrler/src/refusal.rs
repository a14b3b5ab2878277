//! [`Refusal`]: why something can never be done as it was asked for.

use raft_core::{GroupId, NodeId};
use serde::{Deserialize, Serialize};

use crate::codec::{config_number, group, node, shard};
use crate::config::ConfigNumber;
use crate::shard::ShardId;

/// Why a request can never be done as it is. It had no effect: there is no new configuration.
///
/// The order of the variants and of their fields is the wire format: append new ones, change none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No leader has made the cluster yet. Servers do that before they answer, so no client sees this.
    #[error("the cluster was not made yet")]
    NotFounded,
    /// The change names no group at all.
    #[error("the change names no group")]
    NoGroup,
    /// Group 0 means nobody: it can neither join nor leave nor own a shard.
    #[error("group 0 means nobody, and is no group")]
    GroupZero,
    /// A group of this id has joined already.
    #[error("group {group} has joined already, {}", if *same { "just like this" } else { "otherwise" })]
    GroupExists {
        /// Which group.
        #[serde(with = "group")]
        group: GroupId,
        /// Whether it is, in everything, as it was asked for: then nothing is left to do.
        same: bool,
    },
    /// No group of this id has joined.
    #[error("there is no group {group}")]
    UnknownGroup {
        /// Which group.
        #[serde(with = "group")]
        group: GroupId,
    },
    /// There would be too many groups.
    #[error("there would be {groups} groups, and there may be {groups_max}")]
    TooManyGroups {
        /// How many there would be.
        groups: u64,
        /// The limit.
        groups_max: u16,
    },
    /// A group without servers cannot own anything.
    #[error("group {group} has no servers")]
    NoServers {
        /// Which group.
        #[serde(with = "group")]
        group: GroupId,
    },
    /// A group has too many servers.
    #[error("group {group} has {servers} servers and may have {servers_max}")]
    TooManyServers {
        /// Which group.
        #[serde(with = "group")]
        group: GroupId,
        /// How many it has.
        servers: u64,
        /// The limit.
        servers_max: u16,
    },
    /// A server has no address.
    #[error("server {node} of group {group} has an empty address")]
    AddressEmpty {
        /// Which group.
        #[serde(with = "group")]
        group: GroupId,
        /// Which server.
        #[serde(with = "node")]
        node: NodeId,
    },
    /// A server's address is too long.
    #[error(
        "the address of server {node} of group {group} has {bytes} bytes and may have {bytes_max}"
    )]
    AddressTooLong {
        /// Which group.
        #[serde(with = "group")]
        group: GroupId,
        /// Which server.
        #[serde(with = "node")]
        node: NodeId,
        /// The address's size.
        bytes: u64,
        /// The limit.
        bytes_max: u16,
    },
    /// A group has at least the weight one.
    #[error("group {group} has the weight 0")]
    WeightZero {
        /// Which group.
        #[serde(with = "group")]
        group: GroupId,
    },
    /// There is no such shard.
    #[error("there is no shard {shard}: there are {shards}, counted from zero")]
    ShardOutOfRange {
        /// Which shard.
        #[serde(with = "shard")]
        shard: ShardId,
        /// How many there are.
        shards: u16,
    },
    /// The configuration would become too large.
    #[error("the configuration would have {bytes} bytes and may have {bytes_max}")]
    ConfigurationTooLarge {
        /// The size that it would have, encoded.
        bytes: u64,
        /// The limit.
        bytes_max: u32,
    },
    /// The configuration is not kept any more.
    #[error("configuration {asked} is gone: the oldest that is kept is {oldest}")]
    Compacted {
        /// What was asked for.
        #[serde(with = "config_number")]
        asked: ConfigNumber,
        /// The oldest that is kept.
        #[serde(with = "config_number")]
        oldest: ConfigNumber,
    },
    /// The command is larger than the group's log takes: its limit is below this crate's.
    #[error("the command has {bytes} bytes and may have {bytes_max}")]
    CommandTooLarge {
        /// The command's size.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
}
