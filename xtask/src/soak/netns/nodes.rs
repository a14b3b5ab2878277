//! The nodes, each in its namespace.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::super::cluster::eventually;
use super::super::status::{Row, rows};
use super::super::transport::Transport;
use super::world::{NODES, World};

/// Nodes by their index, from 0, and the world they are in. All end when this is dropped, and then the world does.
pub(super) struct Nodes {
    children: Vec<Child>,
    pub(super) world: World,
    dir: PathBuf,
    program: PathBuf,
}

impl Nodes {
    /// What is not on the loopback device speaks TLS.
    const TRANSPORT: Transport = Transport::Tls;

    pub(super) fn start(dir: &Path, program: &Path, world: World) -> Result<Self, String> {
        Self::TRANSPORT.prepare(program, dir, NODES)?;
        let (dir, program) = (dir.to_owned(), program.to_owned());
        let mut nodes = Self { children: Vec::new(), world, dir, program };
        for node in 0..NODES {
            let child = nodes.command(node)?.spawn();
            nodes.children.push(child.map_err(|error| format!("node {}: {error}", node + 1))?);
        }
        Ok(nodes)
    }

    fn command(&self, node: usize) -> Result<Command, String> {
        let id = node + 1;
        let peers = (0..NODES).map(|peer| format!("{}=\"{}\"", peer + 1, self.world.address(peer)));
        let settings = format!(
            "cluster_id = 7\nnode_id = {id}\ndata_dir = {:?}\nlisten = {:?}\npeers = {{ {} }}\n\
             mode = \"plain\"\n{}",
            self.dir.join(format!("node-{id}")),
            self.world.address(node),
            peers.collect::<Vec<_>>().join(", "),
            Self::TRANSPORT.settings(&self.dir, id)
        );
        let file = |what: &str| self.dir.join(format!("node-{id}.{what}"));
        let failed = |error| format!("{}: {error}", file("toml").display());
        std::fs::write(file("toml"), settings).map_err(failed)?;
        let log = File::create(file("log")).map_err(failed)?;
        let mut command = self.world.command(node, &self.program);
        without_settings(&mut command);
        command.args(["server", "--config"]).arg(file("toml"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Ok(command)
    }

    pub(super) fn endpoints(&self) -> String {
        (0..NODES).map(|node| self.world.address(node)).collect::<Vec<_>>().join(",")
    }

    /// What clients have in their environment.
    pub(super) fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        let mut environment = Self::TRANSPORT.environment(&self.dir);
        environment.push(("SHARDKV_MODE", "plain".into()));
        environment
    }

    fn status(&self) -> Result<Vec<Row>, String> {
        let mut command = Command::new(&self.program);
        without_settings(&mut command);
        command.envs(self.environment()).args(["status", "--json", "--timeout", "1s"]);
        let output = command.args(["--endpoints", &self.endpoints()]).output();
        let output = output.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout);
        let rows = rows(&text);
        match rows.len() {
            NODES => Ok(rows),
            _ => Err(format!("`shardkv status --json` printed {text:?}")),
        }
    }

    /// The node that leads and that two others follow, and its term.
    pub(super) fn leader(&self) -> Result<(usize, u64), String> {
        eventually("there is a leader that a majority has", || Ok(led(&self.status()?)))
    }

    /// Another leads than the one that led in `term`.
    pub(super) fn next_leader(&self, before: usize, term: u64) -> Result<(usize, u64), String> {
        eventually("another node leads", || {
            Ok(led(&self.status()?).filter(|(node, now)| *node != before && *now > term))
        })
    }

    /// A node cannot be reached from where the clients are.
    pub(super) fn is_gone(&self, node: usize) -> Result<(), String> {
        eventually("a node without a cable is out of reach", || {
            Ok((!self.status()?[node].reachable).then_some(()))
        })
    }

    /// A node gets nothing of what the leader has.
    pub(super) fn falls_behind(&self, node: usize, leader: usize) -> Result<(), String> {
        eventually("who does not hear the leader falls behind", || {
            let rows = self.status()?;
            Ok((rows[node].applied + 50 < rows[leader].applied).then_some(()))
        })
    }

    /// Equal applied indexes and equal digests.
    pub(super) fn same_state(&self) -> Result<(), String> {
        eventually("all replicas have the same state", || {
            let rows = self.status()?;
            let first = (rows[0].applied, &rows[0].digest);
            let same = rows.iter().all(|row| row.reachable && (row.applied, &row.digest) == first);
            Ok(same.then_some(()))
        })
    }

    /// Fails if one has ended.
    pub(super) fn all_run(&mut self) -> Result<(), String> {
        for (id, child) in (1..).zip(&mut self.children) {
            if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
                return Err(format!("node {id} ended by itself, with {status}"));
            }
        }
        Ok(())
    }
}

/// The leader of the newest term, if a majority has it.
fn led(rows: &[Row]) -> Option<(usize, u64)> {
    let leaders = rows.iter().enumerate().filter(|(_, row)| row.role == "leader");
    let (index, row) = leaders.max_by_key(|(_, row)| row.term)?;
    let has = |it: &&Row| it.term == row.term && it.leader == Some(index as u64 + 1);
    (2 * rows.iter().filter(has).count() > rows.len()).then_some((index, row.term))
}

/// Without those of whoever runs this.
fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SHARDKV_") {
            command.env_remove(name);
        }
    }
    command.env("NO_COLOR", "1");
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended.
            let _ = child.kill().and_then(|()| child.wait());
        }
    }
}
