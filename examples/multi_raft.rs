//! Many groups in one process: three nodes, each with a replica of every group, on one log and with one connection to
//! each other node. Groups elect and commit on their own; what they write at the same time shares a batch of the log,
//! and so one sync of the disk.
//!
//! Prints:
//! ```text
//! 32 groups on three nodes, each with a leader
//! 640 commands are committed
//! all replicas of all groups are equal
//! one log, and fewer syncs than commands
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use raft_core::node::{Group, GroupConfig, Node, NodeConfig};
use raft_core::{
    Address, ClusterId, Command, GroupId, Incarnation, Membership, NodeId, Restore, RestoreError,
    Role, SnapshotSource, StateMachine, Whole,
};
use raft_storage::{FileDisk, Identity, Wal, WalOptions, inspect_wal};
use raft_transport::{Carrier, NetConfig, NetTransport, TokioNetwork};
use tokio::task::JoinSet;

const CLUSTER: ClusterId = ClusterId(1);
const IDS: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];
const GROUPS: u64 = 32;
const COMMANDS: u64 = 20;

/// Holds the highest number it was told: telling it twice changes nothing.
#[derive(Default)]
struct Highest(u64);

impl StateMachine for Highest {
    type Output = ();

    fn apply(&mut self, commands: &[Command]) -> Vec<()> {
        for command in commands {
            let told = command.data.as_ref().try_into().map_or(0, u64::from_le_bytes);
            self.0 = self.0.max(told);
        }
        vec![(); commands.len()]
    }

    fn snapshot(&self) -> Box<dyn SnapshotSource> {
        Whole::source(self.0.to_le_bytes().to_vec())
    }

    fn restore(&self) -> Box<dyn Restore<Self>> {
        Whole::restore(|data| match data.try_into() {
            Ok(bytes) => Ok(Self(u64::from_le_bytes(bytes))),
            Err(_) => Err(RestoreError { reason: "a number has eight bytes".into() }),
        })
    }
}

/// Where the nodes listen: each takes a free port, and the others look it up when they dial.
type Addresses = Arc<Mutex<BTreeMap<NodeId, Address>>>;

struct Process {
    node: Node,
    groups: Vec<Group<Highest>>,
    wal: Arc<Wal>,
    transport: Arc<NetTransport>,
}

impl Process {
    async fn start(id: NodeId, dir: &Path, addresses: &Addresses) -> Result<Self, Box<dyn Error>> {
        // One log and one listener, however many groups there are.
        let dir = dir.join(id.to_string());
        std::fs::create_dir_all(&dir)?;
        let identity = Identity { cluster: CLUSTER, node: id, incarnation: Incarnation(id.0) };
        let wal =
            Wal::open(Arc::new(FileDisk::new(&dir)?), identity, WalOptions::default()).await?;
        let wal = Arc::new(wal);
        let known = addresses.clone();
        let peers = move |id| lock(&known).get(&id).cloned();
        let listen = Address::from("127.0.0.1:0");
        let config = NetConfig::new(CLUSTER, id, wal.identity().incarnation, listen, id.0);
        let transport =
            NetTransport::bind(config, Carrier::plaintext(Arc::new(TokioNetwork)), Arc::new(peers))
                .await?;
        let transport = Arc::new(transport);
        lock(addresses).insert(id, transport.address().clone());

        let node = Node::start(NodeConfig::new(id), wal.clone(), transport.clone());
        let mut groups = Vec::new();
        for group in (1..=GROUPS).map(GroupId) {
            let config = GroupConfig::new(id, group, Membership::of_voters(IDS));
            groups.push(node.add_group(config, Highest::default()).await?);
        }
        Ok(Self { node, groups, wal, transport })
    }

    async fn stop(self) {
        self.node.shutdown().await;
        self.transport.shutdown().await;
        self.wal.close().await;
    }
}

fn lock(addresses: &Addresses) -> std::sync::MutexGuard<'_, BTreeMap<NodeId, Address>> {
    addresses.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells a group the numbers up to [`COMMANDS`], at whichever replica leads.
async fn tell(replicas: Vec<Group<Highest>>) {
    let mut numbers = (1..=COMMANDS).peekable();
    while let Some(number) = numbers.peek() {
        let command = Bytes::copy_from_slice(&number.to_le_bytes());
        let leader = replicas.iter().find(|replica| replica.status().role == Role::Leader);
        let told = match leader {
            Some(leader) => leader.propose(command).await.is_ok(),
            None => false,
        };
        match told {
            true => drop(numbers.next()),
            false => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let addresses = Addresses::default();
    let mut processes = Vec::new();
    for id in IDS {
        processes.push(Process::start(id, dir.path(), &addresses).await?);
    }
    for group in &processes[0].groups {
        group.changes().wait_for(|change| change.leader.is_some()).await?;
    }
    println!("{GROUPS} groups on three nodes, each with a leader");

    let mut clients = JoinSet::new();
    for at in 0..processes[0].groups.len() {
        clients.spawn(tell(processes.iter().map(|process| process.groups[at].clone()).collect()));
    }
    while clients.join_next().await.transpose()?.is_some() {}
    println!("{} commands are committed", GROUPS * COMMANDS);

    for group in processes.iter().flat_map(|process| &process.groups) {
        while group.peek(|_, state| state.0 < COMMANDS) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    println!("all replicas of all groups are equal");

    for process in processes {
        process.stop().await;
    }
    for id in IDS {
        let disk = FileDisk::new(dir.path().join(id.to_string()))?;
        let found = inspect_wal(&disk, |_| ()).await?;
        assert!(found.batches < GROUPS * COMMANDS, "each batch is one sync: {found:?}");
    }
    println!("one log, and fewer syncs than commands");
    Ok(())
}
