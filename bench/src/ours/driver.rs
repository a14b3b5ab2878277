//! The driver: three nodes in one process on one thread, memory storage, channels instead of a network, and a
//! state machine that counts bytes; writers that propose as an application would, each when its last write is
//! applied.
//!
//! openraft takes a snapshot each 5000 entries and keeps 1000 behind it, its defaults; ours counts bytes, and
//! gets the bytes of as many.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use bytes::Bytes;
use raft_core::node::{Group, GroupConfig, Node, NodeConfig};
use raft_core::{
    Command, Entry, GroupId, Membership, NodeId, Restore, RestoreError, SnapshotSource,
    StateMachine, Whole,
};
use raft_storage::MemoryStorage;
use raft_transport::ChannelNetwork;
use tokio::runtime::Builder;

use crate::measure::{Latencies, Meter};
use crate::sample::{Missing, Sample};
use crate::suite::Plan;

/// Entries between two snapshots, and how many stay behind one.
const EVERY: u64 = 5_000;
const KEEP: u64 = 1_000;

/// The state machine: counts bytes.
#[derive(Clone, Default)]
struct Machine {
    bytes: u64,
}

impl StateMachine for Machine {
    type Output = u64;

    fn apply(&mut self, commands: &[Command]) -> Vec<u64> {
        let count = |command: &Command| {
            self.bytes += command.data.len() as u64;
            self.bytes
        };
        commands.iter().map(count).collect()
    }

    fn snapshot(&self) -> Box<dyn SnapshotSource> {
        Whole::source(self.bytes.to_le_bytes().to_vec())
    }

    fn restore(&self) -> Box<dyn Restore<Self>> {
        Whole::restore(|data| {
            let wrong = |_| RestoreError { reason: "a state has eight bytes".into() };
            let bytes = u64::from_le_bytes(data.try_into().map_err(wrong)?);
            Ok(Self { bytes })
        })
    }
}

type Nodes = Vec<(Node, Group<Machine>)>;

/// Three nodes, the first of which leads.
async fn start(payload: usize) -> Result<Nodes, Missing> {
    let network = ChannelNetwork::new();
    let ids = [1, 2, 3].map(NodeId);
    let entry = Entry::OVERHEAD_BYTES + payload as u64;
    let mut nodes = Vec::new();
    for id in ids {
        let (storage, transport) = (MemoryStorage::new(), network.transport(id));
        let node = Node::start(NodeConfig::new(id), Arc::new(storage), Arc::new(transport));
        let mut config = GroupConfig::new(id, GroupId(1), Membership::of_voters(ids));
        config.snapshot_bytes = Some(EVERY * entry);
        config.raft.trailing_bytes_max = KEEP * entry;
        config.raft.seed = id.0;
        nodes.push((node.add_group(config, Machine::default()).await?, node));
    }
    let nodes: Nodes = nodes.into_iter().map(|(group, node)| (node, group)).collect();
    let leader = &nodes[0].1;
    leader.campaign();
    leader.changes().wait_for(|change| change.leader == Some(ids[0])).await?;
    Ok(nodes)
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    measuring: AtomicBool,
    done: AtomicU64,
}

/// One closed-loop writer; keeps one latency of `every`.
async fn write(
    leader: Group<Machine>,
    shared: Arc<Shared>,
    payload: usize,
    every: u64,
) -> Result<Latencies, Missing> {
    let (source, mut latencies, mut n) = (vec![0xab; payload], Latencies::default(), 0u64);
    while !shared.stop.load(Relaxed) {
        let sent = Instant::now();
        leader.propose(Bytes::copy_from_slice(&source)).await?;
        if shared.measuring.load(Relaxed) {
            shared.done.fetch_add(1, Relaxed);
            n += 1;
            if n.is_multiple_of(every) {
                latencies.add(sent.elapsed());
            }
        }
    }
    Ok(latencies)
}

/// Writes with `writers` tasks that have one write outstanding each, all on one thread.
pub(crate) fn measure(plan: &Plan, writers: usize, payload: usize) -> Result<Sample, Missing> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(load(plan, writers, payload))
}

async fn load(plan: &Plan, writers: usize, payload: usize) -> Result<Sample, Missing> {
    let nodes = start(payload).await?;
    let shared = Arc::new(Shared::default());
    let every = if writers == 1 { 1 } else { 8 };
    let tasks: Vec<_> = (0..writers)
        .map(|_| tokio::spawn(write(nodes[0].1.clone(), Arc::clone(&shared), payload, every)))
        .collect();
    tokio::time::sleep(plan.warm).await;
    let meter = Meter::of_this_process()?;
    shared.measuring.store(true, Relaxed);
    tokio::time::sleep(plan.measure).await;
    shared.measuring.store(false, Relaxed);
    let sample = meter.sample(shared.done.load(Relaxed), Latencies::default())?;
    shared.stop.store(true, Relaxed);
    let mut latencies = Latencies::default();
    for task in tasks {
        latencies.append(task.await??);
    }
    for (node, _) in &nodes {
        node.shutdown().await;
    }
    let (p50_us, p99_us) = latencies.quantiles();
    Ok(Sample { p50_us, p99_us, ..sample })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn three_nodes_apply_everything_and_forget_most_of_it() {
        let nodes = start(100).await.unwrap();
        let leader = &nodes[0].1;
        let writes = 2 * EVERY + KEEP;
        for _ in 0..writes / 100 {
            let command = Bytes::from(vec![1; 100]);
            let all: Vec<_> = (0..100).map(|_| leader.propose(command.clone())).collect();
            for one in all {
                one.await.unwrap();
            }
        }
        for (node, group) in &nodes {
            while group.peek(|_, machine| machine.bytes) < writes * 100 {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            let status = group.status();
            assert!(status.snapshot.is_some() && status.compacted.index.0 >= EVERY - KEEP);
            assert_eq!(node.status().dropped, 0);
        }
    }
}
