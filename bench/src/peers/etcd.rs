//! Three members of etcd on loopback, with fsync on, as its packages set it up.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::etcd_rpc::Client;
use crate::cluster::{Server, find_program, free_addresses};
use crate::sample::Missing;

/// A running cluster; ends with this value.
pub(crate) struct Cluster {
    members: Vec<(SocketAddr, Server)>,
}

impl Cluster {
    /// Starts three members with empty data directories in `dir`.
    pub(crate) fn start(dir: &Path) -> Result<Self, Missing> {
        let program = find_program("etcd").ok_or_else(|| {
            Missing::Skipped("no etcd on the PATH; try `apt-get install etcd-server`".to_owned())
        })?;
        let [c1, c2, c3, p1, p2, p3] = free_addresses()?;
        let cluster = format!("n1=http://{p1},n2=http://{p2},n3=http://{p3}");
        let mut members = Vec::new();
        for (n, client, peer) in [(1, c1, p1), (2, c2, p2), (3, c3, p3)] {
            let data = dir.join(format!("etcd-{n}"));
            if data.exists() {
                std::fs::remove_dir_all(&data)?;
            }
            let mut command = Command::new(&program);
            // ETCD_* variables of the caller must not reach the members.
            command.env_clear().arg("--data-dir").arg(&data);
            command.args(["--logger", "zap", "--log-level", "error", "--name", &format!("n{n}")]);
            for (flag, address) in [
                ("--listen-client-urls", client),
                ("--advertise-client-urls", client),
                ("--listen-peer-urls", peer),
                ("--initial-advertise-peer-urls", peer),
            ] {
                command.args([flag, &format!("http://{address}")]);
            }
            command.args(["--initial-cluster", &cluster, "--initial-cluster-state", "new"]);
            members.push((client, Server::start(&mut command, dir.join(format!("etcd-{n}.log")))?));
        }
        Ok(Self { members })
    }

    /// Process ids of the members.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.members.iter().map(|(_, server)| server.pid()).collect()
    }

    /// The leader's address, when all members agree on it; waits for that.
    pub(crate) async fn leader(&mut self) -> io::Result<SocketAddr> {
        let start = Instant::now();
        loop {
            for (_, server) in &mut self.members {
                server.check()?;
            }
            let mut of_member = BTreeMap::new();
            let mut leaders = Vec::new();
            for (address, _) in &self.members {
                let Ok(client) = Client::connect(*address).await else { continue };
                let asked = tokio::time::timeout(Duration::from_secs(1), client.status()).await;
                if let Ok(Ok(status)) = asked {
                    of_member.insert(status.member, *address);
                    leaders.push(status.leader);
                }
            }
            let agreed = leaders.windows(2).all(|pair| pair[0] == pair[1]);
            match leaders.first().and_then(|leader| of_member.get(leader)) {
                Some(address) if agreed && leaders.len() == self.members.len() => {
                    return Ok(*address);
                }
                _ => {}
            }
            if start.elapsed() > Duration::from_secs(30) {
                return Err(io::Error::other("etcd has no leader after 30 s"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Addresses of all members but the one at `address`.
    pub(crate) fn others(&self, address: SocketAddr) -> Vec<SocketAddr> {
        self.members.iter().map(|(member, _)| *member).filter(|member| *member != address).collect()
    }

    /// SIGKILLs the member at `address`.
    pub(crate) fn kill(&mut self, address: SocketAddr) -> io::Result<()> {
        let member = self.members.iter_mut().find(|(member, _)| *member == address);
        member.map_or(Ok(()), |(_, server)| server.kill())
    }
}

/// Opens `n` connections to one member.
pub(crate) async fn connect(address: SocketAddr, n: usize) -> io::Result<Vec<Client>> {
    let mut clients = Vec::new();
    for _ in 0..n {
        clients.push(Client::connect(address).await.map_err(io::Error::other)?);
    }
    Ok(clients)
}
