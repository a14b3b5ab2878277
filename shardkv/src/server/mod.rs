//! [`ShardServer`]: serves a group on one node.
//!
//! It answers clients ([`answer`]) and the groups from which shards come ([`receive`]). [`ShardServer::run`] does
//! what nobody asks for: on the node that leads it [follows](follow) the configurations, and [sends](send) the
//! shards that leave to their new owners.
//!
//! Nothing is kept per request but its future, and every request has a deadline: the client's, and never more
//! than the server's own.

mod answer;
mod config;
mod follow;
mod park;
mod receive;
mod send;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use kv::rpc::{Directory, LogClock, Replicated};
use raft_core::node::Group;
use raft_core::{Address, BoxFuture, Caller, NodeId, Service};
use shardctrler::{ConfigNumber, ShardId};

use crate::status::NodeStatus;
use crate::store::{Settings, ShardStore};

pub use config::{MoveEvent, MoveStep, Observer, ServerConfig, TransferConfig};

use park::Parking;

/// Serves one group. Cheap to clone.
pub struct ShardServer<R = Group<ShardStore>> {
    shared: Arc<Shared<R>>,
}

impl<R> Clone for ShardServer<R> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

struct Shared<R> {
    replica: R,
    settings: Settings,
    config: ServerConfig,
    controller: shardctrler::Clerk,
    caller: Arc<dyn Caller>,
    directory: Directory,
    parking: Parking,
    local: Mutex<Local>,
}

/// What this node knows and the group does not. Nothing depends on it but how soon things happen.
#[derive(Default)]
struct Local {
    /// The time of each shard's log, and in which configuration the shard was here. At most one per shard.
    clocks: BTreeMap<ShardId, (ConfigNumber, Arc<LogClock>)>,
    /// Shards that arrive in this configuration and are frozen where they were. At most one per shard.
    awaited: BTreeMap<ShardId, ConfigNumber>,
    /// Shards whose writes are refused, so that they can leave. At most one per shard.
    slowed: BTreeSet<ShardId>,
}

impl<R: Replicated<ShardStore>> ShardServer<R> {
    /// Serves `replica`. `addresses` says where clients reach the nodes, for hints at the leader; `controller`
    /// is where configurations come from, and `caller` reaches other groups.
    pub fn new(
        replica: R,
        addresses: impl IntoIterator<Item = (NodeId, Address)>,
        controller: shardctrler::Clerk,
        caller: Arc<dyn Caller>,
        config: ServerConfig,
    ) -> Self {
        let settings = replica.peek(|_, store| store.settings().clone());
        let parking = Parking::new(config.parked_max);
        let directory = Directory::new(addresses);
        let local = Mutex::default();
        let shared =
            Shared { replica, settings, config, controller, caller, directory, parking, local };
        Self { shared: Arc::new(shared) }
    }

    /// Replaces the addresses, after the membership of the group has changed.
    pub fn set_addresses(&self, addresses: impl IntoIterator<Item = (NodeId, Address)>) {
        self.shared.directory.replace(addresses);
    }

    /// Follows the configurations and moves shards, while this node leads. Ends when the node stops; to be
    /// spawned once. Dropping it stops that, and nothing else.
    pub async fn run(&self) {
        follow::run(&self.shared).await;
    }

    /// What this node says of itself.
    pub fn status(&self) -> NodeStatus {
        self.shared.status()
    }
}

impl<R: Replicated<ShardStore>> Service for ShardServer<R> {
    fn call(&self, request: Bytes) -> BoxFuture<'static, Bytes> {
        let shared = self.shared.clone();
        Box::pin(async move { shared.answer(&request).await })
    }
}

impl<R: Replicated<ShardStore>> Shared<R> {
    fn local(&self) -> MutexGuard<'_, Local> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn event(&self, step: MoveStep, shard: Option<ShardId>, number: ConfigNumber) {
        if let Some(observer) = &self.config.observer {
            observer(MoveEvent { step, shard, number });
        }
    }

    fn status(&self) -> NodeStatus {
        let group = self.replica.status();
        self.replica.peek(|applied, store| NodeStatus {
            group: self.settings.group,
            role: group.role,
            term: group.term,
            leader: group.leader,
            applied: applied.index,
            number: store.number(),
            shards: store.shard_states(),
            digest: store.digest(),
        })
    }
}
