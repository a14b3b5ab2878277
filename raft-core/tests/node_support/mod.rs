//! A disk, a network and a state machine that tests of the driver can hold still, break and look into.

#![allow(dead_code, unreachable_pub)] // Each test binary uses a part of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use raft_core::node::{Group, GroupConfig, Node, NodeConfig};
use raft_core::*;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

pub const GROUP: GroupId = GroupId(1);

// ---------------------------------------------------------------------------------------------- disk

/// A store in memory that outlives its node.
#[derive(Clone)]
pub struct Disk(Arc<DiskInner>);

struct DiskInner {
    groups: Mutex<BTreeMap<GroupId, Stored>>,
    faults: Mutex<Faults>,
    /// Writes wait while this is true.
    stalled: watch::Sender<bool>,
    /// For each call of `write`: the groups in it.
    calls: Mutex<Vec<BTreeSet<GroupId>>>,
    open_writes: AtomicUsize,
    /// Snapshots that are being written, now and at most.
    open_snapshots: AtomicUsize,
    most_snapshots: AtomicUsize,
    /// Of each snapshot that was written: how many pieces, and how long it took.
    written: Mutex<Vec<(u32, Duration)>>,
}

#[derive(Default)]
struct Faults {
    fail_write: bool,
    snapshots_full: bool,
    delay: Option<Duration>,
    /// Of each piece of a snapshot.
    snapshot_delay: Option<Duration>,
}

#[derive(Default, Clone)]
struct Stored {
    hard_state: HardState,
    log: Vec<Entry>,
    compacted: LogId,
    snapshot: Option<(SnapshotMeta, Bytes)>,
    incoming: Option<(SnapshotMeta, Vec<u8>)>,
}

impl Disk {
    pub fn new() -> Self {
        Self(Arc::new(DiskInner {
            groups: Mutex::default(),
            faults: Mutex::default(),
            stalled: watch::Sender::new(false),
            calls: Mutex::default(),
            open_writes: AtomicUsize::new(0),
            open_snapshots: AtomicUsize::new(0),
            most_snapshots: AtomicUsize::new(0),
            written: Mutex::default(),
        }))
    }

    pub fn fail_writes(&self) {
        self.0.faults.lock().unwrap().fail_write = true;
    }

    pub fn set_full(&self, full: bool) {
        self.0.faults.lock().unwrap().snapshots_full = full;
    }

    pub fn set_delay(&self, delay: Duration) {
        self.0.faults.lock().unwrap().delay = Some(delay);
    }

    pub fn set_snapshot_delay(&self, delay: Duration) {
        self.0.faults.lock().unwrap().snapshot_delay = Some(delay);
    }

    /// Snapshots that are being written.
    pub fn open_snapshots(&self) -> usize {
        self.0.open_snapshots.load(Ordering::SeqCst)
    }

    /// The most snapshots that were ever written at once.
    pub fn most_snapshots(&self) -> usize {
        self.0.most_snapshots.load(Ordering::SeqCst)
    }

    /// Of each snapshot that was written: how many pieces, and how long it took.
    pub fn snapshots_written(&self) -> Vec<(u32, Duration)> {
        self.0.written.lock().unwrap().clone()
    }

    pub fn stall(&self, stalled: bool) {
        self.0.stalled.send_replace(stalled);
    }

    pub fn calls(&self) -> Vec<BTreeSet<GroupId>> {
        self.0.calls.lock().unwrap().clone()
    }

    pub fn snapshot_of(&self, group: GroupId) -> Option<LogId> {
        let groups = self.0.groups.lock().unwrap();
        groups.get(&group)?.snapshot.as_ref().map(|(meta, _)| meta.last)
    }

    pub fn log_len(&self, group: GroupId) -> usize {
        self.0.groups.lock().unwrap().get(&group).map_or(0, |stored| stored.log.len())
    }
}

fn failed(is_full: bool) -> StorageError {
    StorageError::Io { context: "test".into(), reason: "injected".into(), is_full }
}

impl Stored {
    fn write(&mut self, op: WriteOp) {
        match op {
            WriteOp::HardState(hard_state) => self.hard_state = hard_state,
            WriteOp::Append(entries) => {
                let first = entries[0].id.index;
                self.log.retain(|entry| entry.id.index < first);
                let last = self.log.last().map_or(self.compacted.index, |last| last.id.index);
                assert_eq!(first, last.next(), "no gaps in the log");
                self.log.extend(entries);
            }
            WriteOp::Compact(last) => {
                let snapshot = self.snapshot.as_ref().expect("compacted behind a snapshot");
                assert!(last.index <= snapshot.0.last.index);
                self.log.retain(|entry| entry.id.index > last.index);
                self.compacted = last;
            }
            WriteOp::Receive { meta, chunk, suffix } => {
                if chunk.offset == 0 {
                    self.incoming = Some((meta.clone(), Vec::new()));
                }
                let (known, data) = self.incoming.as_mut().expect("began at zero");
                assert_eq!((&*known, data.len() as u64), (&meta, chunk.offset), "in order");
                data.extend_from_slice(&chunk.data);
                if chunk.end() == Some(chunk.total) {
                    let (meta, data) = self.incoming.take().unwrap();
                    self.log
                        .retain(|entry| suffix == Suffix::Keep && entry.id.index > meta.last.index);
                    self.compacted = meta.last;
                    self.snapshot = Some((meta, data.into()));
                }
            }
        }
    }
}

