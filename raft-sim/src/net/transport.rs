//! [`SimTransport`]: messages between nodes, one by one.

use std::sync::Arc;

use raft_core::{BoxFuture, Envelope, NodeId, Transport, TransportClosed};

use super::{Kind, Port, SimNet};

/// The transport of a node in a [`SimNet`]: each message is lost, doubled and delayed on its own.
pub struct SimTransport {
    pub(super) net: SimNet,
    pub(super) port: Arc<Port>,
    pub(super) node: NodeId,
}

impl Transport for SimTransport {
    fn send(&self, messages: &mut Vec<Envelope>) {
        for envelope in messages.drain(..) {
            // Only what bears this node's name; anything else is a bug of the sender.
            debug_assert_eq!(envelope.from, self.node);
            if !self.port.fate.reach(Kind::of(&envelope.message).name()) {
                continue;
            }
            self.net.send_envelope(&self.port, envelope);
        }
    }

    fn receive<'a>(
        &'a self,
        inbox: &'a mut Vec<Envelope>,
    ) -> BoxFuture<'a, Result<(), TransportClosed>> {
        Box::pin(async move {
            loop {
                {
                    let mut state = self.port.state();
                    if !state.inbox.is_empty() {
                        inbox.append(&mut state.inbox);
                        return Ok(());
                    }
                    if state.closed {
                        return Err(TransportClosed);
                    }
                }
                self.port.arrived.notified().await;
            }
        })
    }
}

impl SimTransport {
    /// Closes it: nothing arrives any more.
    pub fn shutdown(&self) {
        self.port.state().closed = true;
        self.port.arrived.notify_one();
    }
}
