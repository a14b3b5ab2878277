//! [`Settings`]: what a cluster is made with.

use raft_core::ClusterId;
use serde::{Deserialize, Serialize};

use crate::shard::ShardCount;

/// The largest configuration that any limits allow, encoded: it fits a frame of the transport.
pub(crate) const CONFIGURATION_BYTES_MAX: u32 = 2 << 20;

/// What a cluster is made with. The first leader of a controller group puts its settings into the log, and
/// so all replicas have the same; those that others were started with count no more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The cluster that all configurations are of.
    pub cluster: ClusterId,
    /// How many shards there are, for ever.
    pub shards: ShardCount,
    /// How large things may become.
    pub limits: Limits,
}

impl Settings {
    /// So many shards, and the default limits.
    pub fn new(cluster: ClusterId, shards: ShardCount) -> Self {
        Self { cluster, shards, limits: Limits::default() }
    }
}

/// How large things may become. Made by default, changed field by field; a value that is beyond what is
/// possible counts as the largest or smallest that is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// Groups in a configuration. Default 1,024; at most 16,384.
    pub groups_max: u16,
    /// Servers in a group. Default 16; at most 256.
    pub servers_max: u16,
    /// Bytes of a server's address. Default 255; at most 1,024.
    pub address_bytes_max: u16,
    /// Bytes of a configuration, encoded. Default 1 MiB; at most 2 MiB.
    pub configuration_bytes_max: u32,
    /// Configurations that are kept; the oldest goes when there is one more. Default 4,096; at least one.
    pub history_max: u32,
    /// Bytes of the configurations that are kept, encoded; the oldest goes when there are more. The newest
    /// is always kept. Default 64 MiB.
    pub history_bytes_max: u64,
    /// Sessions of clients; the longest unused ends when there is one more. Default 4,096; at least one, at
    /// most 65,536.
    pub sessions_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            groups_max: 1_024,
            servers_max: 16,
            address_bytes_max: 255,
            configuration_bytes_max: 1 << 20,
            history_max: 4_096,
            history_bytes_max: 64 << 20,
            sessions_max: 4_096,
        }
    }
}

impl Limits {
    /// The same, within what is possible.
    pub(crate) fn sane(self) -> Self {
        Self {
            groups_max: self.groups_max.min(16_384),
            servers_max: self.servers_max.min(256),
            address_bytes_max: self.address_bytes_max.min(1_024),
            configuration_bytes_max: self.configuration_bytes_max.min(CONFIGURATION_BYTES_MAX),
            history_max: self.history_max.max(1),
            history_bytes_max: self.history_bytes_max,
            sessions_max: self.sessions_max.clamp(1, 65_536),
        }
    }
}
