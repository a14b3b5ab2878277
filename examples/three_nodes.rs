//! Three nodes in memory. The leader dies; the others go on without it and lose nothing.
//!
//! Prints:
//! ```text
//! appended: one
//! the leader is gone; another has taken over
//! appended: two
//! both survivors have: one two
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft_core::node::{Group, GroupConfig, Node, NodeConfig};
use raft_core::{
    Command, GroupId, Membership, NodeId, Restore, RestoreError, SnapshotSource, StateMachine,
    Whole,
};
use raft_storage::MemoryStorage;
use raft_transport::ChannelNetwork;

/// A list of words, each there once: proposing one again changes nothing.
#[derive(Clone, Default)]
struct Words(String);

impl StateMachine for Words {
    type Output = ();

    fn apply(&mut self, commands: &[Command]) -> Vec<()> {
        for command in commands {
            let word = String::from_utf8_lossy(&command.data);
            if !self.0.split(' ').any(|known| known == word) {
                self.0 += &word;
                self.0 += " ";
            }
        }
        vec![(); commands.len()]
    }

    fn snapshot(&self) -> Box<dyn SnapshotSource> {
        Whole::source(self.0.clone())
    }

    fn restore(&self) -> Box<dyn Restore<Self>> {
        Whole::restore(|data| {
            let error = |_| RestoreError { reason: "words are UTF-8".into() };
            String::from_utf8(data).map(Words).map_err(error)
        })
    }
}

type Cluster = BTreeMap<NodeId, (Node, Group<Words>)>;

async fn start(network: &ChannelNetwork) -> Result<Cluster, Box<dyn Error>> {
    let ids = [1, 2, 3].map(NodeId);
    let mut cluster = Cluster::new();
    for id in ids {
        let (storage, transport) = (MemoryStorage::new(), network.transport(id));
        let node = Node::start(NodeConfig::new(id), Arc::new(storage), Arc::new(transport));
        let config = GroupConfig::new(id, GroupId(1), Membership::of_voters(ids));
        let group = node.add_group(config, Words::default()).await?;
        cluster.insert(id, (node, group));
    }
    Ok(cluster)
}

/// Proposes at whoever leads, until it is applied. That is safe because a word counts once; `kv` shows how
/// sessions make any command so.
async fn append(cluster: &Cluster, word: &'static str) -> NodeId {
    loop {
        for (id, (_, group)) in cluster {
            if group.propose(Bytes::from_static(word.as_bytes())).await.is_ok() {
                println!("appended: {word}");
                return *id;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let network = ChannelNetwork::new();
    let mut cluster = start(&network).await?;
    let leader = append(&cluster, "one").await;

    network.isolate(leader);
    drop(cluster.remove(&leader)); // Dropping a node is its crash.
    for (_, group) in cluster.values() {
        group.changes().wait_for(|change| change.leader.is_some_and(|id| id != leader)).await?;
    }
    println!("the leader is gone; another has taken over");

    append(&cluster, "two").await;
    for (_, group) in cluster.values() {
        while group.peek(|_, words| words.0 != "one two ") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    println!("both survivors have: one two");
    for (node, _) in cluster.values() {
        node.shutdown().await;
    }
    Ok(())
}
