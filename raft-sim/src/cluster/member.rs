//! One node of a cluster: its process from boot to end.

use std::sync::{Arc, Mutex, PoisonError};

use raft_core::node::{Group, GroupConfig, Node, NodeConfig};
use raft_core::{
    Address, ClusterId, GroupId, Incarnation, Membership, NodeId, Service, StateMachine, Transport,
};
use raft_storage::{Identity, Wal};
use raft_transport::{TcpConfig, TcpTransport};
use tokio::sync::Notify;

use super::config::{ClusterConfig, Wire};
use crate::disk::{DiskEvent, Phase, SimDisk};
use crate::net::HostId;
use crate::watch::{Limits, Watch, WatchedMachine};
use crate::world::{Process, Trace};

/// The group that a cluster has.
pub const GROUP: GroupId = GroupId(1);
/// The cluster's name in handshakes and on disks.
pub const CLUSTER: ClusterId = ClusterId(7);

/// Makes what answers a node's clients.
pub(super) type MakeService<S> =
    Arc<dyn Fn(&Group<WatchedMachine<S>>, &Process) -> Arc<dyn Service> + Send + Sync>;

/// What all nodes are made of.
pub(super) struct Parts<S: StateMachine> {
    pub(super) config: ClusterConfig,
    pub(super) watch: Watch,
    pub(super) machine: Arc<dyn Fn() -> S + Send + Sync>,
    pub(super) service: Option<MakeService<S>>,
}

/// How far the process of a node is. The handle outlives the process.
pub(super) enum Stage<S: StateMachine> {
    Down,
    Starting,
    Running(Group<WatchedMachine<S>>),
    /// It gave up by itself, and said why.
    Stopped(String),
}

pub(super) struct Member<S: StateMachine> {
    pub(super) id: NodeId,
    pub(super) host: HostId,
    pub(super) disk: SimDisk,
    pub(super) incarnation: Incarnation,
    stage: Arc<Mutex<Stage<S>>>,
    /// Rung when the node is to stop by itself. Each process has its own.
    pub(super) stop: Arc<Notify>,
}

impl<S: StateMachine> Member<S> {
    pub(super) fn new(id: NodeId, host: HostId, disk: SimDisk) -> Self {
        let stage = Arc::new(Mutex::new(Stage::Down));
        Self { id, host, disk, incarnation: Incarnation(1), stage, stop: Arc::default() }
    }