impl Storage for Disk {
    fn groups(&self) -> BoxFuture<'_, Result<Vec<GroupId>, StorageError>> {
        Box::pin(async { Ok(self.0.groups.lock().unwrap().keys().copied().collect()) })
    }

    fn load(&self, group: GroupId) -> BoxFuture<'_, Result<Persisted, StorageError>> {
        Box::pin(async move {
            let stored = self.0.groups.lock().unwrap().get(&group).cloned().unwrap_or_default();
            Ok(Persisted {
                hard_state: stored.hard_state,
                snapshot: stored.snapshot.map(|(meta, _)| meta),
                compacted: stored.compacted,
                log: stored.log,
            })
        })
    }

    fn write(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async move {
            let open = Open::new(&self.0.open_writes);
            let groups = writes.iter().map(|write| write.group).collect();
            self.0.calls.lock().unwrap().push(groups);
            let (fail, delay) = {
                let faults = self.0.faults.lock().unwrap();
                (faults.fail_write, faults.delay)
            };
            if fail {
                return Err(failed(false));
            }
            if let Some(delay) = delay {
                tokio::time::sleep(delay).await;
            }
            let mut stalled = self.0.stalled.subscribe();
            stalled.wait_for(|stalled| !stalled).await.unwrap();
            let mut stored = self.0.groups.lock().unwrap();
            for write in writes {
                stored.entry(write.group).or_default().write(write.op);
            }
            drop(open);
            Ok(())
        })
    }

    fn create_snapshot(
        &self,
        group: GroupId,
        meta: SnapshotMeta,
    ) -> BoxFuture<'_, Result<Box<dyn SnapshotWriter>, StorageError>> {
        let (disk, data) = (self.clone(), Vec::new());
        Box::pin(async move {
            if disk.0.faults.lock().unwrap().snapshots_full {
                return Err(failed(true));
            }
            let begun = Instant::now();
            let open = disk.0.open_snapshots.fetch_add(1, Ordering::SeqCst) + 1;
            disk.0.most_snapshots.fetch_max(open, Ordering::SeqCst);
            Ok(Box::new(Writing { disk, group, meta, data, pieces: 0, begun })
                as Box<dyn SnapshotWriter>)
        })
    }

    fn open_snapshot(
        &self,
        group: GroupId,
    ) -> BoxFuture<'_, Result<Option<Box<dyn SnapshotReader>>, StorageError>> {
        Box::pin(async move {
            let groups = self.0.groups.lock().unwrap();
            let snapshot = groups.get(&group).and_then(|stored| stored.snapshot.clone());
            Ok(snapshot.map(|(meta, data)| Box::new(Reading { meta, data }) as _))
        })
    }
}

/// The driver promises one write at a time.
struct Open<'a>(&'a AtomicUsize);

impl<'a> Open<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        assert_eq!(count.fetch_add(1, Ordering::SeqCst), 0, "one write at a time");
        Self(count)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Writing {
    disk: Disk,
    group: GroupId,
    meta: SnapshotMeta,
    data: Vec<u8>,
    pieces: u32,
    begun: Instant,
}

impl SnapshotWriter for Writing {
    fn write(&mut self, data: Bytes) -> BoxFuture<'_, Result<(), StorageError>> {
        self.data.extend_from_slice(&data);
        self.pieces += 1;
        let delay = self.disk.0.faults.lock().unwrap().snapshot_delay;
        Box::pin(async move {
            if let Some(delay) = delay {
                tokio::time::sleep(delay).await;
            }
            Ok(())
        })
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<(), StorageError>> {
        Box::pin(async move {
            let mut groups = self.disk.0.groups.lock().unwrap();
            let stored = groups.entry(self.group).or_default();
            if stored.snapshot.as_ref().is_none_or(|(meta, _)| meta.last < self.meta.last) {
                stored.snapshot = Some((self.meta.clone(), self.data.clone().into()));
            }
            Ok(())
        })
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.disk.0.open_snapshots.fetch_sub(1, Ordering::SeqCst);
        self.disk.0.written.lock().unwrap().push((self.pieces, self.begun.elapsed()));
    }
}

struct Reading {
    meta: SnapshotMeta,
    data: Bytes,
}

