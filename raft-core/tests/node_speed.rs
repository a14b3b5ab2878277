//! How fast the driver is by itself: three nodes on one thread, storage and network that do nothing. Run by
//! hand: `cargo test --release -p raft-core --features node --test node_speed -- --ignored --nocapture`.
//! `bench` has the comparison with others; only ratios of one sitting mean anything.
#![cfg(feature = "node")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use raft_core::node::{Group, GroupConfig, Node, NodeConfig};
use raft_core::*;

struct NoDisk;

impl Storage for NoDisk {
    fn groups(&self) -> BoxFuture<'_, Result<Vec<GroupId>, StorageError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    fn load(&self, _: GroupId) -> BoxFuture<'_, Result<Persisted, StorageError>> {
        Box::pin(async { Ok(Persisted::default()) })
    }
    fn write(&self, _: Vec<Write>) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async { Ok(()) })
    }
    fn create_snapshot(
        &self,
        _: GroupId,
        _: SnapshotMeta,
    ) -> BoxFuture<'_, Result<Box<dyn SnapshotWriter>, StorageError>> {
        Box::pin(async { Ok(Box::new(NoSnapshot) as _) })
    }
    fn open_snapshot(
        &self,
        _: GroupId,
    ) -> BoxFuture<'_, Result<Option<Box<dyn SnapshotReader>>, StorageError>> {
        Box::pin(async { Ok(None) })
    }
}

struct NoSnapshot;

impl SnapshotWriter for NoSnapshot {
    fn write(&mut self, _: Bytes) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async { Ok(()) })
    }
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<(), StorageError>> {
        Box::pin(async { Ok(()) })
    }
}

#[derive(Default)]
struct Queue {
    messages: Vec<Envelope>,
    waker: Option<Waker>,
}

type Queues = BTreeMap<NodeId, Arc<Mutex<Queue>>>;

struct Link {
    id: NodeId,
    queues: Arc<Queues>,
}

impl Transport for Link {
    fn send(&self, messages: &mut Vec<Envelope>) {
        for message in messages.drain(..) {
            let mut queue = self.queues[&message.to].lock().unwrap();
            queue.messages.push(message);
            if let Some(waker) = queue.waker.take() {
                waker.wake();
            }
        }
    }
    fn receive<'a>(
        &'a self,
        inbox: &'a mut Vec<Envelope>,
    ) -> BoxFuture<'a, Result<(), TransportClosed>> {
        let queue = &self.queues[&self.id];
        Box::pin(std::future::poll_fn(move |cx| {
            let mut queue = queue.lock().unwrap();
            if queue.messages.is_empty() {
                queue.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            inbox.append(&mut queue.messages);
            Poll::Ready(Ok(()))
        }))
    }
}

struct Count(u64);

impl StateMachine for Count {
    type Output = u64;
    fn apply(&mut self, commands: &[Command]) -> Vec<u64> {
        commands
            .iter()
            .map(|command| {
                self.0 += command.data.len() as u64;
                self.0
            })
            .collect()
    }
    fn snapshot(&self) -> Box<dyn SnapshotSource> {
        Whole::source(Vec::from(self.0.to_le_bytes()))
    }
    fn restore(&self) -> Box<dyn Restore<Self>> {
        Whole::restore(|_| Ok(Self(0)))
    }
}

async fn start() -> (Vec<Node>, Group<Count>) {
    let ids: Vec<_> = (1..=3).map(NodeId).collect();
    let queues: Arc<Queues> = Arc::new(ids.iter().map(|id| (*id, Arc::default())).collect());
    let (mut nodes, mut groups) = (Vec::new(), Vec::new());
    for id in &ids {
        let link = Arc::new(Link { id: *id, queues: queues.clone() });
        let node = Node::start(NodeConfig::new(*id), Arc::new(NoDisk), link);
        let members = Membership::of_voters(ids.clone());
        let mut config = GroupConfig::new(*id, GroupId(1), members);
        config.raft.trailing_bytes_max = 1 << 20;
        groups.push(node.add_group(config, Count(0)).await.unwrap());
        nodes.push(node);
    }
    groups[0].campaign();
    while groups[0].propose(Bytes::new()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (nodes, groups.swap_remove(0))
}

#[test]
#[ignore = "a measurement, not a test"]
#[allow(clippy::disallowed_methods)] // It measures this process, in real time.
fn writes_per_second() {
    for writers in [1_u64, 64, 256, 1024] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (nodes, group) = start().await;
            let total = if writers == 1 { 200_000 } else { 2_000_000 };
            let turns = nodes[0].status().turns;
            let began = std::time::Instant::now();
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..writers {
                let group = group.clone();
                let command = Bytes::from(vec![7; 256]);
                tasks.spawn(async move {
                    for _ in 0..total / writers {
                        group.propose(command.clone()).await.unwrap();
                    }
                });
            }
            tasks.join_all().await;
            let seconds = began.elapsed().as_secs_f64();
            let turns = (nodes[0].status().turns - turns) as f64 / total as f64;
            let rate = total as f64 / seconds;
            println!("{writers:>5} writers: {rate:>9.0}/s, {turns:.3} turns of the leader each");
            for node in &nodes {
                node.shutdown().await;
            }
        });
    }
}
