//! Our transports under the kit.

mod udp_proxy;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use raft_core::{Address, BoxFuture, ClusterId, Incarnation, NodeId};
use raft_sim::conformance::{Clock, Endpoints, LinkControl, LinkState, TransportKit};
use raft_transport::{
    Carrier, ChannelNetwork, ChannelTransport, Counters, Credentials, NetConfig, NetTransport,
    Network, Security, Tls, TokioNetwork,
};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use udp_proxy::{Done, Mangling, Passage, UdpProxy};

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

/// How a node of a cluster secures its connections.
type Secure = Arc<dyn Fn(u64, NodeId) -> Security + Send + Sync>;

fn plaintext() -> Secure {
    Arc::new(|_, _| Security::Plaintext)
}

/// By certificates of one authority, which signs for all clusters.
fn mutual_tls() -> Secure {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let key = KeyPair::generate().expect("a key");
    let pem = authority.self_signed(&key).expect("a certificate").pem();
    let issuer = Issuer::new(authority, key);
    Arc::new(move |cluster, node| {
        let mut params = CertificateParams::default();
        let name = format!("raft://{cluster}/node/{}", node.0);
        params.subject_alt_names = vec![SanType::URI(name.try_into().expect("ASCII"))];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        let own = params.signed_by(&key, &issuer).expect("a certificate").pem();
        let (ca, key) = (pem.as_bytes(), key.serialize_pem());
        let credentials = Credentials::from_pem(ca, own.as_bytes(), key.as_bytes());
        Security::MutualTls(Tls::new(&credentials.expect("good")).expect("TLS"))
    })
}

/// TCP over any network.
struct Streams {
    network: Arc<dyn Network>,
    listen: fn(NodeId, u64) -> Address,
    secure: Secure,
    book: Arc<Mutex<BTreeMap<NodeId, Address>>>,
    lives: Mutex<u64>,
}

impl Streams {
    fn new(network: Arc<dyn Network>, listen: fn(NodeId, u64) -> Address, secure: &Secure) -> Self {
        let secure = Arc::clone(secure);
        Self { network, listen, secure, book: Arc::default(), lives: Mutex::default() }
    }

    async fn bind(&self, cluster: u64, node: NodeId) -> NetTransport {
        let life = {
            let mut lives = self.lives.lock().expect("not poisoned");
            *lives += 1;
            *lives
        };
        let listen = (self.listen)(node, life);
        let mut config =
            NetConfig::new(ClusterId(cluster), node, Incarnation(node.0), listen, node.0);
        config.frame_bytes_max = 1 << 20;
        config.peer_bytes_max = 1 << 20;
        config.inbox_bytes_max = 1 << 20;
        let book = Arc::clone(&self.book);
        let peers = move |node: NodeId| book.lock().expect("not poisoned").get(&node).cloned();
        let carrier = Carrier::Streams {
            network: Arc::clone(&self.network),
            security: (self.secure)(cluster, node),
        };
        let bound = NetTransport::bind(config, carrier, Arc::new(peers)).await;
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
        + counters.certificate_other_cluster
        + counters.refused_plaintext
        + counters.tls_alerts
        + counters.tls_errors
        // The length of a record of TLS was altered: the rest of it never comes.
        + counters.closed_idle
}

impl Endpoints for Streams {
    type Transport = NetTransport;

    fn start(&self, node: NodeId) -> BoxFuture<'_, NetTransport> {
        Box::pin(async move {
            let transport = self.bind(1, node).await;
            self.book.lock().expect("not poisoned").insert(node, transport.address().clone());
            transport
        })
    }

    fn shutdown<'a>(&'a self, transport: &'a NetTransport) -> BoxFuture<'a, ()> {
        Box::pin(transport.shutdown())
    }

    fn address(&self, node: NodeId) -> Option<Address> {
        self.book.lock().expect("not poisoned").get(&node).cloned()
    }

    fn rejected(&self, transport: &NetTransport) -> Option<u64> {
        Some(rejected(&transport.counters()))
    }

    fn start_stranger(&self, node: NodeId) -> BoxFuture<'_, Option<NetTransport>> {
        Box::pin(async move { Some(self.bind(2, node).await) })
    }
}

fn conforms_over_a_network_in_memory(secure: &Secure) {
    let kit = TransportKit { held_bytes_max: 4 << 20, ..TransportKit::default() };
    let listen = |node: NodeId, life: u64| Address::from(format!("{node} life {life}").as_str());
    let report = kit.check_streams(|network| Streams::new(network, listen, secure));
    let report = report.unwrap_or_else(|violation| panic!("{violation}"));
    println!("{report}");
    assert!(report.streams_tampered > 150 && report.streams_hostile > 300, "{report}");
}

#[test]
fn tcp_conforms_over_a_network_in_memory() {
    conforms_over_a_network_in_memory(&plaintext());
}

/// TLS draws randomness of its own, and its signatures differ in length from run to run: here it makes no
/// difference, because nothing in the kit depends on where exactly a stream is tampered with.
#[test]
fn tcp_with_tls_conforms_over_a_network_in_memory() {
    conforms_over_a_network_in_memory(&mutual_tls());
}

