//! A transport, seen.

use raft_core::{BoxFuture, Envelope, NodeId, Transport, TransportClosed};

use super::{At, Event, Watch};
use crate::world::Fate;

/// A [`Transport`] whose messages are seen as they leave.
pub struct WatchedTransport<T> {
    pub(super) watch: Watch,
    pub(super) node: NodeId,
    pub(super) fate: Fate,
    pub(super) transport: T,
}

impl<T> WatchedTransport<T> {
    /// What is behind it.
    pub fn inner(&self) -> &T {
        &self.transport
    }
}

impl<T: Transport> Transport for WatchedTransport<T> {
    fn send(&self, messages: &mut Vec<Envelope>) {
        for envelope in &*messages {
            if self.fate.is_alive() {
                let at = At { node: self.node, event: Event::Sent(envelope) };
                self.watch.event(envelope.group, &at);
            }
        }
        self.transport.send(messages);
    }

    fn receive<'a>(
        &'a self,
        inbox: &'a mut Vec<Envelope>,
    ) -> BoxFuture<'a, Result<(), TransportClosed>> {
        self.transport.receive(inbox)
    }
}
