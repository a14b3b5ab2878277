//! The real binary: commands that are run to their end, and nodes that are killed.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(clippy::disallowed_methods, reason = "real processes live in real time")]

pub mod crew;
pub mod fleet;
pub mod load;

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Long enough for any machine: whoever waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The binary, without the settings of whoever runs the tests; of a plain cluster.
pub fn shardkv() -> Command {
    let mut command = sharded();
    command.env("SHARDKV_MODE", "plain");
    command
}

/// The same, of a sharded cluster.
pub fn sharded() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shardkv"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SHARDKV_") {
            command.env_remove(name);
        }
    }
    command.env_remove("COLUMNS").env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

pub fn run(arguments: &[&str]) -> Ended {
    shardkv().args(arguments).output().unwrap().into()
}

/// Runs a command with `input` on its stdin.
pub fn run_with_input(arguments: &[&str], input: &[u8]) -> Ended {
    let mut child = shardkv()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap().into()
}

/// Asks again and again until there is an answer.
#[track_caller]
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(50));
    }
}

/// Ports that were free a moment ago, below those that the system gives to connections: a node that is
/// killed finds its port free when it comes back.
pub fn free_ports(count: usize) -> Vec<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = 10_000 + u16::try_from(std::process::id() % 200).unwrap() * 100;
    let candidates = std::iter::repeat_with(|| base + NEXT.fetch_add(1, Ordering::Relaxed) % 2000);
    candidates.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).take(count).collect()
}

pub fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(status.unwrap().success(), "kill -{name}");
}

/// Waits for a process to end; its exit code.
#[track_caller]
pub fn ended(child: &mut Child) -> Option<i32> {
    eventually("a process ends", || child.try_wait().unwrap()).code()
}

/// A process that does not outlive its test.
pub struct Guard(pub Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // Refused when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Three nodes, each a process.
pub struct Cluster {
    pub dir: tempfile::TempDir,
    pub addresses: Vec<String>,
    pub nodes: Vec<Option<Guard>>,
    extra: Vec<String>,
}

impl Cluster {
    /// All nodes have these arguments; `{node}` in them is the node's id.
    pub fn start(extra: &[&str]) -> Self {
        let addresses: Vec<_> =
            free_ports(3).into_iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let mut cluster = Self {
            dir: tempfile::tempdir().unwrap(),
            nodes: addresses.iter().map(|_| None).collect(),
            addresses,
            extra: extra.iter().map(|text| (*text).to_owned()).collect(),
        };
        (0..3).for_each(|index| cluster.start_node(index));
        cluster
    }

    pub fn data_dir(&self, index: usize) -> PathBuf {
        self.dir.path().join(format!("node-{}", index + 1))
    }

    pub fn endpoints(&self) -> String {
        self.addresses.join(",")
    }

    /// The command that starts a node.
    pub fn node_command(&self, index: usize) -> Command {
        let peers: Vec<_> =
            (1..).zip(&self.addresses).map(|(id, address)| format!("{id}={address}")).collect();
        let mut command = shardkv();
        command
            .args(["server", "--cluster-id", "7", "--node-id", &(index + 1).to_string()])
            .args(["--listen", &self.addresses[index], "--peers", &peers.join(",")])
            .arg("--data-dir")
            .arg(self.data_dir(index))
            .args(self.extra.iter().map(|text| text.replace("{node}", &(index + 1).to_string())));
        command
    }

    pub fn start_node(&mut self, index: usize) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join(format!("node-{}.log", index + 1)))
            .unwrap();
        let child = self.node_command(index).stderr(log).stdout(Stdio::null()).spawn().unwrap();
        self.nodes[index] = Some(Guard(child));
    }

    /// SIGKILL.
    pub fn kill_node(&mut self, index: usize) {
        self.nodes[index] = None;
    }

    /// Runs a client's command against the whole cluster.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        let endpoints = self.endpoints();
        run(&[arguments, &["--endpoints", &endpoints, "--timeout", "30s"]].concat())
    }

    /// The same, and it must succeed; what it printed.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}{}", ended.err, self.logs());
        ended.out
    }

    pub fn status(&self) -> Vec<serde_json::Value> {
        let endpoints = self.endpoints();
        let ended = run(&["status", "--json", "--endpoints", &endpoints, "--timeout", "2s"]);
        serde_json::from_str(&ended.out).unwrap()
    }

    /// The index of the node that leads and that another one follows.
    #[track_caller]
    pub fn leader(&self) -> usize {
        eventually("a leader with a follower", || {
            let rows = self.status();
            let leader = rows.iter().position(|row| row["role"] == "leader")?;
            let term = &rows[leader]["term"];
            let followers = rows.iter().filter(|row| {
                row["role"] == "follower" && row["term"] == *term && row["leader"] == leader + 1
            });
            (followers.count() > 0).then_some(leader)
        })
    }

    /// What the nodes logged, for the message of a test that fails.
    pub fn logs(&self) -> String {
        (1..=3).map(|id| log_of(&self.dir.path().join(format!("node-{id}.log")))).collect()
    }
}

fn log_of(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    format!("\n--- {}\n{text}", path.display())
}
