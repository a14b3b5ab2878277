//! `shardkv server` processes on loopback, with their logs on the real disk.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use raft_core::{Address, NodeId};

use super::client;
use crate::cluster::{Server, free_addresses};
use crate::sample::Missing;

/// A running cluster; ends with this value.
pub(crate) struct Cluster {
    members: Vec<Member>,
}

/// What a cluster is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// One group that has all keys.
    Plain,
    /// A controller, and groups that own shards.
    Sharded,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Sharded => "sharded",
        }
    }
}

struct Member {
    id: NodeId,
    address: SocketAddr,
    data: PathBuf,
    server: Server,
}

impl Cluster {
    /// Starts `N` servers with empty data directories in `dir`, and with the settings `flags` besides what
    /// tells them apart.
    pub(crate) fn start<const N: usize>(
        dir: &Path,
        mode: Mode,
        flags: &[&str],
    ) -> Result<Self, Missing> {
        let program = program()?;
        let addresses = free_addresses::<N>()?;
        let nodes: Vec<_> = (1..).map(NodeId).zip(addresses).collect();
        let peers: Vec<_> =
            nodes.iter().map(|(id, address)| format!("{}={address}", id.0)).collect();
        let mut members = Vec::new();
        for (id, address) in nodes {
            let data = dir.join(format!("shardkv-{}", id.0));
            if data.exists() {
                std::fs::remove_dir_all(&data)?;
            }
            let mut command = Command::new(&program);
            // SHARDKV_* variables of the caller must not reach the servers.
            command.env_clear().args(["server", "--mode", mode.name(), "--cluster-id", "1"]);
            command.args(["--log-level", "warn"]);
            command.arg("--node-id").arg(id.0.to_string()).arg("--data-dir").arg(&data);
            command.arg("--listen").arg(address.to_string());
            command.arg("--peers").arg(peers.join(",")).args(flags);
            let log = dir.join(format!("shardkv-{}.log", id.0));
            members.push(Member { id, address, data, server: Server::start(&mut command, log)? });
        }
        Ok(Self { members })
    }

    /// Process ids of the servers.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.members.iter().map(|member| member.server.pid()).collect()
    }

    /// An error if one of the servers has ended.
    pub(crate) fn check(&mut self) -> io::Result<()> {
        self.members.iter_mut().try_for_each(|member| member.server.check())
    }

    /// Where the servers listen.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.members.iter().map(|member| member.address).collect()
    }

    /// The leader's address, when all servers agree on it; waits for that.
    pub(crate) async fn leader(&mut self) -> io::Result<SocketAddr> {
        let start = Instant::now();
        let addresses: Vec<_> = self.members.iter().map(|member| member.address).collect();
        let clerk = client::clerk(&addresses).with_deadline(Duration::from_secs(1));
        loop {
            let mut leaders = Vec::new();
            for member in &mut self.members {
                member.server.check()?;
                let asked = clerk.status(&Address::from(member.address.to_string())).await;
                leaders.push(asked.ok().and_then(|status| status.leader));
            }
            let agreed = leaders.windows(2).all(|pair| pair[0] == pair[1]);
            let leader = leaders[0].filter(|_| agreed);
            if let Some(member) = self.members.iter().find(|member| Some(member.id) == leader) {
                return Ok(member.address);
            }
            if start.elapsed() > Duration::from_secs(30) {
                return Err(io::Error::other("the servers have no leader after 30 s"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Addresses of all servers but the one at `address`.
    pub(crate) fn others(&self, address: SocketAddr) -> Vec<SocketAddr> {
        self.members.iter().map(|member| member.address).filter(|other| *other != address).collect()
    }

    /// The server of a node.
    pub(crate) fn server(&self, node: NodeId) -> Option<&Server> {
        self.members.iter().find(|member| member.id == node).map(|member| &member.server)
    }

    /// SIGKILLs the server at `address`.
    pub(crate) fn kill(&mut self, address: SocketAddr) -> io::Result<()> {
        let member = self.members.iter_mut().find(|member| member.address == address);
        member.map_or(Ok(()), |member| member.server.kill())
    }

    /// Data directories of the servers.
    pub(crate) fn data_dirs(&self) -> Vec<&Path> {
        self.members.iter().map(|member| member.data.as_path()).collect()
    }
}

/// The server's binary: built in release mode, it lies beside the bench itself.
pub(crate) fn program() -> Result<PathBuf, Missing> {
    let program = std::env::current_exe()?.with_file_name("shardkv");
    match program.is_file() {
        true => Ok(program),
        false => Err(Missing::Skipped(format!(
            "no {}; build it with `cargo build --release -p shardkv-server`, as `cargo xtask bench` does",
            program.display()
        ))),
    }
}