impl SnapshotReader for Reading {
    fn meta(&self) -> &SnapshotMeta {
        &self.meta
    }

    fn total(&self) -> u64 {
        self.data.len() as u64
    }

    fn read(&mut self, offset: u64, max: usize) -> BoxFuture<'_, Result<Bytes, StorageError>> {
        let begin = offset as usize;
        let end = (begin + max).min(self.data.len());
        let data = self.data.slice(begin..end);
        Box::pin(async move { Ok(data) })
    }
}

// ------------------------------------------------------------------------------------------- network

/// Decides what happens to a message; may change it.
pub type Filter = Box<dyn FnMut(&mut Envelope) -> bool + Send>;

/// Links between nodes, each of which can be cut.
#[derive(Default)]
pub struct Net {
    ports: Mutex<BTreeMap<NodeId, mpsc::UnboundedSender<Envelope>>>,
    cut: Mutex<BTreeSet<NodeId>>,
    filter: Mutex<Option<Filter>>,
    /// For each call of `send`: the groups in it.
    sends: Mutex<Vec<BTreeSet<GroupId>>>,
    pub snapshots_sent: AtomicU64,
}

impl Net {
    pub fn port(self: &Arc<Self>, id: NodeId) -> Arc<Port> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.ports.lock().unwrap().insert(id, sender);
        Arc::new(Port { net: self.clone(), receiver: receiver.into() })
    }

    /// Nothing reaches or leaves `node`.
    pub fn cut(&self, node: NodeId) {
        self.cut.lock().unwrap().insert(node);
    }

    pub fn heal(&self) {
        self.cut.lock().unwrap().clear();
    }

    /// Messages for which `filter` is false are lost.
    pub fn filter(&self, filter: impl FnMut(&mut Envelope) -> bool + Send + 'static) {
        *self.filter.lock().unwrap() = Some(Box::new(filter));
    }

    /// Ends the transport of `node`.
    pub fn close(&self, node: NodeId) {
        self.ports.lock().unwrap().remove(&node);
    }

    pub fn sends(&self) -> Vec<BTreeSet<GroupId>> {
        self.sends.lock().unwrap().clone()
    }
}

pub struct Port {
    net: Arc<Net>,
    receiver: tokio::sync::Mutex<mpsc::UnboundedReceiver<Envelope>>,
}

impl Transport for Port {
    fn send(&self, messages: &mut Vec<Envelope>) {
        let groups = messages.iter().map(|message| message.group).collect();
        self.net.sends.lock().unwrap().push(groups);
        let ports = self.net.ports.lock().unwrap();
        let cut = self.net.cut.lock().unwrap();
        let mut filter = self.net.filter.lock().unwrap();
        for mut message in messages.drain(..) {
            if matches!(message.message, Message::InstallSnapshot(_)) {
                self.net.snapshots_sent.fetch_add(1, Ordering::SeqCst);
            }
            let lost = cut.contains(&message.from) || cut.contains(&message.to);
            let passes = filter.as_mut().is_none_or(|filter| filter(&mut message));
            if !lost
                && passes
                && let Some(port) = ports.get(&message.to)
            {
                let _ = port.send(message);
            }
        }
    }

    fn receive<'a>(
        &'a self,
        inbox: &'a mut Vec<Envelope>,
    ) -> BoxFuture<'a, Result<(), TransportClosed>> {
        Box::pin(async move {
            match self.receiver.lock().await.recv_many(inbox, 4096).await {
                0 => Err(TransportClosed),
                _ => Ok(()),
            }
        })
    }
}

// ------------------------------------------------------------------------------------- state machine

/// Remembers every command in order; answers how many there are.
#[derive(Clone, Default)]
pub struct History {
    pub commands: Vec<Bytes>,
    pub batches: Vec<usize>,
    /// Called before each batch.
    pub on_apply: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl History {
    fn encode(&self) -> Vec<u8> {
        let mut data = Vec::new();
        for command in &self.commands {
            data.extend_from_slice(&(command.len() as u32).to_le_bytes());
            data.extend_from_slice(command);
        }
        data
    }

    fn decode(data: Vec<u8>) -> Result<Self, RestoreError> {
        let mut rest = Bytes::from(data);
        let mut commands = Vec::new();
        while !rest.is_empty() {
            if rest.len() < 4 {
                return Err(RestoreError { reason: "cut off".into() });
            }
            let length = rest.split_to(4);
            let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
            if rest.len() < length {
                return Err(RestoreError { reason: "cut off".into() });
            }
            commands.push(rest.split_to(length));
        }
        Ok(Self { commands, ..Self::default() })
    }
}

impl StateMachine for History {
    type Output = usize;

