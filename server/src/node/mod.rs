//! A running node: its data directory, its listener, its groups and the services on them, put together.
//!
//! In two steps, so that the nodes of one process may listen at ports that the system chooses: first each
//! is opened, then all addresses are known, then each is started.

mod book;
mod describe;
mod remember;
mod setup;
mod sharded;

pub(crate) use book::AddressBook;
pub(crate) use describe::{Described, NODE, Replica, Shard, WireRole};
pub(crate) use setup::listed;

use std::sync::Arc;

use kv::{KvServer, ServerConfig, Store};
use raft_core::node::watch;
use raft_core::node::{Node, NodeConfig, StopReason};
use raft_core::{
    Address, ClusterId, GroupId, Incarnation, NodeId, RoleChange, Service, Storage, StorageError,
};
use raft_storage::{DirectoryOrigin, FileDisk, Identity, Wal, WalOptions};
use raft_transport::{NetConfig, NetTransport};
use tokio::task::JoinSet;

use crate::client::entropy;
use crate::config::{Config, Mode, PLAIN};
use crate::exit::{Done, Failure};
use crate::wire::{Reloaded, Wire};
use setup::{group_config, not_listening, not_started, store_config};

/// Role, term and leader of each replica, as they change.
type Roles = Vec<watch::Receiver<RoleChange>>;

/// A node that has its data directory and its port, and does not run yet.
pub(crate) struct OpenNode {
    config: Config,
    id: NodeId,
    book: Arc<AddressBook>,
    wal: Arc<Wal>,
    transport: Arc<NetTransport>,
    wire: Wire,
}

/// A node that runs.
pub(crate) struct RunningNode {
    pub(crate) id: NodeId,
    pub(crate) roles: Roles,
    node: Node,
    wal: Arc<Wal>,
    transport: Arc<NetTransport>,
    wire: Wire,
    watch: Option<sharded::Watch>,
    /// Ends with the node.
    _tasks: JoinSet<()>,
}

/// What runs on a node.
struct Running {
    service: Arc<dyn Service>,
    roles: Roles,
    tasks: JoinSet<()>,
    watch: Option<sharded::Watch>,
}

impl OpenNode {
    /// Opens the data directory, or makes it, and listens. Where this node is reached is entered into
    /// `book`.
    pub(crate) async fn open(config: Config, book: Arc<AddressBook>) -> Result<Self, Failure> {
        let dir = config.data_dir.value.clone();
        let unusable = |error: StorageError| {
            Failure::refused(format!("cannot use the data directory {}: {error}", dir.display()))
        };
        let id = NodeId(config.node_id.value);
        let wanted = Identity {
            cluster: ClusterId(config.cluster_id.value),
            node: id,
            incarnation: Incarnation(entropy()),
        };
        let wire = Wire::open(config.security()?)?;
        let disk = FileDisk::new(&dir).map_err(|error| unusable(error.into()))?;
        let wal = Wal::open(Arc::new(disk), wanted, WalOptions::default()).await;
        let wal = wal.map_err(unusable)?;
        check_groups(&config, &wal.groups().await.map_err(unusable)?)?;
        remember::check(&config)?;
        let identity = wal.identity();
        if wal.origin() == DirectoryOrigin::Created {
            tracing::info!(dir = %dir.display(), "made a new data directory");
        }
        let mut tcp = NetConfig::new(
            identity.cluster,
            id,
            identity.incarnation,
            config.listen.value.address(),
            entropy(),
        );
        tcp.clients_max = config.clients_max.value as usize;
        tcp.drain_max = config.shutdown_timeout.value.0;
        let transport = NetTransport::bind(tcp, wire.carrier.clone(), book.clone()).await;
        let transport = Arc::new(transport.map_err(not_listening)?);
        book.enter(id, config.advertised(transport.address()));
        Ok(Self { config, id, book, wal: Arc::new(wal), transport, wire })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &Address {
        self.transport.address()
    }

    /// Runs it.
    pub(crate) async fn start(self) -> Result<RunningNode, Failure> {
        let Self { config, id, book, wal, transport, wire } = self;
        let mut node = NodeConfig::new(id);
        node.tick = config.tick.value.0;
        let node = Node::start(node, wal.clone(), transport.clone());
        let running = match config.mode.value {
            Mode::Plain => plain(&config, id, &book, &node).await?,
            Mode::Sharded => sharded::start(&config, id, &book, &node, &wire).await?,
        };
        let Running { service, roles, tasks, watch } = running;
        transport.serve(service);
        Ok(RunningNode { id, roles, node, wal, transport, wire, watch, _tasks: tasks })
    }
}

/// The one group of a plain cluster.
async fn plain(
    config: &Config,
    id: NodeId,
    book: &AddressBook,
    node: &Node,
) -> Result<Running, Failure> {
    let store = store_config(config);
    let of = group_config(config, id, PLAIN, &config.members());
    let group = node.add_group(of, Store::new(store.clone())).await.map_err(not_started)?;
    let mut serving = ServerConfig::default();
    serving.store = store;
    serving.session_ttl = config.session_ttl.value.0;
    let roles = vec![group.changes()];
    let service = Arc::new(KvServer::new(group, book.all(), serving));
    Ok(Running { service, roles, tasks: JoinSet::new(), watch: None })
}

/// A replica that is not started would be missing in its group, and its log would grow old here.
fn check_groups(config: &Config, found: &[GroupId]) -> Done {
    let id = NodeId(config.node_id.value);
    let given: Vec<GroupId> = match config.mode.value {
        Mode::Plain => vec![PLAIN],
        Mode::Sharded => {
            let groups = config.groups().into_iter();
            groups.filter(|(_, nodes)| nodes.contains(&id)).map(|(group, _)| group).collect()
        }
    };
    let Some(strange) = found.iter().find(|group| !given.contains(group)) else { return Ok(()) };
    let dir = config.data_dir.value.display();
    Err(match (config.mode.value, *strange == PLAIN) {
        (Mode::Plain, _) => {
            Failure::refused(format!("{dir} is of a node of a sharded cluster, not of a plain one"))
                .hint("start it with mode = \"sharded\"")
        }
        (Mode::Sharded, true) => {
            Failure::refused(format!("{dir} is of a node of a plain cluster, not of a sharded one"))
                .hint("start it with mode = \"plain\"")
        }
        (Mode::Sharded, false) => Failure::refused(format!(
            "{dir} has a replica of group {}, and `groups` gives node {} only {}",
            strange.0,
            id.0,
            listed(given.iter().map(|group| group.0))
        ))
        .hint("a node keeps its groups: list it in `groups` where it was, or give it its own directory"),
    })
}

impl RunningNode {
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
            reason = self.node.stopped() => reason,
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

    /// Reads the certificates again: see [`Wire::reload`].
    pub(crate) async fn reload(&self) -> Result<Reloaded, Failure> {
        self.wire.reload().await
    }

    /// Stops in order: what is in flight is answered, within the time that was configured.
    pub(crate) async fn stop(&self) {
        self.transport.shutdown().await;
        self.node.shutdown().await;
        self.wal.close().await;
    }
}
