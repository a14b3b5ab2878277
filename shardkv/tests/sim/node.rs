//! [`Member`]: one node of a group, its process from boot to end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use raft_core::node::{Group, GroupConfig, Node, NodeConfig};
use raft_core::{
    Address, ClusterId, GroupId, Incarnation, Membership, NodeId, Service, StateMachine,
};
use raft_sim::SimDisk;
use raft_sim::net::HostId;
use raft_sim::watch::{Limits, Watch, WatchedMachine};
use raft_sim::world::Process;
use raft_storage::{Identity, Wal, WalOptions};

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
    pub members: Vec<NodeId>,
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
    let transport = parts.watch.transport(id, fate.clone(), process.transport(id));
    let node = Node::start(config, storage, Arc::new(transport));
    let members = Membership::of_voters(parts.members.iter().copied());
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
    process.serve((parts.serve)(&group, process));
    member.set(Stage::Running(group));
    Ok(node)
}
