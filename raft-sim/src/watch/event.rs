//! [`Event`]: what nodes do, as invariants see it.

use raft_core::node::GroupStatus;
use raft_core::{Command, Envelope, NodeId, Persisted, SnapshotMeta, WriteOp};

use super::Content;

/// Something that a node did, or that was done to it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The node has found this on its disk and starts with it.
    Loaded(&'a Persisted),
    /// The node gives its store something to write.
    Submitted(&'a WriteOp),
    /// The store has said that it is durable.
    Durable(&'a WriteOp),
    /// A snapshot of the node's state machine was made, to its last byte. It is not durable yet.
    SnapshotMade(Content),
    /// A snapshot that the node took of itself is durable.
    SnapshotTaken(&'a SnapshotMeta),
    /// A message leaves the node.
    Sent(&'a Envelope),
    /// The state machine is given a command.
    Applied(&'a Command),
    /// The state machine is replaced by a snapshot's.
    Restored(Content),
    /// What the node shows of itself, after a step of its process.
    Status(&'a GroupStatus),
    /// The node's process has ended.
    Crashed,
    /// The node's disk is gone, and the node is to count as a new one.
    Wiped,
}

/// An event with its place.
#[derive(Debug)]
pub struct At<'a> {
    /// Whose it is.
    pub node: NodeId,
    /// What it is.
    pub event: Event<'a>,
}