    fn apply(&mut self, commands: &[Command]) -> Vec<usize> {
        if let Some(on_apply) = &self.on_apply {
            on_apply();
        }
        assert!(!commands.is_empty());
        self.batches.push(commands.len());
        let first = self.commands.len();
        self.commands.extend(commands.iter().map(|command| command.data.clone()));
        (first + 1..=self.commands.len()).collect()
    }

    fn snapshot(&self) -> Box<dyn SnapshotSource> {
        Whole::source(self.encode())
    }

    fn restore(&self) -> Box<dyn Restore<Self>> {
        Whole::restore(Self::decode)
    }
}

// ------------------------------------------------------------------------------------------- cluster

/// Nodes 1 to n, with one group each unless a test adds more.
pub struct Cluster {
    pub net: Arc<Net>,
    pub disks: Vec<Disk>,
    pub nodes: Vec<Option<Node>>,
    pub groups: Vec<Option<Group<History>>>,
    pub tune_node: fn(&mut NodeConfig),
    pub tune: fn(&mut GroupConfig),
    pub machine: History,
}

pub fn id(position: usize) -> NodeId {
    NodeId(position as u64 + 1)
}

pub fn bytes(text: impl ToString) -> Bytes {
    Bytes::from(text.to_string().into_bytes())
}

impl Cluster {
    pub async fn new(size: usize) -> Self {
        Self::tuned(size, |_| {}, |_| {}).await
    }

    pub async fn tuned(
        size: usize,
        tune_node: fn(&mut NodeConfig),
        tune: fn(&mut GroupConfig),
    ) -> Self {
        let mut cluster = Self {
            net: Arc::default(),
            disks: (0..size).map(|_| Disk::new()).collect(),
            nodes: (0..size).map(|_| None).collect(),
            groups: (0..size).map(|_| None).collect(),
            tune_node,
            tune,
            machine: History::default(),
        };
        for position in 0..size {
            cluster.start(position).await;
        }
        cluster
    }

    pub fn group_config(&self, position: usize, group: GroupId) -> GroupConfig {
        let members = Membership::of_voters((0..self.disks.len()).map(id));
        let mut config = GroupConfig::new(id(position), group, members);
        config.raft.seed = 7 * (position as u64 + 1);
        (self.tune)(&mut config);
        config
    }

    pub fn start_node(&mut self, position: usize) {
        let mut config = NodeConfig::new(id(position));
        (self.tune_node)(&mut config);
        let disk = Arc::new(self.disks[position].clone());
        self.nodes[position] = Some(Node::start(config, disk, self.net.port(id(position))));
    }

    pub async fn start(&mut self, position: usize) {
        self.start_node(position);
        let config = self.group_config(position, GROUP);
        let group = self.node(position).add_group(config, self.machine.clone()).await.unwrap();
        self.groups[position] = Some(group);
    }

    /// Drops the node and its handles: a crash.
    pub fn crash(&mut self, position: usize) {
        self.net.close(id(position));
        self.nodes[position] = None;
        self.groups[position] = None;
    }

    pub fn node(&self, position: usize) -> &Node {
        self.nodes[position].as_ref().unwrap()
    }

    pub fn group(&self, position: usize) -> &Group<History> {
        self.groups[position].as_ref().unwrap()
    }

    pub fn running(&self) -> impl Iterator<Item = (usize, &Group<History>)> {
        let groups = self.groups.iter().enumerate();
        groups.filter_map(|(position, group)| Some((position, group.as_ref()?)))
    }

    /// Waits until a majority follows one leader that can commit, and gives its position.
    pub async fn leader(&self) -> usize {
        within(60, async {
            loop {
                if let Some(leader) = self.leader_now() {
                    return leader;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
    }

    pub fn leader_now(&self) -> Option<usize> {
        let newest = self.running().map(|(_, group)| group.status().term).max()?;
        let (leader, status) =
            self.running()
                .map(|(position, group)| (position, group.status()))
                .find(|(_, status)| status.role == Role::Leader && status.term == newest)?;
        let agree = self.running().filter(|(position, group)| {
            let seen = group.status();
            seen.term == newest && seen.leader == Some(id(leader)) && *position < usize::MAX
        });
        (agree.count() * 2 > self.disks.len() && status.commit > LogIndex::ZERO).then_some(leader)
    }

    /// Waits until all running nodes have applied the same, and gives it.
    pub async fn converged(&self) -> Vec<Bytes> {
        within(60, async {
            loop {
                let mut seen = self
                    .running()
                    .map(|(_, group)| group.peek(|id, state| (id, state.commands.clone())));
                let first = seen.next().unwrap();
                let leader = self.leader_now();
                let last = leader.map(|leader| self.group(leader).status().last.index);
                if Some(first.0.index) == last && seen.all(|state| state == first) {
                    return first.1;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
    }
}

/// Fails when `future` takes more than so many seconds of tokio's time.
pub async fn within<T>(seconds: u64, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(seconds), future).await.expect("in time")
}
