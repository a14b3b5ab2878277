//! A controller group on one node, without a disk or a network.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use raft_core::node::{Group, GroupConfig, Node, NodeConfig};
use raft_core::{
    Address, BoxFuture, CallError, Caller, Config, GroupId, Membership, NodeId, Role, Service,
};
use raft_storage::MemoryStorage;
use raft_transport::ChannelNetwork;
use shardctrler::{Clerk, ClerkConfig, Controller, ControllerServer, ServerConfig};

pub struct Single {
    pub node: Node,
    pub group: Group<Controller>,
    pub server: ControllerServer,
}

pub fn address(node: u64) -> Address {
    Address(format!("node-{node}"))
}

impl Single {
    /// The node leads.
    pub async fn start(config: ServerConfig) -> Self {
        let single = Self::build(config, &MemoryStorage::new(), 1, |_| ()).await;
        single.lead().await;
        single
    }

    /// A node of a group of so many, on this store; the others do not run.
    pub async fn build(
        config: ServerConfig,
        storage: &MemoryStorage,
        members: u64,
        raft: impl FnOnce(&mut Config),
    ) -> Self {
        let (id, group) = (NodeId(1), GroupId(1));
        let network = Arc::new(ChannelNetwork::new().transport(id));
        let node = Node::start(NodeConfig::new(id), Arc::new(storage.clone()), network);
        let voters = Membership::of_voters((1..=members).map(NodeId));
        let mut group_config = GroupConfig::new(id, group, voters);
        raft(&mut group_config.raft);
        let group = node.add_group(group_config, Controller::new()).await.expect("started");
        let addresses = (1..=members).map(|node| (NodeId(node), address(node)));
        let server = ControllerServer::new(group.clone(), addresses, config);
        Self { node, group, server }
    }

    /// Waits until the node leads.
    pub async fn lead(&self) {
        let mut changes = self.group.changes();
        changes.wait_for(|change| change.role == Role::Leader).await.expect("it runs");
    }

    pub fn caller(&self) -> Arc<Direct> {
        Arc::new(Direct { server: self.server.clone(), messages: Mutex::default() })
    }

    pub fn clerk(&self) -> Clerk {
        Clerk::new(self.caller(), [address(1)], ClerkConfig::default())
    }
}

/// Calls the server, whatever the address, and keeps what was said.
pub struct Direct {
    server: ControllerServer,
    messages: Mutex<Vec<(String, Vec<u8>)>>,
}

impl Direct {
    /// What was said since the last question.
    pub fn messages(&self) -> Vec<(String, Vec<u8>)> {
        std::mem::take(&mut *self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn keep(&self, name: &str, bytes: &Bytes) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.push((name.to_owned(), bytes.to_vec()));
    }
}

impl Caller for Direct {
    fn call(&self, _: &Address, request: Bytes) -> BoxFuture<'_, Result<Bytes, CallError>> {
        Box::pin(async move {
            self.keep("request", &request);
            let reply = self.server.call(request).await;
            self.keep("reply", &reply);
            Ok(reply)
        })
    }
}
