//! Three real processes that reach each other, and are reached, only through proxies that mangle what passes: no
//! client is told anything that is not so, and nothing is lost.

mod common;
#[path = "common/witness.rs"]
mod witness;

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use common::{Guard, PATIENCE, free_ports, run, shardkv};
use raft_core::Address;
use raft_sim::proxy::{Counters, Delay, Rate, Rules, StreamProxy, StreamRules, Unit, Way};
use raft_transport::{Carrier, CredentialFiles, Credentials, Security, Tls, TokioNetwork};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use witness::{Asking, Witness};

const NODES: usize = 3;
const OF_CLIENTS: usize = NODES;

/// How the processes speak.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speech {
    Plain,
    Tls,
}

/// Whose connections they are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Diallers {
    Nodes,
    Clients,
}

/// Nodes, and a proxy before each for every other one and for clients.
struct Proxied {
    dir: TempDir,
    speech: Speech,
    /// By who dials and who is dialled; clients are [`OF_CLIENTS`].
    proxies: Vec<(usize, usize, StreamProxy)>,
    nodes: Vec<Guard>,
    /// Where the nodes are themselves.
    addresses: Vec<String>,
}

impl Proxied {
    async fn start(speech: Speech) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ports = free_ports(NODES);
        let addresses: Vec<_> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let unit = match speech {
            Speech::Plain => Unit::Frames,
            Speech::Tls => Unit::TlsRecords,
        };
        let mut proxies = Vec::new();
        for from in 0..=OF_CLIENTS {
            for to in (0..NODES).filter(|to| *to != from) {
                let (network, listen) = (Arc::new(TokioNetwork), Address::from("127.0.0.1:0"));
                let (target, seed) = (Address(addresses[to].clone()), (from * 10 + to) as u64);
                let proxy = StreamProxy::start(network, &listen, target, unit, seed).await;
                proxies.push((from, to, proxy.unwrap()));
            }
        }
        let mut proxied = Self { dir, speech, proxies, nodes: Vec::new(), addresses };
        if speech == Speech::Tls {
            proxied.certify();
        }
        for node in 0..NODES {
            let guard = proxied.node(node, &proxied.addresses[node]);
            proxied.nodes.push(guard);
        }
        proxied
    }

    fn certify(&self) {
        let certs = self.certs().display().to_string();
        let nodes = (1..=NODES).map(|id| id.to_string()).collect::<Vec<_>>();
        let mut wanted =
            vec![vec!["create-ca", "--cluster-id", "7"], vec!["create-client", "witness"]];
        wanted.extend(nodes.iter().map(|id| vec!["create-node", id]));
        for arguments in wanted {
            let made = run(&[&["certs"], &arguments[..], &["--dir", &certs]].concat());
            assert_eq!(made.code, Some(0), "{arguments:?}: {}", made.err);
        }
    }

    fn certs(&self) -> PathBuf {
        self.dir.path().join("certs")
    }

    fn credentials(&self, of: &str) -> [PathBuf; 3] {
        ["ca".to_owned(), of.to_owned(), format!("{of}-key")]
            .map(|name| self.certs().join(format!("{name}.pem")))
    }

    /// A node is told of the others by the proxies that are before them for it, and tells others that it is behind one:
    /// nodes exchange where they are. Of two nodes the lower one dials, so that the first one's proxies are enough.
    fn node(&self, node: usize, listen: &str) -> Guard {
        let id = node + 1;
        let first = usize::from(node == 0);
        let before = self.proxies.iter().find(|(from, to, _)| (*from, *to) == (first, node));
        let (.., before) = before.unwrap();
        let mut peers = format!("{id}={listen}");
        for (_, to, proxy) in self.proxies.iter().filter(|(from, ..)| *from == node) {
            peers += &format!(",{}={}", to + 1, proxy.address());
        }
        let log = File::create(self.dir.path().join(format!("node-{id}.log"))).unwrap();
        let mut command = shardkv();
        command
            .args(["server", "--cluster-id", "7", "--node-id", &id.to_string()])
            .args(["--listen", listen, "--advertise", &before.address().0])
            .args(["--peers", &peers, "--data-dir"])
            .arg(self.dir.path().join(format!("node-{id}")));
        self.secure(&mut command, &format!("node-{id}"));
        Guard(command.stderr(log).stdout(Stdio::null()).spawn().unwrap())
    }

    fn secure(&self, command: &mut Command, of: &str) {
        if self.speech == Speech::Tls {
            let flags = ["--tls-ca", "--tls-cert", "--tls-key"].into_iter();
            flags
                .zip(self.credentials(of))
                .for_each(|(flag, file)| _ = command.arg(flag).arg(file));
        }
    }

    /// All replicas come to have the same state. They are asked without a proxy between.
    async fn same_state(&self) {
        let same = async {
            loop {
                let mut command = shardkv();
                command.args(["status", "--json", "--timeout", "5s", "--endpoints"]);
                command.arg(self.addresses.join(","));
                self.secure(&mut command, "client-witness");
                let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
                let rows: Vec<serde_json::Value> =
                    serde_json::from_slice(&output.unwrap().stdout).unwrap_or_default();
                let of = |name: &str| rows.iter().map(|row| row[name].clone()).collect::<Vec<_>>();
                let equal = |all: Vec<_>| all.windows(2).all(|pair| pair[0] == pair[1]);
                if rows.len() == NODES && of("reachable").iter().all(|it| *it == true) {
                    // What is not applied yet is on its way.
                    if equal(of("applied")) && equal(of("digest")) {
                        return;
                    }
                }
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(PATIENCE, same).await.expect("all replicas come to have the same state");
    }

    fn witness(&self) -> Witness {
        let security = match self.speech {
            Speech::Plain => Security::Plaintext,
            Speech::Tls => {
                let [authority, certificate, key] = self.credentials("client-witness");
                let files = CredentialFiles { authority, certificate, key };
                Security::MutualTls(Tls::new(&Credentials::read(&files).unwrap()).unwrap())
            }
        };
        let carrier = Carrier::Streams { network: Arc::new(TokioNetwork), security };
        let of_clients = self.proxies.iter().filter(|(from, ..)| *from == OF_CLIENTS);
        let endpoints = of_clients.map(|(.., proxy)| proxy.address().clone()).collect();
        Witness::start(Asking { endpoints, carrier, clients: 4, seed: 1 })
    }

    /// The same rules both ways for all connections that these dial.
    fn rule(&self, diallers: Diallers, rules: &StreamRules) {
        for (from, _, proxy) in &self.proxies {
            let dialler = if *from == OF_CLIENTS { Diallers::Clients } else { Diallers::Nodes };
            if dialler == diallers {
                Way::BOTH.iter().for_each(|way| proxy.control().set(*way, rules.clone()));
            }
        }
    }

    fn between(&self, a: usize, b: usize) -> impl Iterator<Item = &StreamProxy> {
        let is = move |from, to| (from, to) == (a, b) || (from, to) == (b, a);
        self.proxies.iter().filter(move |(from, to, _)| is(*from, *to)).map(|(.., proxy)| proxy)
    }

    fn heal(&self) {
        for (.., proxy) in &self.proxies {
            Way::BOTH.iter().for_each(|way| proxy.control().heal(*way));
        }
    }

    fn counters(&self) -> Counters {
        self.proxies.iter().map(|(.., proxy)| proxy.control().counters()).sum()
    }

    fn logs(&self) -> String {
        let log = |id: usize| self.dir.path().join(format!("node-{id}.log"));
        (1..=NODES).map(|id| std::fs::read_to_string(log(id)).unwrap_or_default()).collect()
    }

    async fn until(&self, what: &str, reached: impl Fn() -> bool) {
        let waiting = async {
            while !reached() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(PATIENCE, waiting).await.is_err() {
            panic!("not within {PATIENCE:?}: {what}; {:?}\n{}", self.counters(), self.logs());
        }
    }

    /// So many more operations are answered.
    async fn answers(&self, witness: &Witness, more: u64, what: &str) {
        let goal = witness.answered() + more;
        self.until(what, || witness.answered() >= goal).await;
    }
}

fn delay(many: u32) -> Delay {
    Delay { rate: Rate::one_in(many), range: Duration::from_millis(1)..=Duration::from_millis(30) }
}

/// What must have happened, or the test has shown nothing; and `told` is in the log of a node.
async fn survives(
    speech: Speech,
    (nodes, clients): (StreamRules, StreamRules),
    enough: impl Fn(&Counters) -> bool,
    told: &str,
) {
    let proxied = Proxied::start(speech).await;
    let witness = proxied.witness();
    proxied.answers(&witness, 100, "answers while nothing happens").await;
    proxied.rule(Diallers::Nodes, &nodes);
    proxied.rule(Diallers::Clients, &clients);
    proxied.answers(&witness, 300, "answers while everything is mangled").await;
    // One way, and both ways, with all of that.
    proxied.between(0, 1).for_each(|proxy| proxy.control().cut(Way::ToTarget));
    proxied.answers(&witness, 100, "answers while one way is cut").await;
    proxied.heal();
    proxied.between(0, 1).for_each(|proxy| proxy.control().cut(Way::FromTarget));
    proxied.answers(&witness, 100, "answers while the other way is cut").await;
    proxied.heal();
    for other in [0, 1] {
        for proxy in proxied.between(other, 2) {
            Way::BOTH.iter().for_each(|way| proxy.control().cut(*way));
        }
    }
    proxied.answers(&witness, 100, "answers while a node is alone").await;
    proxied.heal();
    let wanted = || enough(&proxied.counters()) && proxied.logs().contains(told);
    proxied.until(&format!("enough has happened, and `{told}` is logged"), wanted).await;
    proxied.rule(Diallers::Nodes, &StreamRules::default());
    proxied.rule(Diallers::Clients, &StreamRules::default());
    proxied.answers(&witness, 100, "answers after all of that").await;
    let judged = witness.finish().await;
    println!("{judged:?}\n{:?}", proxied.counters());
    let judged = judged.unwrap_or_else(|wrong| panic!("{wrong}\n{}", proxied.logs()));
    proxied.same_state().await;
    assert!(judged.operations >= 800 && judged.tokens >= 300, "{judged:?}");
}

#[tokio::test]
async fn frames_are_lost_repeated_swapped_altered_and_cut_off() {
    let units = Rules {
        drop: Rate::one_in(50),
        duplicate: Rate::one_in(30),
        swap: Rate::one_in(50),
        flip: Rate::one_in(60),
        delay: delay(20),
    };
    let nodes = StreamRules { units, reset: Rate::one_in(300), mute: Rate::one_in(1000) };
    let units = Rules {
        duplicate: Rate::one_in(30),
        swap: Rate::one_in(30),
        flip: Rate::one_in(40),
        delay: delay(30),
        ..Rules::default()
    };
    let clients = StreamRules { units, reset: Rate::one_in(200), mute: Rate::NEVER };
    let enough = |it: &Counters| {
        let units = [it.dropped, it.duplicated, it.swapped, it.flipped, it.delayed];
        units.iter().all(|count| *count >= 10)
            && it.flipped >= 60
            && it.resets >= 5
            && it.muted >= 1
    };
    survives(Speech::Plain, (nodes, clients), enough, "the checksum of its").await;
}

#[tokio::test]
async fn records_of_tls_are_altered_and_cut_off() {
    let units = Rules { flip: Rate::one_in(300), delay: delay(20), ..Rules::default() };
    let nodes = StreamRules { units, reset: Rate::one_in(500), mute: Rate::one_in(1500) };
    let units = Rules { flip: Rate::one_in(300), delay: delay(30), ..Rules::default() };
    let clients = StreamRules { units, reset: Rate::one_in(300), mute: Rate::NEVER };
    let enough =
        |it: &Counters| it.flipped >= 10 && it.delayed >= 50 && it.resets >= 5 && it.muted >= 1;
    survives(Speech::Tls, (nodes, clients), enough, "decrypt").await;
}
