//! What can be configured of a node and of its groups.

use alloc::boxed::Box;
use core::time::Duration;

use crate::{Config, GroupId, Membership, NodeId};

/// The configuration of a [`Node`](super::Node): made by [`NodeConfig::new`], changed field by field.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeConfig {
    /// This node.
    pub id: NodeId,
    /// One tick of all groups. After a pause of the process there is one tick, not a burst of them.
    /// Default 50 ms.
    pub tick: Duration,
    /// The bytes of a snapshot in one InstallSnapshot message. Default 256 KiB.
    pub snapshot_chunk_bytes: usize,
    /// The most snapshots that are being sent at once, counted per group and receiver: each holds a file
    /// open and at most one chunk in memory. Requests past it are dropped; the core asks again.
    /// Default 16.
    pub snapshot_sends_max: usize,
    /// A snapshot that is being sent is let go after this many ticks without a request. Default 200.
    pub snapshot_idle_ticks: u32,
}

impl NodeConfig {
    /// The defaults, for the node `id`.
    pub fn new(id: NodeId) -> Self {
        Self {
            id,
            tick: Duration::from_millis(50),
            snapshot_chunk_bytes: 256 << 10,
            snapshot_sends_max: 16,
            snapshot_idle_ticks: 200,
        }
    }
}

/// The configuration of a group on a node: made by [`GroupConfig::new`], changed field by field.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GroupConfig {
    /// The core's configuration.
    pub raft: Config,
    /// The members of a new group; it counts only while the storage has nothing of the group. Empty on a node
    /// that joins a group: it is added by [`Group::change_membership`](super::Group::change_membership), and has
    /// no vote before it has caught up.
    pub initial: Membership,
    /// Take a snapshot when this many bytes of entries were applied since the last one; `None`: only
    /// when [`Group::snapshot`](super::Group::snapshot) asks for it. Default 64 MiB.
    pub snapshot_bytes: Option<u64>,
    /// The most bytes of proposals that wait for the loop, [`Entry::OVERHEAD_BYTES`] added for each; one
    /// proposal is always let in. Past it a proposal is `Overloaded`. Default 16 MiB.
    ///
    /// [`Entry::OVERHEAD_BYTES`]: crate::Entry::OVERHEAD_BYTES
    pub inbox_bytes_max: u64,
    /// How many bytes of a snapshot are serialised between two yields to other work. Smaller pieces
    /// disturb the writes beside it less, and take longer. Default 64 KiB.
    pub snapshot_piece_bytes: usize,
    /// Lets go of what a snapshot that is written has made useless: the view, and the entries before it. To
    /// free them takes tens of milliseconds when they are many: a server has another thread do it.
    /// Default: [`drop`], on the loop's thread.
    pub release: fn(Box<dyn Send>),
}

impl GroupConfig {
    /// The defaults, for `group` on `node`.
    pub fn new(node: NodeId, group: GroupId, initial: Membership) -> Self {
        Self {
            raft: Config::new(node, group),
            initial,
            snapshot_bytes: Some(64 << 20),
            inbox_bytes_max: 16 << 20,
            snapshot_piece_bytes: 64 << 10,
            release: drop,
        }
    }
}
