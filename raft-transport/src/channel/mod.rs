//! A network within the process, for messages: they are moved, never serialised.
//!
//! For tests, examples, and nodes that share a process. Links can be blocked, each direction by itself.
//!
//! Invariants:
//! 1. A mailbox is bounded in messages and bytes: what comes on top is dropped and counted.
//! 2. The messages of one [`send`](raft_core::Transport::send) for one receiver cost one lock and one
//!    wake-up.

mod mailbox;
mod service;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use raft_core::{BoxFuture, Envelope, NodeId, Transport, TransportClosed};

pub use mailbox::Traffic;
pub use service::ChannelCaller;

use mailbox::Mailbox;
use service::Services;

/// How many messages may wait for one node.
const MESSAGES_MAX: usize = 65_536;
/// How many bytes may wait for one node.
const BYTES_MAX: u64 = 64 << 20;

/// A network within the process. Clones are the same network.
#[derive(Clone)]
pub struct ChannelNetwork {
    routes: Arc<RwLock<Routes>>,
    services: Services,
    messages_max: usize,
    bytes_max: u64,
}

#[derive(Default)]
struct Routes {
    mailboxes: BTreeMap<NodeId, Arc<Mailbox>>,
    /// From, to.
    blocked: BTreeSet<(NodeId, NodeId)>,
}

impl Default for ChannelNetwork {
    fn default() -> Self {
        Self::new()
    }
}

impl ChannelNetwork {
    /// A network without nodes; 65,536 messages or 64 MiB may wait for each.
    pub fn new() -> Self {
        Self::with_bounds(MESSAGES_MAX, BYTES_MAX)
    }

    /// A network whose nodes hold at most so many messages and bytes that wait for them.
    pub fn with_bounds(messages_max: usize, bytes_max: u64) -> Self {
        Self { routes: Arc::default(), services: Services::default(), messages_max, bytes_max }
    }

    /// The transport of `node`. If there was one it is closed: the node has started anew.
    pub fn transport(&self, node: NodeId) -> ChannelTransport {
        let mailbox = Arc::new(Mailbox::new(self.messages_max, self.bytes_max));
        let before = self.write().mailboxes.insert(node, Arc::clone(&mailbox));
        if let Some(before) = before {
            before.close();
        }
        ChannelTransport { node, mailbox, routes: Arc::clone(&self.routes) }
    }

    /// From now on nothing gets from `from` to `to`.
    pub fn block(&self, from: NodeId, to: NodeId) {
        self.write().blocked.insert((from, to));
    }

    /// Messages get from `from` to `to` again.
    pub fn unblock(&self, from: NodeId, to: NodeId) {
        self.write().blocked.remove(&(from, to));
    }

    /// Cuts `node` off from all nodes there are, in both directions.
    pub fn isolate(&self, node: NodeId) {
        let mut routes = self.write();
        let others: Vec<_> = routes.mailboxes.keys().copied().filter(|n| *n != node).collect();
        routes.blocked.extend(others.iter().flat_map(|other| [(node, *other), (*other, node)]));
    }

    /// Unblocks everything.
    pub fn heal(&self) {
        self.write().blocked.clear();
    }

    /// What was sent to `node` since its transport was made, and what became of it; nothing if it has none.
    pub fn traffic(&self, node: NodeId) -> Traffic {
        let routes = self.read();
        routes.mailboxes.get(&node).map(|mailbox| mailbox.traffic()).unwrap_or_default()
    }

    fn read(&self) -> RwLockReadGuard<'_, Routes> {
        self.routes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Routes> {
        self.routes.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The transport of one node in a [`ChannelNetwork`].
pub struct ChannelTransport {
    node: NodeId,
    mailbox: Arc<Mailbox>,
    routes: Arc<RwLock<Routes>>,
}

impl ChannelTransport {
    /// Closes it: [`receive`](Transport::receive) fails, and what is sent to the node is dropped.
    pub fn shutdown(&self) {
        self.mailbox.close();
    }
}

impl Drop for ChannelTransport {
    fn drop(&mut self) {
        self.mailbox.close();
    }
}

impl Transport for ChannelTransport {
    fn send(&self, messages: &mut Vec<Envelope>) {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        while let Some(to) = messages.first().map(|message| message.to) {
            let batch = messages.extract_if(.., |message| message.to == to);
            match routes.mailboxes.get(&to) {
                Some(mailbox) if routes.blocked.contains(&(self.node, to)) => mailbox.block(batch),
                Some(mailbox) => mailbox.push(batch),
                None => batch.for_each(drop),
            }
        }
    }

    fn receive<'a>(
        &'a self,
        inbox: &'a mut Vec<Envelope>,
    ) -> BoxFuture<'a, Result<(), TransportClosed>> {
        Box::pin(self.mailbox.receive(inbox))
    }
}
