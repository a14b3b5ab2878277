//! A running node: its data directory, its listener, its groups and the services on them, put together.
//!
//! In two steps, so that the nodes of one process may listen at ports that the system chooses: first each
//! is opened, then all addresses are known, then each is started.

mod book;
mod describe;
mod giving;
mod holds;
mod host;
mod joining;
mod keeper;
mod members;
mod opening;
mod plain;
mod protocol;
mod refusals;
mod replica;
mod service;
mod setup;
mod sharded;
mod stray;
mod transfer;

pub(crate) use describe::{Described, Replica, Shard, WireRole};
pub(crate) use holds::Held;
pub(crate) use protocol::*;
pub(crate) use setup::listed;

use std::collections::BTreeMap;
use std::sync::Arc;

use raft_core::node::{Node, NodeConfig, StopReason, watch};
use raft_core::{Address, Membership, NodeId, RoleChange, Service};
use raft_storage::Wal;
use raft_transport::{GroupServices, NetConfig, NetTransport};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::entropy;
use crate::config::{Config, HostPort, Mode, PLAIN};
use crate::exit::Failure;
use crate::wire::{Reloaded, Wire};
use holds::Hold;
use host::{Host, Parts};
use opening::Opened;
use setup::not_listening;

/// A node that has its data directory and its port, and does not run yet.
pub(crate) struct OpenNode {
    opened: Opened,
    transport: Arc<NetTransport>,
    wire: Wire,
}

/// A node that runs.
pub(crate) struct RunningNode {
    pub(crate) id: NodeId,
    host: Arc<Host>,
    wal: Arc<Wal>,
    transport: Arc<NetTransport>,
    wire: Wire,
    watch: Option<sharded::Watch>,
    /// Ends with the node.
    _tasks: JoinSet<()>,
}

impl OpenNode {
    /// Opens the data directory, or makes it, and listens. A node without data that is to join a cluster asks it for its
    /// number first.
    pub(crate) async fn open(config: Config) -> Result<Self, Failure> {
        let wire = Wire::open(config.security()?)?;
        let opened = opening::open(config, &wire).await?;
        let Opened { config, identity, book, .. } = &opened;
        let mut net = NetConfig::new(
            identity.cluster,
            identity.node,
            identity.incarnation,
            config.listen.value.address(),
            entropy(),
        );
        net.clients_max = config.clients_max.value as usize;
        net.drain_max = config.shutdown_timeout.value.0;
        let transport = NetTransport::bind(net, wire.carrier.clone(), book.clone()).await;
        let transport = Arc::new(transport.map_err(not_listening)?);
        book.enter_own(config.advertised(transport.address()))?;
        Ok(Self { opened, transport, wire })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &Address {
        self.transport.address()
    }

    /// The settings, with what the data directory and the cluster have added to them.
    pub(crate) fn config(&self) -> &Config {
        &self.opened.config
    }

    /// Another node is there.
    pub(crate) fn hint(&self, node: NodeId, address: Address) {
        self.opened.book.hint(node, address);
    }

    /// Runs it.
    pub(crate) async fn start(self) -> Result<RunningNode, Failure> {
        let Self { opened, transport, wire } = self;
        let Opened { config, identity, wal, book, holds } = opened;
        let id = identity.node;
        let mut node = NodeConfig::new(id);
        node.tick = config.tick.value.0;
        let node = Node::start(node, wal.clone(), transport.clone());
        let mode = config.mode.value;
        let services = GroupServices::new(BTreeMap::new(), stray::stray(mode, book.clone()));
        let services = Arc::new(match mode {
            Mode::Plain => services.with_unnamed(PLAIN),
            Mode::Sharded => services,
        });
        let contact = config.contact();
        let host = Host::new(Parts {
            config,
            cluster: identity.cluster,
            id,
            life: identity.incarnation,
            book,
            holds,
            node,
            caller: wire.caller(),
            services: services.clone(),
        });
        let own: Arc<dyn Service> = Arc::new(service::NodeService(Arc::downgrade(&host)));
        services.insert(NODE, own);
        start_replicas(&host).await?;
        transport.serve(services);
        let watch = (mode == Mode::Sharded).then(|| sharded::Watch::new(&host));
        let mut tasks = JoinSet::new();
        tasks.spawn(keeper::exchange(host.clone(), contact.as_ref().map(HostPort::address)));
        tasks.spawn(keeper::save(host.clone()));
        tasks.spawn(keeper::follow_members(host.clone()));
        tasks.spawn(joining::ask_for_votes(host.clone()));
        Ok(RunningNode { id, host, wal, transport, wire, watch, _tasks: tasks })
    }
}

async fn start_replicas(host: &Arc<Host>) -> Result<(), Failure> {
    for (group, hold) in host.holds.all() {
        let initial = match &hold {
            Hold::Made(nodes) => Membership::of_voters(nodes.iter().copied()),
            _ => Membership::default(),
        };
        if hold.has_replica() {
            host.start(group, initial).await?;
        }
    }
    Ok(())
}

impl RunningNode {
    /// Role, term and leader of each replica that it has now, as they change.
    pub(crate) fn roles(&self) -> Vec<watch::Receiver<RoleChange>> {
        self.host.replicas().iter().map(|(_, replica)| replica.operated.changes()).collect()
    }

    /// Waits until the node stops by itself, or cannot go on, which is a failure.
    pub(crate) async fn failed(&self) -> Failure {
        let foreign = async {
            match &self.watch {
                Some(watch) => watch.foreign().await,
                None => std::future::pending().await,
            }
        };
        let reason = tokio::select! {
            biased;
            reason = self.host.node.stopped() => reason,
            () = self.host.removed() => return opening::removed(self.id),
            () = self.succeeded() => return self.lost(),
            failure = foreign => return failure,
        };
        let failure = Failure::refused(format!("node {} stopped: {reason}", self.id.0));
        match reason {
            StopReason::Storage(_) => failure.hint(
                "nothing that was acknowledged is lost; see to the disk, then start the node again",
            ),
            _ => failure,
        }
    }

    async fn succeeded(&self) {
        // The sender is the book's.
        let _ = self.host.book.succeeded().wait_for(|succeeded| *succeeded).await;
    }

    fn lost(&self) -> Failure {
        let other = self.host.book.addresses().into_iter().find(|(node, _)| *node != self.id);
        let contact = other.map_or(HostPort("ADDRESS".to_owned()), |(_, at)| HostPort(at.0));
        joining::lost(&self.host.config, &contact, &self.host.config.data_dir.value)
    }

    /// Reads the certificates again: see [`Wire::reload`].
    pub(crate) async fn reload(&self) -> Result<Reloaded, Failure> {
        self.wire.reload().await
    }

    /// Stops after it was removed. Clients that know of no other node hear from it for a while where the group is.
    pub(crate) async fn take_leave(&self) {
        sleep(2 * self.host.config.election_timeout.value.0).await;
        self.stop().await;
    }

    /// Stops in order: what it leads is handed over, and what is in flight is answered, within the time that was
    /// configured.
    pub(crate) async fn stop(&self) {
        let config = &self.host.config;
        let election = 2 * config.election_timeout.value.0;
        transfer::resign(&self.host, election.min(config.shutdown_timeout.value.0)).await;
        if let Err(error) = self.host.book.save().await {
            tracing::warn!("cannot write the address book: {error}");
        }
        self.transport.shutdown().await;
        self.host.node.shutdown().await;
        self.wal.close().await;
    }
}