/// With real sockets and a real clock, but for what needs the network to be altered.
fn conforms_over_the_loopback_device(secure: &Secure) {
    let (clock, patience) = (Clock::Real, Duration::from_secs(20));
    let kit = TransportKit { clock, patience, ..TransportKit::default() };
    let report =
        kit.check(|| Streams::new(Arc::new(TokioNetwork), |_, _| "127.0.0.1:0".into(), secure));
    let report = report.unwrap_or_else(|violation| panic!("{violation}"));
    println!("{report}");
}

#[test]
fn tcp_conforms_over_the_loopback_device() {
    conforms_over_the_loopback_device(&plaintext());
}

#[test]
fn tcp_with_tls_conforms_over_the_loopback_device() {
    conforms_over_the_loopback_device(&mutual_tls());
}

/// QUIC, with a proxy between each two nodes that loses, doubles, delays and damages datagrams.
struct Datagrams {
    secure: Secure,
    mangling: Mangling,
    done: Arc<Mutex<Done>>,
    /// From the first to the second.
    proxies: Arc<Mutex<BTreeMap<(NodeId, NodeId), UdpProxy>>>,
}

const NODES: u64 = 3;

impl Datagrams {
    fn new(secure: &Secure, mangling: Mangling, done: &Arc<Mutex<Done>>) -> Self {
        let (secure, done) = (Arc::clone(secure), Arc::clone(done));
        Self { secure, mangling, done, proxies: Arc::default() }
    }

    /// Nodes reach each other by proxies only.
    async fn lead_to(&self, node: NodeId, address: &Address) {
        let to = address.0.parse().expect("the address of a socket");
        for from in (1..=NODES).map(NodeId).filter(|from| *from != node) {
            if let Some(proxy) = self.proxies.lock().expect("not poisoned").get(&(from, node)) {
                proxy.lead_to(to);
                continue;
            }
            let proxy = UdpProxy::start(to, self.mangling, 10 * from.0 + node.0).await;
            self.proxies.lock().expect("not poisoned").insert((from, node), proxy);
        }
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        let mut all = self.done.lock().expect("not poisoned");
        let proxies = self.proxies.lock().expect("not poisoned");
        for Done { passed, lost, doubled, late, damaged } in proxies.values().map(UdpProxy::done) {
            all.passed += passed;
            all.lost += lost;
            all.doubled += doubled;
            all.late += late;
            all.damaged += damaged;
        }
    }
}

impl Endpoints for Datagrams {
    type Transport = NetTransport;

    fn start(&self, node: NodeId) -> BoxFuture<'_, NetTransport> {
        Box::pin(async move {
            let mut config = NetConfig::new(
                ClusterId(1),
                node,
                Incarnation(node.0),
                "127.0.0.1:0".into(),
                node.0,
            );
            config.frame_bytes_max = 1 << 20;
            config.peer_bytes_max = 1 << 20;
            config.inbox_bytes_max = 1 << 20;
            let Security::MutualTls(tls) = (self.secure)(1, node) else { panic!("QUIC has TLS") };
            let proxies = Arc::clone(&self.proxies);
            let peers = move |to: NodeId| {
                let proxies = proxies.lock().expect("not poisoned");
                proxies.get(&(node, to)).map(|proxy| Address(proxy.address.to_string()))
            };
            let bound = NetTransport::bind(config, Carrier::Quic(tls), Arc::new(peers)).await;
            let transport = bound.expect("a free port");
            self.lead_to(node, transport.address()).await;
            transport
        })
    }

    fn shutdown<'a>(&'a self, transport: &'a NetTransport) -> BoxFuture<'a, ()> {
        Box::pin(transport.shutdown())
    }

    fn set_link(&self, a: NodeId, b: NodeId, state: LinkState) -> LinkControl {
        let proxies = self.proxies.lock().expect("not poisoned");
        for between in [(a, b), (b, a)] {
            if let Some(proxy) = proxies.get(&between) {
                proxy.set(match state {
                    LinkState::Broken => Passage::Nothing,
                    LinkState::Whole => Passage::Both,
                });
            }
        }
        LinkControl::Done
    }
}

/// Every tenth datagram meets with something.
#[test]
fn quic_conforms_though_datagrams_are_mangled() {
    let (clock, patience) = (Clock::Real, Duration::from_secs(30));
    // Each end of the two streams holds as much as one of TCP.
    let kit = TransportKit {
        nodes: NODES,
        clock,
        patience,
        held_bytes_max: 8 << 20,
        ..TransportKit::default()
    };
    let (secure, done) = (mutual_tls(), Arc::default());
    let mangling = Mangling { lost: 3, doubled: 3, late: 3, damaged: 1 };
    let report = kit.check(|| Datagrams::new(&secure, mangling, &done));
    let report = report.unwrap_or_else(|violation| panic!("{violation}"));
    let done = *done.lock().expect("not poisoned");
    println!("{report}\n{done:?}");
    assert!(report.delivered > 1000 && report.links_broken == 3, "{report}");
    assert!(done.lost.min(done.doubled).min(done.late).min(done.damaged) > 20, "{done:?}");
}
