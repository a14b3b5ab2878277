//! `shardkv server` processes, and the commands that talk to them.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::layout::Layout;
use super::status::{Row, rows};
use super::transport::Transport;
use super::view::View;

/// Whoever waits this long has failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);
/// As it is in the nodes' settings: a follower stands for election after once to twice this.
pub(super) const ELECTION: Duration = Duration::from_millis(500);
/// A paused node has missed every election timeout that can be drawn, twice over.
pub(super) const PAUSE_MIN: Duration = ELECTION.saturating_mul(4);

/// Nodes by their index, from 0. All end when this is dropped.
pub(super) struct Cluster {
    layout: Layout,
    transport: Transport,
    dir: PathBuf,
    program: PathBuf,
    ports: Vec<u16>,
    nodes: Vec<Option<Child>>,
}

impl Cluster {
    /// Writes the settings; nothing runs yet.
    pub(super) fn new(
        dir: &Path,
        program: PathBuf,
        layout: Layout,
        transport: Transport,
    ) -> Result<Self, String> {
        transport.prepare(&program, dir, layout.nodes())?;
        let ports = free_ports(layout.nodes())?;
        let peers: Vec<_> =
            (1..).zip(&ports).map(|(id, port)| format!("{id} = \"127.0.0.1:{port}\"")).collect();
        for (id, port) in (1..).zip(&ports) {
            // Snapshots are small and many, so that nodes that were away are sent one now and then.
            let settings = format!(
                "cluster_id = 7\nnode_id = {id}\ndata_dir = {:?}\nlisten = \"127.0.0.1:{port}\"\n\
                 peers = {{ {} }}\nelection_timeout = \"{}ms\"\nsnapshot_after = \"2MiB\"\n{}{}",
                dir.join(format!("node-{id}")),
                peers.join(", "),
                ELECTION.as_millis(),
                transport.settings(dir, id),
                layout.settings(),
            );
            let file = dir.join(format!("node-{id}.toml"));
            fs::write(&file, settings).map_err(|error| format!("{}: {error}", file.display()))?;
        }
        let nodes = ports.iter().map(|_| None).collect();
        Ok(Self { layout, transport, dir: dir.to_owned(), program, ports, nodes })
    }

    pub(super) fn endpoints(&self) -> String {
        let all: Vec<_> = self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        all.join(",")
    }

    pub(super) fn data_dir(&self, index: usize) -> PathBuf {
        self.dir.join(format!("node-{}", index + 1))
    }

