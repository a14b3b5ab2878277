//! What can be chosen about a [`Cluster`](super::Cluster).

use std::time::Duration;

use raft_core::Config;
use raft_storage::WalOptions;

/// The configuration of a [`Cluster`](super::Cluster): made by [`ClusterConfig::new`], changed field by field.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClusterConfig {
    /// Everything random comes from it.
    pub seed: u64,
    /// How many nodes there are; they are called 1, 2, and so on.
    pub nodes: u64,
    /// One tick of a node. Default 25 ms.
    pub tick: Duration,
    /// Changes the core's configuration; the election timeout is 10 ticks and the heartbeat 2 before it.
    pub raft: fn(&mut Config),
    /// See [`GroupConfig::snapshot_bytes`](raft_core::node::GroupConfig::snapshot_bytes). Default: none.
    pub snapshot_bytes: Option<u64>,
    /// The bytes of a snapshot in one message. Default 4 KiB, so that even small ones have several.
    pub snapshot_chunk_bytes: usize,
    /// Small segments by default, so that they are recycled.
    pub wal: WalOptions,
    /// How nodes and clients reach each other.
    pub wire: Wire,
}

/// How nodes and clients reach each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wire {
    /// Message by message: each is lost, doubled and delayed on its own.
    Messages,
    /// By the production transport over byte streams.
    Streams,
}

impl ClusterConfig {
    /// The defaults, for so many nodes.
    pub fn new(seed: u64, nodes: u64) -> Self {
        Self {
            seed,
            nodes,
            tick: Duration::from_millis(25),
            raft: |_| (),
            snapshot_bytes: None,
            snapshot_chunk_bytes: 4 << 10,
            wal: WalOptions { segment_bytes: 64 << 10, segments_max: 4, fill_bytes: 16 << 10 },
            wire: Wire::Messages,
        }
    }
}
