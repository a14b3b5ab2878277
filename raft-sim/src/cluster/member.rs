//! One node: its process from boot to end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use raft_core::node::{Group, GroupConfig, Node, NodeConfig, StartError};
use raft_core::{
    Address, ClusterId, GroupId, Incarnation, Membership, NodeId, Service, StateMachine, Transport,
};
use raft_storage::{Identity, Wal};
use raft_transport::{Carrier, NetConfig, NetTransport};
use tokio::sync::Notify;

use super::config::{ClusterConfig, Wire};
use crate::disk::{DiskEvent, Phase, SimDisk};
use crate::net::HostId;
use crate::watch::{Limits, Watch, WatchedMachine};
use crate::world::{Process, Trace};

/// The group that a [`Cluster`](super::Cluster) has.
pub const GROUP: GroupId = GroupId(1);
/// The cluster's name in handshakes and on disks.
pub const CLUSTER: ClusterId = ClusterId(7);

/// A group as the simulator runs it.
pub(crate) type Watched<S> = Group<WatchedMachine<S>>;
/// The replicas of a node.
pub(crate) type Replicas<S> = BTreeMap<GroupId, Watched<S>>;

/// Makes what answers a node's clients.
pub(crate) type MakeService<S> =
    Arc<dyn Fn(&Replicas<S>, &Process) -> Arc<dyn Service> + Send + Sync>;

/// What all nodes of a fleet are made of.
pub(crate) struct Parts<S: StateMachine> {
    pub(crate) config: ClusterConfig,
    pub(crate) watch: Watch,
    /// The nodes, and where each listens.
    pub(crate) nodes: BTreeMap<NodeId, Address>,
    /// The groups of which each node has a replica.
    pub(crate) groups: Vec<GroupId>,
    pub(crate) machine: Arc<dyn Fn(GroupId) -> S + Send + Sync>,
    pub(crate) service: Option<MakeService<S>>,
}

/// How far the process of a node is. The handle outlives the process.
pub(super) enum Stage<S: StateMachine> {
    Down,
    Starting,
    Running(Replicas<S>),
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

    /// Its replica of a group, while it runs.
    pub(super) fn group(&self, id: GroupId) -> Option<Watched<S>> {
        self.stage(|stage| match stage {
            Stage::Running(groups) => groups.get(&id).cloned(),
            _ => None,
        })
    }

    /// Its replicas, while it runs.
    pub(super) fn groups(&self) -> Replicas<S> {
        self.stage(|stage| match stage {
            Stage::Running(groups) => groups.clone(),
            _ => Replicas::new(),
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
    let Parts { config, watch, service, .. } = parts;
    let (id, fate) = (member.id, process.fate().clone());
    let identity = Identity { cluster: CLUSTER, node: id, incarnation: member.incarnation };
    let wal = Wal::open(Arc::new(member.disk.mount()), identity, config.wal)
        .await
        .map_err(|error| format!("not opened: {error}"))?;
    let mut node_config = NodeConfig::new(id);
    node_config.tick = config.tick;
    node_config.snapshot_chunk_bytes = config.snapshot_chunk_bytes;
    let storage = Arc::new(watch.storage(id, fate, wal));
    let (transport, sockets) = connect(member, parts, process).await?;
    let node = Node::start(node_config, storage, transport);
    let groups = replicas(member, parts, process, &node).await?;
    if let Some(make) = service {
        let service = make(&groups, process);
        match sockets {
            Some(tcp) => tcp.serve(service),
            None => process.serve(service),
        }
    }
    member.set_stage(Stage::Running(groups));
    Ok(node)
}

async fn replicas<S: StateMachine>(
    member: &Member<S>,
    parts: &Parts<S>,
    process: &Process,
    node: &Node,
) -> Result<Replicas<S>, String> {
    let Parts { config, watch, machine, .. } = parts;
    let mut groups = Replicas::new();
    for (seed, id) in (process.seed()..).zip(parts.groups.iter().copied()) {
        let members = Membership::of_voters(parts.nodes.keys().copied());
        let mut group = GroupConfig::new(member.id, id, members);
        group.snapshot_bytes = config.snapshot_bytes;
        (group.raft.election_ticks, group.raft.heartbeat_ticks) = (10, 2);
        group.raft.seed = seed;
        (config.raft)(&mut group.raft);
        watch.limit(id, Limits::from(&group));
        let machine = watch.machine(member.id, id, process.fate().clone(), machine(id));
        let group = match node.add_group(group, machine).await {
            Ok(group) => group,
            // What a group before it has met: the node says why.
            Err(StartError::Stopped) => return Err(node.stopped().await.to_string()),
            Err(error) => return Err(error.to_string()),
        };
        groups.insert(id, group);
    }
    Ok(groups)
}

type Connected = (Arc<dyn Transport>, Option<Arc<NetTransport>>);

async fn connect<S: StateMachine>(
    member: &Member<S>,
    parts: &Parts<S>,
    process: &Process,
) -> Result<Connected, String> {
    let (id, fate, watch) = (member.id, process.fate().clone(), &parts.watch);
    match parts.config.wire {
        Wire::Messages => Ok((Arc::new(watch.transport(id, fate, process.transport(id))), None)),
        Wire::Streams => {
            let nodes = parts.nodes.clone();
            let at = nodes.get(&id).cloned().ok_or("a node of another fleet")?;
            let peers = move |node: NodeId| nodes.get(&node).cloned();
            let tcp = NetConfig::new(CLUSTER, id, member.incarnation, at, process.seed());
            let sockets = Arc::new(process.sockets());
            let tcp = NetTransport::bind(tcp, Carrier::plaintext(sockets), Arc::new(peers)).await;
            let tcp = Arc::new(tcp.map_err(|error| error.to_string())?);
            let shared = Shared(Arc::clone(&tcp));
            Ok((Arc::new(watch.transport(id, fate, shared)), Some(tcp)))
        }
    }
}

/// Where a node of a [`Cluster`](super::Cluster) listens and serves.
pub fn address_of(node: NodeId) -> Address {
    Address(format!("n{}:1", node.0))
}

struct Shared(Arc<NetTransport>);

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