    /// `shardkv WORDS`, without the settings of whoever runs this.
    pub(super) fn shardkv(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SHARDKV_") {
                command.env_remove(name);
            }
        }
        command.env("NO_COLOR", "1").envs(self.environment());
        command.stdin(Stdio::null()).args(words);
        command
    }

    /// A client's command. It has as long as a request can take in any of the faults.
    pub(super) fn client(&self, words: &[&str]) -> Command {
        let mut command = self.shardkv(words);
        command.args(["--endpoints", &self.endpoints(), "--timeout", "60s"]);
        command
    }

    pub(super) fn start(&mut self, index: usize) -> Result<(), String> {
        let failed = |error| format!("node {} cannot be started: {error}", index + 1);
        let file = |what: &str| self.dir.join(format!("node-{}.{what}", index + 1));
        let log = File::options().create(true).append(true).open(file("log")).map_err(failed)?;
        let mut command = self.shardkv(&["server", "--config"]);
        // Its own are in its settings.
        self.transport
            .environment(&self.dir)
            .iter()
            .for_each(|(name, _)| _ = command.env_remove(name));
        command.arg(file("toml")).stderr(log).stdout(Stdio::null());
        self.nodes[index] = Some(command.spawn().map_err(failed)?);
        Ok(())
    }

    /// SIGKILL, and it is gone.
    pub(super) fn kill(&mut self, index: usize) -> Result<(), String> {
        let mut node = self.nodes[index].take().ok_or("a node that is down cannot be killed")?;
        let ended = node.try_wait().map_err(|error| error.to_string())?;
        if let Some(status) = ended {
            return Err(format!("node {} had ended by itself, with {status}", index + 1));
        }
        node.kill().and_then(|()| node.wait()).map_err(|error| error.to_string())?;
        Ok(())
    }

    pub(super) fn signal(&self, index: usize, name: &str) -> Result<(), String> {
        let node = self.nodes[index].as_ref().ok_or("a node that is down gets no signal")?;
        let pid = node.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status();
        match sent {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("kill -{name} {pid}: {status}")),
            Err(error) => Err(format!("kill -{name} {pid}: {error}")),
        }
    }

    /// Whether the system says that the node is stopped.
    pub(super) fn is_paused(&self, index: usize) -> bool {
        let pid = self.nodes[index].as_ref().map_or(0, Child::id);
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // PID (COMMAND) STATE …
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    }

    /// SIGTERM to all: each ends in order.
    pub(super) fn stop_all(&mut self) -> Result<(), String> {
        for index in 0..self.nodes.len() {
            self.signal(index, "TERM")?;
        }
        for (index, slot) in self.nodes.iter_mut().enumerate() {
            let Some(mut node) = slot.take() else { continue };
            let ended = eventually("a node that is told to stop stops", || {
                node.try_wait().map_err(|error| error.to_string())
            });
            match ended {
                Ok(status) if status.success() => {}
                Ok(status) => return Err(format!("node {} stopped with {status}", index + 1)),
                Err(error) => {
                    *slot = Some(node);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Fails if a node that should run has ended, with what it said last.
    pub(super) fn all_run(&mut self) -> Result<(), String> {
        for (index, slot) in self.nodes.iter_mut().enumerate() {
            let Some(node) = slot else { continue };
            if let Some(status) = node.try_wait().map_err(|error| error.to_string())? {
                let log = self.dir.join(format!("node-{}.log", index + 1));
                let log = fs::read_to_string(log).unwrap_or_default();
                let last = log.lines().rev().find(|line| line.starts_with("error")).unwrap_or("");
                return Err(format!("node {} ended by itself, with {status}: {last}", index + 1));
            }
        }
        Ok(())
    }

    /// What clients have in their environment.
    pub(super) fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        let mut environment = self.transport.environment(&self.dir);
        environment.push(("SHARDKV_MODE", self.layout.mode().into()));
        environment
    }

    /// How many there are, running or not.
    pub(super) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// What the cluster says of itself, if it is sharded.
    pub(super) fn view(&self) -> Result<View, String> {
        let words = ["status", "--json", "--endpoints", &self.endpoints(), "--timeout", "2s"];
        let output = self.shardkv(&words).output().map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout);
        View::read(&text).ok_or_else(|| format!("`shardkv status --json` printed {text:?}"))
    }

    /// A log that was left in order is sound.
    pub(super) fn sound_log(&self, node: usize) -> Result<(), String> {
        let mut inspect = self.shardkv(&["inspect", "wal"]);
        let output = inspect.arg(self.data_dir(node)).output();
        let output = output.map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(()),
            false => Err(format!(
                "the log of node {}, which stopped in order: {}",
                node + 1,
                String::from_utf8_lossy(&output.stderr)
            )),
        }
    }

    /// What each node of a plain cluster says of itself, in their order.
    pub(super) fn status(&self) -> Result<Vec<Row>, String> {
        let words = ["status", "--json", "--endpoints", &self.endpoints(), "--timeout", "1s"];
        let output = self.shardkv(&words).output().map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout);
        let rows = rows(&text);
        if rows.len() != self.nodes.len() {
            return Err(format!("`shardkv status --json` printed {text:?}"));
        }
        Ok(rows)
    }

    /// The node that leads and that another one follows, and its term.
    pub(super) fn leader(&self) -> Result<(usize, u64), String> {
        eventually("there is a leader with a follower", || {
            let rows = self.status()?;
            let leader = |row: &&Row| row.role == "leader";
            let newest = rows.iter().filter(leader).max_by_key(|row| row.term);
            Ok(newest.and_then(|newest| {
                let index = rows.iter().position(|row| std::ptr::eq(row, newest))?;
                let followed = rows.iter().any(|row| {
                    row.role == "follower"
                        && row.term == newest.term
                        && row.leader == Some(index as u64 + 1)
                });
                followed.then_some((index, newest.term))
            }))
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in self.nodes.iter_mut().flatten() {
            // A paused one too.
            let _ = node.kill().and_then(|()| node.wait());
        }
    }
}

/// Asks until there is an answer.
pub(super) fn eventually<T>(
    what: &str,
    mut ask: impl FnMut() -> Result<Option<T>, String>,
) -> Result<T, String> {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("not within {PATIENCE:?}: {what}"));
        }
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// Ports from below those that the system gives to connections: nobody takes one while its node is down.
fn free_ports(count: usize) -> Result<Vec<u16>, String> {
    let begin = 20_000 + (std::process::id() % 1000) as u16 * 10;
    let held: Vec<TcpListener> = (begin..32_000)
        .filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok())
        .take(count)
        .collect();
    let ports: Vec<u16> =
        held.iter().filter_map(|held| Some(held.local_addr().ok()?.port())).collect();
    match ports.len() == count {
        true => Ok(ports),
        false => Err(format!("there are no {count} free ports")),
    }
}
