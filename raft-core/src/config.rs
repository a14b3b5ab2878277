//! The core's configuration.

use core::fmt;

use crate::{GroupId, NodeId};

/// The configuration of one [`Raft`](crate::Raft). Made by [`Config::new`] with defaults that suit a
/// local network and 50 ms ticks, changed field by field, and checked when it is used.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct Config {
    /// This node.
    pub node: NodeId,
    /// This group.
    pub group: GroupId,
    /// The election timeout in ticks: each is drawn from `[election_ticks, 2 * election_ticks)` (paper,
    /// section 5.2). At least three, and more than `heartbeat_ticks`. Default 10.
    pub election_ticks: u32,
    /// Ticks between heartbeats. At least one. Default 2.
    pub heartbeat_ticks: u32,
    /// The most bytes of entries in one AppendEntries; a single larger entry is sent alone. Default 1 MiB.
    pub append_bytes_max: u64,
    /// The most AppendEntries in flight to a peer. Default 256.
    pub window_messages_max: usize,
    /// The most bytes of entries in flight to a peer; one message may exceed it. Default 8 MiB.
    pub window_bytes_max: u64,
    /// The largest command. Default 4 MiB.
    pub command_bytes_max: u64,
    /// The most bytes of entries that are not applied yet, committed or not, and the most that are not
    /// durable yet; a proposal past either is `Overloaded`. Default 64 MiB.
    pub in_flight_bytes_max: u64,
    /// The most bytes handed to the state machine and not yet reported applied; one entry may exceed it.
    /// Default 4 MiB.
    pub applying_bytes_max: u64,
    /// The most reads that wait for their confirmation. Default 65,536.
    pub reads_max: usize,
    /// Entries to keep behind a snapshot for slow followers, in bytes. Default 8 MiB.
    pub trailing_bytes_max: u64,
    /// The node that is to lead when it is healthy: whoever leads in its place hands over to it once it has
    /// answered, and had what was committed, for 20 election timeouts. Give all nodes of a group the same. None
    /// is the default.
    pub preferred_leader: Option<NodeId>,
    /// What the randomised timeouts are drawn from. Give every node of a group another one; the node's
    /// and the group's ids are mixed in.
    pub seed: u64,
}

impl Config {
    /// The defaults, for `node` in `group`.
    pub fn new(node: NodeId, group: GroupId) -> Self {
        Self {
            node,
            group,
            election_ticks: 10,
            heartbeat_ticks: 2,
            append_bytes_max: 1 << 20,
            window_messages_max: 256,
            window_bytes_max: 8 << 20,
            command_bytes_max: 4 << 20,
            in_flight_bytes_max: 64 << 20,
            applying_bytes_max: 4 << 20,
            reads_max: 65_536,
            trailing_bytes_max: 8 << 20,
            preferred_leader: None,
            seed: 0,
        }
    }

    /// Whether the numbers make sense together.
    pub fn check(&self) -> Result<(), ConfigError> {
        let bounds: [(&'static str, bool, &'static str); 6] = [
            ("heartbeat_ticks", self.heartbeat_ticks >= 1, "must be at least 1"),
            ("election_ticks", self.election_ticks >= 3, "must be at least 3"),
            (
                "election_ticks",
                self.election_ticks > self.heartbeat_ticks,
                "must be greater than heartbeat_ticks",
            ),
            ("window_messages_max", self.window_messages_max >= 1, "must be at least 1"),
            (
                "in_flight_bytes_max",
                self.in_flight_bytes_max > self.command_bytes_max,
                "must be greater than command_bytes_max",
            ),
            ("reads_max", self.reads_max >= 1, "must be at least 1"),
        ];
        match bounds.iter().find(|(_, holds, _)| !holds) {
            None => Ok(()),
            Some((field, _, reason)) => Err(ConfigError { field, reason }),
        }
    }
}

/// A field of a [`Config`] that makes no sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// The field.
    pub field: &'static str,
    /// What it must be.
    pub reason: &'static str,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.reason)
    }
}

impl core::error::Error for ConfigError {}