    pub(super) fn stage<R>(&self, look: impl FnOnce(&Stage<S>) -> R) -> R {
        look(&self.stage.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set_stage(&self, stage: Stage<S>) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    pub(super) fn group(&self) -> Option<Group<WatchedMachine<S>>> {
        self.stage(|stage| match stage {
            Stage::Running(group) => Some(group.clone()),
            _ => None,
        })
    }

    /// A handle for whoever looks at the node after each step.
    pub(super) fn share(&self) -> Self {
        let (stage, stop) = (Arc::clone(&self.stage), Arc::clone(&self.stop));
        Self { disk: self.disk.clone(), stage, stop, ..*self }
    }

    /// The first task of the node's process.
    pub(super) fn boot(
        &self,
        parts: Arc<Parts<S>>,
        process: Process,
        trace: Trace,
    ) -> impl Future<Output = ()> + Send + 'static {
        self.set_stage(Stage::Starting);
        let (member, disk, fate) = (self.share(), self.disk.clone(), process.fate().clone());
        let unmounting = disk.clone();
        fate.on_death(move || unmounting.unmount());
        let (host, seen_by) = (self.host, fate.clone());
        disk.set_hook(Arc::new(move |event: &DiskEvent| {
            let after = u64::from(event.phase != Phase::Before);
            trace.event(event.kind.name(), host.0, &[event.sequence, after, event.offset]);
            let side = if after == 0 { "before" } else { "after" };
            seen_by.reach(&format!("{side} {}", event.kind.name()));
        }));
        async move {
            let reason = run(&member, &parts, &process).await;
            if fate.is_alive() {
                member.set_stage(Stage::Stopped(reason));
            }
        }
    }
}

/// Runs the node until it gives up; says why.
async fn run<S: StateMachine>(member: &Member<S>, parts: &Parts<S>, process: &Process) -> String {
    let node = match start(member, parts, process).await {
        Ok(node) => node,
        Err(reason) => return reason,
    };
    tokio::select! {
        biased;
        reason = node.stopped() => reason.to_string(),
        () = member.stop.notified() => {
            node.shutdown().await;
            node.stopped().await.to_string()
        }
    }
}

async fn start<S: StateMachine>(
    member: &Member<S>,
    parts: &Parts<S>,
    process: &Process,
) -> Result<Node, String> {
    let Parts { config, watch, machine, service } = parts;
    let (id, fate) = (member.id, process.fate().clone());
    let identity = Identity { cluster: CLUSTER, node: id, incarnation: member.incarnation };
    let wal = Wal::open(Arc::new(member.disk.mount()), identity, config.wal)
        .await
        .map_err(|error| format!("not opened: {error}"))?;
    let mut node_config = NodeConfig::new(id);
    node_config.tick = config.tick;
    node_config.snapshot_chunk_bytes = config.snapshot_chunk_bytes;
    let storage = Arc::new(watch.storage(id, fate.clone(), wal));
    let (transport, sockets) = connect(member, config, watch, process).await?;
    let node = Node::start(node_config, storage, transport);
    let members = Membership::of_voters((1..=config.nodes).map(NodeId));
    let mut group = GroupConfig::new(id, GROUP, members);
    group.snapshot_bytes = config.snapshot_bytes;
    (group.raft.election_ticks, group.raft.heartbeat_ticks) = (10, 2);
    group.raft.seed = process.seed();
    (config.raft)(&mut group.raft);
    watch.limit(GROUP, Limits::from(&group));
    let machine = watch.machine(id, GROUP, fate, machine());
    let group = node.add_group(group, machine).await.map_err(|error| error.to_string())?;
    if let Some(make) = service {
        let service = make(&group, process);
        match sockets {
            Some(tcp) => tcp.serve(service),
            None => process.serve(service),
        }
    }
    member.set_stage(Stage::Running(group));
    Ok(node)
}

type Connected = (Arc<dyn Transport>, Option<Arc<TcpTransport>>);

async fn connect<S: StateMachine>(
    member: &Member<S>,
    config: &ClusterConfig,
    watch: &Watch,
    process: &Process,
) -> Result<Connected, String> {
    let (id, fate) = (member.id, process.fate().clone());
    match config.wire {
        Wire::Messages => Ok((Arc::new(watch.transport(id, fate, process.transport(id))), None)),
        Wire::Streams => {
            let nodes = config.nodes;
            let peers = move |node: NodeId| (1..=nodes).contains(&node.0).then(|| address_of(node));
            let tcp =
                TcpConfig::new(CLUSTER, id, member.incarnation, address_of(id), process.seed());
            let sockets = Arc::new(process.sockets());
            let tcp = TcpTransport::bind(tcp, sockets, Arc::new(peers)).await;
            let tcp = Arc::new(tcp.map_err(|error| error.to_string())?);
            let shared = Shared(Arc::clone(&tcp));
            Ok((Arc::new(watch.transport(id, fate, shared)), Some(tcp)))
        }
    }
}

/// Where a node listens and serves.
pub fn address_of(node: NodeId) -> Address {
    Address(format!("n{}:1", node.0))
}

struct Shared(Arc<TcpTransport>);

impl Transport for Shared {
    fn send(&self, messages: &mut Vec<raft_core::Envelope>) {
        self.0.send(messages);
    }

    fn receive<'a>(
        &'a self,
        inbox: &'a mut Vec<raft_core::Envelope>,
    ) -> raft_core::BoxFuture<'a, Result<(), raft_core::TransportClosed>> {
        self.0.receive(inbox)
    }
}
