//! Our transports under the kit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use raft_core::{Address, BoxFuture, ClusterId, Incarnation, NodeId};
use raft_sim::conformance::{Clock, Endpoints, LinkControl, LinkState, TransportKit};
use raft_transport::{
    ChannelNetwork, ChannelTransport, Counters, Network, TcpConfig, TcpTransport, TokioNetwork,
};

struct Channels(ChannelNetwork);

impl Endpoints for Channels {
    type Transport = ChannelTransport;

    fn start(&self, node: NodeId) -> BoxFuture<'_, ChannelTransport> {
        Box::pin(async move { self.0.transport(node) })
    }

    fn shutdown<'a>(&'a self, transport: &'a ChannelTransport) -> BoxFuture<'a, ()> {
        Box::pin(async { transport.shutdown() })
    }

    fn set_link(&self, a: NodeId, b: NodeId, state: LinkState) -> LinkControl {
        for (from, to) in [(a, b), (b, a)] {
            match state {
                LinkState::Broken => self.0.block(from, to),
                LinkState::Whole => self.0.unblock(from, to),
            }
        }
        LinkControl::Done
    }
}

#[test]
fn the_network_of_channels_conforms() {
    let kit = TransportKit { nodes: 5, held_bytes_max: 2 << 20, ..TransportKit::default() };
    let report = kit.check(|| Channels(ChannelNetwork::with_bounds(10_000, 1 << 20)));
    let report = report.unwrap_or_else(|violation| panic!("{violation}"));
    println!("{report}");
    assert!(report.delivered > 1000 && report.links_broken == 3, "{report}");
    assert!(report.held_bytes > 1 << 19 && report.streams_tampered == 0, "{report}");
}

/// TCP over any network.
struct Streams {
    network: Arc<dyn Network>,
    listen: fn(NodeId, u64) -> Address,
    book: Arc<Mutex<BTreeMap<NodeId, Address>>>,
    lives: Mutex<u64>,
}

impl Streams {
    fn new(network: Arc<dyn Network>, listen: fn(NodeId, u64) -> Address) -> Self {
        Self { network, listen, book: Arc::default(), lives: Mutex::default() }
    }

    async fn bind(&self, cluster: u64, node: NodeId) -> TcpTransport {
        let life = {
            let mut lives = self.lives.lock().expect("not poisoned");
            *lives += 1;
            *lives
        };
        let listen = (self.listen)(node, life);
        let mut config =
            TcpConfig::new(ClusterId(cluster), node, Incarnation(node.0), listen, node.0);
        config.frame_bytes_max = 1 << 20;
        config.peer_bytes_max = 1 << 20;
        config.inbox_bytes_max = 1 << 20;
        let book = Arc::clone(&self.book);
        let peers = move |node: NodeId| book.lock().expect("not poisoned").get(&node).cloned();
        let bound = TcpTransport::bind(config, Arc::clone(&self.network), Arc::new(peers)).await;
        bound.expect("a free address")
    }
}

fn rejected(counters: &Counters) -> u64 {
    counters.rejected_format
        + counters.rejected_checksum
        + counters.rejected_too_long
        + counters.rejected_truncated
        + counters.rejected_payload
        + counters.rejected_kind
        + counters.rejected_misaddressed
        + counters.refused_protocol
        + counters.refused_cluster
        + counters.refused_node
        + counters.refused_incarnation
        + counters.refused_no_hello
        + counters.handshakes_late
        + counters.handshakes_full
}

impl Endpoints for Streams {
    type Transport = TcpTransport;

    fn start(&self, node: NodeId) -> BoxFuture<'_, TcpTransport> {
        Box::pin(async move {
            let transport = self.bind(1, node).await;
            self.book.lock().expect("not poisoned").insert(node, transport.address().clone());
            transport
        })
    }

    fn shutdown<'a>(&'a self, transport: &'a TcpTransport) -> BoxFuture<'a, ()> {
        Box::pin(transport.shutdown())
    }

    fn address(&self, node: NodeId) -> Option<Address> {
        self.book.lock().expect("not poisoned").get(&node).cloned()
    }

    fn rejected(&self, transport: &TcpTransport) -> Option<u64> {
        Some(rejected(&transport.counters()))
    }

    fn start_stranger(&self, node: NodeId) -> BoxFuture<'_, Option<TcpTransport>> {
        Box::pin(async move { Some(self.bind(2, node).await) })
    }
}

#[test]
fn tcp_conforms_over_a_network_in_memory() {
    let kit = TransportKit { held_bytes_max: 4 << 20, ..TransportKit::default() };
    let report = kit.check_streams(|network| {
        Streams::new(network, |node, life| Address::from(format!("{node} life {life}").as_str()))
    });
    let report = report.unwrap_or_else(|violation| panic!("{violation}"));
    println!("{report}");
    assert!(report.streams_tampered > 150 && report.streams_hostile > 300, "{report}");
}

/// With real sockets and a real clock, but for what needs the network to be altered.
#[test]
fn tcp_conforms_over_the_loopback_device() {
    let (clock, patience) = (Clock::Real, Duration::from_secs(20));
    let kit = TransportKit { clock, patience, ..TransportKit::default() };
    let report = kit.check(|| Streams::new(Arc::new(TokioNetwork), |_, _| "127.0.0.1:0".into()));
    let report = report.unwrap_or_else(|violation| panic!("{violation}"));
    println!("{report}");
}
