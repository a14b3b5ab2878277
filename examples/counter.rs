//! A state machine of your own, replicated: the smallest whole program.
//!
//! Prints: `the counter is 42`

use std::error::Error;
use std::sync::Arc;

use raft_core::node::{GroupConfig, Node, NodeConfig};
use raft_core::{
    Command, GroupId, Membership, NodeId, Restore, RestoreError, SnapshotSource, StateMachine,
    Whole,
};
use raft_storage::MemoryStorage;
use raft_transport::ChannelNetwork;

/// Adds up numbers of eight bytes.
struct Counter(u64);

impl StateMachine for Counter {
    type Output = u64;

    fn apply(&mut self, commands: &[Command]) -> Vec<u64> {
        let add = |command: &Command| {
            self.0 += number(&command.data).unwrap_or(0);
            self.0
        };
        commands.iter().map(add).collect()
    }

    fn snapshot(&self) -> Box<dyn SnapshotSource> {
        Whole::source(self.0.to_be_bytes().to_vec())
    }

    fn restore(&self) -> Box<dyn Restore<Self>> {
        let error = || RestoreError { reason: "eight bytes are a counter".into() };
        Whole::restore(move |data| number(&data).map(Counter).ok_or_else(error))
    }
}

fn number(data: &[u8]) -> Option<u64> {
    data.try_into().ok().map(u64::from_be_bytes)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (id, group) = (NodeId(1), GroupId(1));
    let transport = Arc::new(ChannelNetwork::new().transport(id));
    let node = Node::start(NodeConfig::new(id), Arc::new(MemoryStorage::new()), transport);
    let config = GroupConfig::new(id, group, Membership::of_voters([id]));
    let counter = node.add_group(config, Counter(0)).await?;
    counter.changes().wait_for(|change| change.leader.is_some()).await?;

    counter.propose(40u64.to_be_bytes().to_vec().into()).await?;
    counter.propose(2u64.to_be_bytes().to_vec().into()).await?;
    println!("the counter is {}", counter.read(|counter| counter.0).await?);

    node.shutdown().await;
    Ok(())
}
