//! All nodes are found somewhere else from one moment on: whoever answers for addresses is asked at each dial, and so they
//! find each other again, while they run.
#![allow(unreachable_pub)]

#[path = "tls/certs.rs"]
#[allow(dead_code)]
mod certs;
mod common;
#[path = "../../raft-sim/tests/udp_proxy/mod.rs"]
mod proxy;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use raft_core::{Address, Transport};
use raft_transport::{Carrier, NetTransport, TokioNetwork};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

const NODES: [u64; 3] = [1, 2, 3];

/// Where a node is found: passes everything on to where it really is.
enum Door {
    Tcp(SocketAddr, #[allow(dead_code, reason = "it ends when it is dropped")] JoinSet<()>),
    Udp(proxy::UdpProxy),
}

impl Door {
    async fn open(carrier: &Carrier, to: SocketAddr) -> Self {
        if let Carrier::Quic(_) = carrier {
            return Self::Udp(proxy::UdpProxy::start(to, proxy::Mangling::default(), 1).await);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (at, mut task) = (listener.local_addr().unwrap(), JoinSet::new());
        task.spawn(async move {
            let mut passing = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                passing.spawn(async move {
                    let mut far = TcpStream::connect(to).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Self::Tcp(at, task)
    }

    fn address(&self) -> Address {
        let at = match self {
            Self::Tcp(at, _) => *at,
            Self::Udp(proxy) => proxy.address,
        };
        Address(at.to_string())
    }
}

/// Each says something to each other one, again and again, until all have heard all others.
async fn all_talk(nodes: &[NetTransport], term: u64) {
    let mut missing: BTreeSet<(u64, u64)> =
        NODES.into_iter().flat_map(|from| NODES.map(|to| (from, to))).collect();
    missing.retain(|(from, to)| from != to);
    let talking = async {
        while !missing.is_empty() {
            for (from, to) in &missing {
                nodes[*from as usize - 1].send(&mut vec![vote(1, *from, *to, term)]);
            }
            for node in nodes {
                let mut inbox = Vec::new();
                let _ = timeout(Duration::from_millis(50), node.receive(&mut inbox)).await;
                for message in inbox.iter().filter(|message| message.term.0 == term) {
                    missing.remove(&(message.from.0, message.to.0));
                }
            }
        }
    };
    soon(talking).await;
}

async fn all_move(carrier: impl Fn(u64) -> Carrier) {
    let (book, mut nodes, mut doors) = (Book::default(), Vec::new(), Vec::new());
    for node in NODES {
        let mut config = config(node, "127.0.0.1:0");
        config.peer_liveness.ping_every = Duration::from_millis(100);
        config.peer_liveness.silence_max = Duration::from_millis(700);
        let bound = NetTransport::bind(config, carrier(node), book.peers()).await;
        nodes.push(bound.unwrap());
    }
    for round in 0..3 {
        // The old ones are gone with this, and what went through them is cut.
        doors.clear();
        for (id, node) in NODES.into_iter().zip(&nodes) {
            let door = Door::open(&carrier(id), node.address().0.parse().unwrap()).await;
            book.set(id, &door.address());
            doors.push(door);
        }
        all_talk(&nodes, round).await;
        for node in &nodes {
            assert!(node.counters().peer_connections > 2 * round, "{:?}", node.counters());
        }
    }
}

#[tokio::test]
async fn all_nodes_move_over_tcp() {
    all_move(|_| Carrier::plaintext(Arc::new(TokioNetwork))).await;
}

#[tokio::test]
async fn all_nodes_move_over_quic() {
    let authority = certs::Authority::new();
    all_move(|node| Carrier::Quic(authority.tls(&authority.node(node)))).await;
}
