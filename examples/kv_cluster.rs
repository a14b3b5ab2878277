//! The key/value service on three nodes, over TCP and with logs on disk. A clerk writes, the leader is
//! stopped, the clerk goes on, and the stopped node comes back with what it had.
//!
//! Prints:
//! ```text
//! greeting = hello
//! without its first leader: greeting = hello, world (12 bytes)
//! the restarted node has caught up: equal states
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kv::{Clerk, ClerkConfig, KvServer, ServerConfig, Store};
use raft_core::node::{Group, GroupConfig, Node, NodeConfig};
use raft_core::{Address, ClusterId, GroupId, Incarnation, Membership, NodeId};
use raft_storage::{FileDisk, Identity, Wal, WalOptions};
use raft_transport::{CallerConfig, Carrier, NetCaller, NetConfig, NetTransport, TokioNetwork};

const CLUSTER: ClusterId = ClusterId(1);
const IDS: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

/// Where the nodes listen: each takes a free port, and the others look it up when they dial.
type Addresses = Arc<Mutex<BTreeMap<NodeId, Address>>>;

struct Server {
    node: Node,
    group: Group<Store>,
    wal: Arc<Wal>,
    transport: Arc<NetTransport>,
}

impl Server {
    async fn start(id: NodeId, dir: &Path, addresses: &Addresses) -> Result<Self, Box<dyn Error>> {
        // 1. The disk: a directory that belongs to this node of this cluster.
        let dir = dir.join(id.to_string());
        std::fs::create_dir_all(&dir)?;
        let identity = Identity { cluster: CLUSTER, node: id, incarnation: Incarnation(id.0) };
        let disk = Arc::new(FileDisk::new(&dir)?);
        let wal = Arc::new(Wal::open(disk, identity, WalOptions::default()).await?);

        // 2. The network: one listener for the other nodes and for clients.
        let known = addresses.clone();
        let peers = move |id| lock(&known).get(&id).cloned();
        let listen = Address::from("127.0.0.1:0");
        let config = NetConfig::new(CLUSTER, id, wal.identity().incarnation, listen, id.0);
        let transport = Arc::new(
            NetTransport::bind(config, Carrier::plaintext(Arc::new(TokioNetwork)), Arc::new(peers))
                .await?,
        );
        lock(addresses).insert(id, transport.address().clone());

        // 3. The node, and on it a replica of the store.
        let node = Node::start(NodeConfig::new(id), wal.clone(), transport.clone());
        let members = Membership::of_voters(IDS);
        let group =
            node.add_group(GroupConfig::new(id, GroupId(1), members), Store::default()).await?;

        // 4. The service: clients are answered on the same listener.
        let hints = lock(addresses).clone();
        transport.serve(Arc::new(KvServer::new(group.clone(), hints, ServerConfig::default())));
        Ok(Self { node, group, wal, transport })
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

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let addresses = Addresses::default();
    let mut servers = BTreeMap::new();
    for id in IDS {
        servers.insert(id, Server::start(id, dir.path(), &addresses).await?);
    }

    let caller = NetCaller::new(CallerConfig::new(1), Carrier::plaintext(Arc::new(TokioNetwork)));
    let endpoints: Vec<Address> = lock(&addresses).values().cloned().collect();
    let clerk = Clerk::new(Arc::new(caller), endpoints, ClerkConfig::default());
    clerk.put(b"greeting", b"hello").await?;
    println!("greeting = {}", get(&clerk).await?);

    let first = servers[&IDS[0]].group.status().leader.ok_or("the cluster has a leader")?;
    servers.remove(&first).ok_or("the leader is one of ours")?.stop().await;
    let appended = clerk.append(b"greeting", b", world").await?;
    let value = get(&clerk).await?;
    println!("without its first leader: greeting = {value} ({} bytes)", appended.length);

    servers.insert(first, Server::start(first, dir.path(), &addresses).await?);
    let state = |server: &Server| server.group.peek(|last, store| (last, store.digest()));
    while servers.values().any(|server| state(server) != state(&servers[&first])) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("the restarted node has caught up: equal states");
    for server in servers.into_values() {
        server.stop().await;
    }
    Ok(())
}

async fn get(clerk: &Clerk) -> Result<String, Box<dyn Error>> {
    let found = clerk.get(b"greeting").await?.ok_or("the key is there")?;
    Ok(String::from_utf8(found.value.to_vec())?)
}
