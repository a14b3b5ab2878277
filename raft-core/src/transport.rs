//! The [`Transport`] trait: what the driver needs of a network.

use alloc::vec::Vec;
use core::fmt;

use crate::{BoxFuture, Envelope};

/// Carries messages between the nodes of a cluster, for all their groups.
///
/// Messages may be lost, doubled and reordered; they may not be altered, and they arrive only at the node
/// they are addressed to, in the cluster they come from. `raft-transport` has implementations, and
/// `raft-sim` a conformance kit for yours.
pub trait Transport: Send + Sync + 'static {
    /// Queues `messages`, or drops them when a queue is full or a peer is unknown, and leaves the vector
    /// empty. Never waits. Called by the driver's loop, once a turn, with the messages of all groups.
    fn send(&self, messages: &mut Vec<Envelope>);

    /// Waits until messages have arrived and appends them to `inbox`. Called by the driver's loop only.
    /// Nothing is lost when the future is dropped before it is ready.
    fn receive<'a>(
        &'a self,
        inbox: &'a mut Vec<Envelope>,
    ) -> BoxFuture<'a, Result<(), TransportClosed>>;
}

/// The transport was shut down: nothing will arrive any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TransportClosed;

impl fmt::Display for TransportClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the transport was shut down")
    }
}

impl core::error::Error for TransportClosed {}
