//! [`Member`]: one node of a group, its process from boot to end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use raft_core::node::{Group, GroupConfig, Node, NodeConfig};
use raft_core::{
    Address, BoxFuture, Caller, ClusterId, Envelope, GroupId, Incarnation, Membership, NodeId,
    Service, StateMachine, Transport, TransportClosed,
};
use raft_sim::SimDisk;
use raft_sim::net::HostId;
use raft_sim::watch::{Limits, Watch, WatchedMachine};
use raft_sim::world::Process;
use raft_storage::{Identity, Wal, WalOptions};
use raft_transport::{CallerConfig, GroupCaller, TcpCaller, TcpConfig, TcpTransport};

pub const CLUSTER: ClusterId = ClusterId(7);

/// A group as the simulator runs it.
pub type Watched<S> = Group<WatchedMachine<S>>;

/// How far the process of a node is. The handle outlives the process.
pub enum Stage<S: StateMachine> {
    Down,
    Running(Watched<S>),
    /// It gave up by itself, and said why.
    Stopped(String),
}

pub struct Member<S: StateMachine> {
    pub id: NodeId,
    pub group: GroupId,
    pub host: HostId,
    pub address: Address,
    pub disk: SimDisk,
    pub stage: Arc<Mutex<Stage<S>>>,
}

impl<S: StateMachine> Member<S> {
    pub fn new(id: NodeId, group: GroupId, host: HostId, address: Address, disk: SimDisk) -> Self {
        let stage = Arc::new(Mutex::new(Stage::Down));
        Self { id, group, host, address, disk, stage }
    }

    pub fn share(&self) -> Self {
        let (stage, address) = (Arc::clone(&self.stage), self.address.clone());
        Self { stage, address, disk: self.disk.clone(), ..*self }
    }

    pub fn set(&self, stage: Stage<S>) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    pub fn running(&self) -> Option<Watched<S>> {
        match &*self.stage.lock().unwrap_or_else(PoisonError::into_inner) {
            Stage::Running(group) => Some(group.clone()),
            _ => None,
        }
    }

    pub fn stopped(&self) -> Option<String> {
        match &*self.stage.lock().unwrap_or_else(PoisonError::into_inner) {
            Stage::Stopped(reason) => Some(reason.clone()),
            _ => None,
        }
    }
}

/// What all nodes of a group have in common.
pub struct Parts<S: StateMachine> {
    pub watch: Watch,
    pub members: BTreeMap<NodeId, Address>,
    /// See [`Setup::streams`](super::setup::Setup).
    pub streams: bool,
    /// Take a snapshot at so many bytes of the log.
    pub snapshot_bytes: Option<u64>,
    pub machine: Box<dyn Fn() -> S + Send + Sync>,
    pub serve: Serve<S>,
}

pub type Serve<S> = Box<dyn Fn(&Watched<S>, &Process) -> Arc<dyn Service> + Send + Sync>;

/// The first task of a node's process.
pub async fn run<S: StateMachine>(member: Member<S>, parts: Arc<Parts<S>>, process: Process) {
    let fate = process.fate().clone();
    let reason = match start(&member, &parts, &process).await {
        Ok(node) => node.stopped().await.to_string(),
        Err(reason) => reason,
    };
    if fate.is_alive() {
        member.set(Stage::Stopped(reason));
    }
}

async fn start<S: StateMachine>(
    member: &Member<S>,
    parts: &Parts<S>,
    process: &Process,
) -> Result<Node, String> {
    let (id, fate) = (member.id, process.fate().clone());
    let disk = member.disk.clone();
    fate.on_death(move || disk.unmount());
    let identity = Identity { cluster: CLUSTER, node: id, incarnation: Incarnation(1) };
    let wal = WalOptions { segment_bytes: 64 << 10, segments_max: 4, fill_bytes: 16 << 10 };
    let wal = Wal::open(Arc::new(member.disk.mount()), identity, wal).await;
    let wal = wal.map_err(|error| format!("not opened: {error}"))?;
    let mut config = NodeConfig::new(id);
    config.tick = Duration::from_millis(25);
    config.snapshot_chunk_bytes = 16 << 10;
    let storage = Arc::new(parts.watch.storage(id, fate.clone(), wal));
    let (transport, sockets) = connect(member, parts, process).await?;
    let node = Node::start(config, storage, transport);
    let members = Membership::of_voters(parts.members.keys().copied());
    let mut group = GroupConfig::new(id, member.group, members);
    group.snapshot_bytes = parts.snapshot_bytes;
    if parts.snapshot_bytes.is_some() {
        group.raft.trailing_bytes_max = 0;
    }
    (group.raft.election_ticks, group.raft.heartbeat_ticks) = (10, 2);
    group.raft.seed = process.seed();
    parts.watch.limit(member.group, Limits::from(&group));
    let machine = parts.watch.machine(id, member.group, fate, (parts.machine)());
    let group = node.add_group(group, machine).await.map_err(|error| error.to_string())?;
    let service = (parts.serve)(&group, process);
    match sockets {
        Some(tcp) => tcp.serve(service),
        None => process.serve(service),
    }
    member.set(Stage::Running(group));
    Ok(node)
}

type Connected = (Arc<dyn Transport>, Option<Arc<TcpTransport>>);

async fn connect<S: StateMachine>(
    member: &Member<S>,
    parts: &Parts<S>,
    process: &Process,
) -> Result<Connected, String> {
    let (id, fate) = (member.id, process.fate().clone());
    if !parts.streams {
        return Ok((Arc::new(parts.watch.transport(id, fate, process.transport(id))), None));
    }
    let at = member.address.clone();
    let config = TcpConfig::new(CLUSTER, id, Incarnation(1), at, process.seed());
    let members = parts.members.clone();
    let peers = move |node: NodeId| members.get(&node).cloned();
    let tcp = TcpTransport::bind(config, Arc::new(process.sockets()), Arc::new(peers)).await;
    let tcp = Arc::new(tcp.map_err(|error| error.to_string())?);
    let shared = Shared(Arc::clone(&tcp));
    Ok((Arc::new(parts.watch.transport(id, fate, shared)), Some(tcp)))
}

/// How a process reaches services.
pub fn caller(process: &Process, streams: bool) -> Arc<dyn Caller> {
    let inner: Arc<dyn Caller> = match streams {
        true => {
            let config = CallerConfig::new(process.seed());
            Arc::new(TcpCaller::new(config, Arc::new(process.sockets())))
        }
        false => Arc::new(process.caller()),
    };
    Arc::new(GroupCaller::new(inner))
}

struct Shared(Arc<TcpTransport>);

impl Transport for Shared {
    fn send(&self, messages: &mut Vec<Envelope>) {
        self.0.send(messages);
    }

    fn receive<'a>(
        &'a self,
        inbox: &'a mut Vec<Envelope>,
    ) -> BoxFuture<'a, Result<(), TransportClosed>> {
        self.0.receive(inbox)
    }
}
