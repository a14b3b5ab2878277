//! Nodes that come and go: the first makes the cluster, the others join it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{Ended, Guard, ended, eventually, free_ports, sharded};

/// Nodes by their number.
pub struct Crew {
    pub dir: tempfile::TempDir,
    pub addresses: BTreeMap<u64, String>,
    pub nodes: BTreeMap<u64, Guard>,
    mode: &'static str,
}

impl Crew {
    /// Node 1, alone.
    pub fn start(mode: &'static str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (addresses, nodes) = (BTreeMap::new(), BTreeMap::new());
        let mut crew = Self { dir, addresses, nodes, mode };
        crew.go_on(1);
        crew
    }

    /// Node 1, and nodes 2 and 3, which have joined it: all are voters in each of the groups.
    pub fn of_three(mode: &'static str, groups: &[u64]) -> Self {
        let mut crew = Self::start(mode);
        for node in [2, 3] {
            crew.join(node);
            groups.iter().for_each(|group| crew.votes(node, *group));
        }
        crew
    }

    pub fn address(&mut self, node: u64) -> String {
        let new = || format!("127.0.0.1:{}", free_ports(1)[0]);
        self.addresses.entry(node).or_insert_with(new).clone()
    }

    /// It will be elsewhere when it is started next.
    pub fn move_elsewhere(&mut self, node: u64) {
        self.addresses.remove(&node);
        self.address(node);
    }

    pub fn data_dir(&self, node: u64) -> PathBuf {
        self.dir.path().join(format!("node-{node}"))
    }

    /// The command of a node that goes on from its directory, or makes the cluster.
    pub fn command(&mut self, node: u64) -> Command {
        let mut command = sharded();
        command.args(["server", "--cluster-id", "7", "--node-id", &node.to_string()]);
        command.args(["--mode", self.mode]).args(self.place(node));
        command
    }

    /// The command of a node that joins.
    pub fn join_command(&mut self, node: u64) -> Command {
        let contact = self.addresses.iter().find(|(it, _)| self.nodes.contains_key(it));
        let contact = contact.expect("a node that runs").1.clone();
        let mut command = sharded();
        command.args(["server", "--join", &contact]).args(self.place(node));
        command
    }

    fn place(&mut self, node: u64) -> Vec<String> {
        let dir = self.data_dir(node).to_str().unwrap().to_owned();
        vec!["--listen".to_owned(), self.address(node), "--data-dir".to_owned(), dir]
    }

    pub fn spawn(&mut self, node: u64, mut command: Command) {
        let log = self.dir.path().join(format!("node-{node}.log"));
        let log = File::options().create(true).append(true).open(log).unwrap();
        self.nodes.insert(node, Guard(command.stderr(log).stdout(Stdio::null()).spawn().unwrap()));
    }

    /// Starts a node that makes the cluster, or that has data.
    pub fn go_on(&mut self, node: u64) {
        let command = self.command(node);
        self.spawn(node, command);
    }

    /// Starts a node that joins, with a number of its own.
    pub fn join(&mut self, node: u64) {
        let command = self.join_command(node);
        self.spawn(node, command);
    }

    /// SIGKILL.
    pub fn kill(&mut self, node: u64) {
        self.nodes.remove(&node);
    }

    /// Waits for a node to end; its exit code.
    #[track_caller]
    pub fn ended(&mut self, node: u64) -> Option<i32> {
        let mut child = self.nodes.remove(&node).expect("it runs");
        ended(&mut child.0)
    }

    pub fn log(&self, node: u64) -> String {
        let path = self.dir.path().join(format!("node-{node}.log"));
        std::fs::read_to_string(path).unwrap_or_default()
    }

    pub fn logs(&self) -> String {
        self.addresses
            .keys()
            .map(|node| format!("\n--- node {node}\n{}", self.log(*node)))
            .collect()
    }

    /// Where the nodes are that run.
    pub fn endpoints(&self) -> String {
        let running = self.addresses.iter().filter(|(node, _)| self.nodes.contains_key(node));
        running.map(|(_, at)| at.as_str()).collect::<Vec<_>>().join(",")
    }

    pub fn client(&self, arguments: &[&str]) -> Command {
        let mut command = sharded();
        command.env("SHARDKV_MODE", self.mode).args(arguments);
        command.args(["--endpoints", &self.endpoints(), "--timeout", "20s"]);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.client(arguments).output().unwrap().into()
    }

    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}{}", ended.err, self.logs());
        ended.out
    }

    /// It must end with this code and say all of that.
    #[track_caller]
    pub fn refused(&self, arguments: &[&str], code: i32, says: &[&str]) {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}{}", ended.err, self.logs());
        for says in says {
            assert!(ended.err.contains(says), "{arguments:?} does not say `{says}`: {}", ended.err);
        }
    }

    /// A group, as `member list --json` has it, if its leader answers; of a plain cluster group 0 is its only one.
    pub fn group(&self, group: u64) -> Option<serde_json::Value> {
        let ended = self.run(&["member", "list", "--json"]);
        let groups: Vec<serde_json::Value> = serde_json::from_str(&ended.out).ok()?;
        groups.into_iter().find(|it| it["group"].is_null() || it["group"] == group)
    }

    /// The members of a group by their standing, when no change is under way.
    pub fn members(&self, group: u64, standing: &str) -> Option<Vec<u64>> {
        let group = self.group(group).filter(|group| group["settled"] == true)?;
        let members = group["members"].as_array().unwrap();
        let of = members.iter().filter(|member| member["standing"] == standing);
        Some(of.map(|member| member["node"].as_u64().unwrap()).collect())
    }

    #[track_caller]
    pub fn voters(&self, group: u64, expected: &[u64]) {
        eventually(&format!("group {group} has the voters {expected:?}"), || {
            let voters = self.members(group, "voter");
            assert!(self.nodes.len() < 100, "{}", self.logs());
            (voters? == expected).then_some(())
        });
    }

    #[track_caller]
    pub fn votes(&self, node: u64, group: u64) {
        eventually(&format!("node {node} votes in group {group}"), || {
            self.members(group, "voter")?.contains(&node).then_some(())
        });
    }

    /// The node that leads a group.
    #[track_caller]
    pub fn leader(&self, group: u64) -> u64 {
        eventually("a group has a leader", || self.group(group)?["leader"].as_u64())
    }
}
