//! A running node: its data directory, its listener, its group and the service on it, put together.
//!
//! In two steps, so that the nodes of one process may listen at ports that the system chooses: first each
//! is opened, then all addresses are known, then each is started.

mod book;

pub(crate) use book::AddressBook;

use std::sync::Arc;

use kv::{KvServer, Limits, ServerConfig, Store, StoreConfig};
use raft_core::node::{Group, GroupConfig, Node, NodeConfig, StartError, StopReason};
use raft_core::{Address, ClusterId, GroupId, Incarnation, Membership, NodeId, StorageError};
use raft_storage::{DirectoryOrigin, FileDisk, Identity, Wal, WalOptions};
use raft_transport::{BindError, TcpConfig, TcpTransport, TokioNetwork};

use crate::client::entropy;
use crate::config::Config;
use crate::exit::Failure;

/// The group of the keys. There is one.
const GROUP: GroupId = GroupId(1);
/// What a command has besides its keys and values.
const COMMAND_OVERHEAD_BYTES: u64 = 64 << 10;

/// A node that has its data directory and its port, and does not run yet.
pub(crate) struct OpenNode {
    config: Config,
    id: NodeId,
    book: Arc<AddressBook>,
    wal: Arc<Wal>,
    transport: Arc<TcpTransport>,
}

/// A node that runs.
pub(crate) struct RunningNode {
    pub(crate) id: NodeId,
    pub(crate) group: Group<Store>,
    node: Node,
    wal: Arc<Wal>,
    transport: Arc<TcpTransport>,
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
        let disk = FileDisk::new(&dir).map_err(|error| unusable(error.into()))?;
        let wal = Wal::open(Arc::new(disk), wanted, WalOptions::default()).await;
        let wal = wal.map_err(unusable)?;
        let identity = wal.identity();
        if wal.origin() == DirectoryOrigin::Created {
            tracing::info!(dir = %dir.display(), "made a new data directory");
        }
        let mut tcp = TcpConfig::new(
            identity.cluster,
            id,
            identity.incarnation,
            config.listen.value.address(),
            entropy(),
        );
        tcp.clients_max = config.clients_max.value as usize;
        tcp.drain_max = config.shutdown_timeout.value.0;
        let transport = TcpTransport::bind(tcp, Arc::new(TokioNetwork), book.clone()).await;
        let transport = Arc::new(transport.map_err(not_listening)?);
        book.enter(id, config.advertised(transport.address()));
        Ok(Self { config, id, book, wal: Arc::new(wal), transport })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &Address {
        self.transport.address()
    }

    /// Runs it, as one of `members` if its directory is new.
    pub(crate) async fn start(self, members: &[NodeId]) -> Result<RunningNode, Failure> {
        let Self { config, id, book, wal, transport } = self;
        let mut node = NodeConfig::new(id);
        node.tick = config.tick.value.0;
        let node = Node::start(node, wal.clone(), transport.clone());
        let store = store_config(&config);
        let group = node
            .add_group(group_config(&config, id, members), Store::new(store.clone()))
            .await
            .map_err(not_started)?;
        let mut serving = ServerConfig::default();
        serving.store = store;
        serving.session_ttl = config.session_ttl.value.0;
        let server = KvServer::new(group.clone(), book.all(), serving);
        transport.serve(Arc::new(server));
        Ok(RunningNode { id, group, node, wal, transport })
    }
}

impl RunningNode {
    /// Waits until the node stops by itself, which is a failure.
    pub(crate) async fn failed(&self) -> Failure {
        let reason = self.node.stopped().await;
        let failure = Failure::refused(format!("node {} stopped: {reason}", self.id.0));
        match reason {
            StopReason::Storage(_) => failure.hint(
                "nothing that was acknowledged is lost; see to the disk, then start the node again",
            ),
            _ => failure,
        }
    }

    /// Stops in order: what is in flight is answered, within the time that was configured.
    pub(crate) async fn stop(&self) {
        self.transport.shutdown().await;
        self.node.shutdown().await;
        self.wal.close().await;
    }
}

fn store_config(config: &Config) -> StoreConfig {
    let (key, value) = (config.key_bytes_max.value.0, config.value_bytes_max.value.0);
    let mut limits = Limits::default();
    // Within 4 MiB, by `Config::check`.
    limits.key_bytes_max = u32::try_from(key).unwrap_or(limits.key_bytes_max);
    limits.value_bytes_max = u32::try_from(value).unwrap_or(limits.value_bytes_max);
    limits.batch_bytes_max =
        limits.batch_bytes_max.max(limits.key_bytes_max + limits.value_bytes_max);
    let mut store = StoreConfig::default();
    store.limits = limits;
    store
}

fn group_config(config: &Config, id: NodeId, members: &[NodeId]) -> GroupConfig {
    let mut group = GroupConfig::new(id, GROUP, Membership::of_voters(members.iter().copied()));
    group.snapshot_bytes = Some(config.snapshot_after.value.0);
    group.release = |useless| _ = tokio::task::spawn_blocking(move || drop(useless));
    group.raft.election_ticks = config.election_ticks();
    group.raft.heartbeat_ticks = config.heartbeat_ticks();
    group.raft.seed = entropy();
    group.raft.in_flight_bytes_max = config.in_flight_bytes_max.value.0;
    // The largest command is a compare-and-set, which has two values.
    let command = config.key_bytes_max.value.0 + 2 * config.value_bytes_max.value.0;
    let command = command + COMMAND_OVERHEAD_BYTES;
    group.raft.command_bytes_max = group.raft.command_bytes_max.max(command);
    group
}

fn not_listening(error: BindError) -> Failure {
    let failure = Failure::refused(error.to_string());
    match error {
        BindError::Listen { .. } => failure.hint(
            "is another process listening there, or the host not one of this machine? --listen \
             gives another address",
        ),
        _ => failure,
    }
}

fn not_started(error: StartError) -> Failure {
    match error {
        StartError::Config(error) => Failure::usage(error.to_string()),
        error => Failure::refused(format!("the node does not start: {error}")),
    }
}
