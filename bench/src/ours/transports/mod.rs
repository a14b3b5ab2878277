//! Two nodes' transports, each in a process of its own: nothing above them, so that what is measured is what carries
//! messages.

pub(crate) mod echo;
pub(crate) mod far;
pub(crate) mod held;
pub(crate) mod snapshot;

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use raft_core::{
    Address, AppendEntries, ClusterId, Entry, Envelope, GroupId, Incarnation, LogId, LogIndex,
    Message, NodeId, Payload, Round, Term,
};
use raft_transport::{
    Carrier, CredentialFiles, Credentials, NetConfig, NetTransport, Security, Tls, TokioNetwork,
};

use super::cluster::program;
use crate::sample::Missing;

const NEAR: NodeId = NodeId(1);
const FAR: NodeId = NodeId(2);

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Over {
    Tcp,
    Tls,
    Quic,
}

impl Over {
    pub(crate) const ALL: [Self; 3] = [Self::Tcp, Self::Tls, Self::Quic];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Quic => "quic",
        }
    }

    /// What the holder of a certificate in `dir` talks over.
    fn carrier(self, dir: &Path, who: &str) -> Result<Carrier, Missing> {
        let network = Arc::new(TokioNetwork);
        if self == Self::Tcp {
            return Ok(Carrier::plaintext(network));
        }
        let file = |name: &str| dir.join("certs").join(format!("{name}.pem"));
        let files = CredentialFiles {
            authority: file("ca"),
            certificate: file(who),
            key: file(&format!("{who}-key")),
        };
        let tls = Tls::new(&Credentials::read(&files)?)?;
        Ok(match self {
            Self::Quic => Carrier::Quic(tls),
            _ => Carrier::Streams { network, security: Security::MutualTls(tls) },
        })
    }
}

/// Makes the certificates of both nodes and of a client.
fn certificates(dir: &Path) -> Result<(), Missing> {
    let folder = dir.join("certs");
    if folder.exists() {
        return Ok(());
    }
    for words in [
        &["create-ca", "--cluster-id", "1"][..],
        &["create-node", "1"],
        &["create-node", "2"],
        &["create-client", "bench"],
    ] {
        let mut command = Command::new(program()?);
        command.env_clear().arg("certs").args(words).arg("--dir").arg(&folder);
        let status = command.stdout(Stdio::null()).status()?;
        if !status.success() {
            return Err(Missing::Failed(format!("`shardkv certs {}` failed", words.join(" "))));
        }
    }
    Ok(())
}

fn config(node: NodeId) -> NetConfig {
    NetConfig::new(ClusterId(1), node, Incarnation(node.0), "127.0.0.1:0".into(), node.0)
}

/// This side, and the other one's process, which ends with this value.
struct Pair {
    transport: NetTransport,
    far: Child,
    far_address: Address,
}

impl Pair {
    /// Starts both and connects them.
    async fn start(over: Over, dir: &Path) -> Result<Self, Missing> {
        certificates(dir)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--dir").arg(dir).args(["far", over.name()]);
        let mut far = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let said = far.stdout.take().map(BufReader::new);
        let silent = || io::Error::other("the other side says no address");
        said.ok_or_else(silent)?.read_line(&mut line)?;
        let far_address = Address::from(line.trim());
        let peer = far_address.clone();
        let peers = move |node: NodeId| (node == FAR).then(|| peer.clone());
        let carrier = over.carrier(dir, "node-1")?;
        let transport = NetTransport::bind(config(NEAR), carrier, Arc::new(peers)).await?;
        Ok(Self { transport, far, far_address })
    }

    fn far_pid(&self) -> u32 {
        self.far.id()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = self.far.stdin.take().map(|mut input| input.flush());
        let _ = self.far.kill();
        let _ = self.far.wait();
    }
}

/// Entries with one command, or with none: a heartbeat.
fn append(number: u64, command: Option<Bytes>) -> Envelope {
    let id = LogId::new(Term(1), LogIndex(number));
    let entries = command.map(|command| Entry { id, payload: Payload::Command(command) });
    let append = AppendEntries {
        prev: LogId::ZERO,
        entries: entries.into_iter().collect(),
        commit: LogIndex(0),
        round: Round(number),
    };
    let (from, to, group) = (NEAR, FAR, GroupId(1));
    Envelope { group, from, to, term: Term(1), message: Message::AppendEntries(append) }
}

/// A figure of `/proc/PID/status` in megabytes.
fn memory_mb(pid: u32, name: &str) -> io::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kib.map(|kib| kib * 1024.0 / 1e6)
        .ok_or_else(|| io::Error::other(format!("/proc says no {name}")))
}
