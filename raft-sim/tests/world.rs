//! The world itself: time, links, crashes, pauses, clocks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use raft_core::node::{GroupConfig, Node, NodeConfig};
use raft_core::{
    Command, GroupId, Membership, NodeId, Restore, Role, SnapshotSource, StateMachine, Whole,
};
use raft_sim::Sim;
use raft_storage::MemoryStorage;

struct Count(u64);
impl StateMachine for Count {
    type Output = u64;
    fn apply(&mut self, commands: &[Command]) -> Vec<u64> {
        commands
            .iter()
            .map(|_| {
                self.0 += 1;
                self.0
            })
            .collect()
    }
    fn snapshot(&self) -> Box<dyn SnapshotSource> {
        Whole::source(self.0.to_le_bytes().to_vec())
    }
    fn restore(&self) -> Box<dyn Restore<Self>> {
        Whole::restore(|b| Ok(Count(u64::from_le_bytes(b.try_into().unwrap()))))
    }
}

fn run(seed: u64) -> (u64, u64, u64) {
    let mut sim = Sim::new(seed);
    let hosts: Vec<_> = (1..=3).map(|n| sim.add_host(&format!("n{n}"))).collect();
    let done = Arc::new(Mutex::new(0u64));
    for (at, host) in hosts.iter().enumerate() {
        let done = done.clone();
        sim.start(*host, |process| async move {
            let id = NodeId(at as u64 + 1);
            let node = Node::start(
                NodeConfig::new(id),
                Arc::new(MemoryStorage::new()),
                Arc::new(process.transport(id)),
            );
            let mut config =
                GroupConfig::new(id, GroupId(1), Membership::of_voters([1, 2, 3].map(NodeId)));
            config.raft.seed = process.seed();
            let group = node.add_group(config, Count(0)).await.unwrap();
            loop {
                if group.status().role == Role::Leader {
                    if group.propose(vec![1u8; 100].into()).await.is_ok() {
                        *done.lock().unwrap() += 1;
                    }
                } else {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        });
    }
    sim.run_for(Duration::from_secs(60));
    let count = *done.lock().unwrap();
    (sim.trace().hash(), sim.trace().events(), count)
}

#[test]
fn same_seed_same_run() {
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
