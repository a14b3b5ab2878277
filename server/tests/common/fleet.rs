//! A sharded cluster of real processes.

use std::fs::File;
use std::process::{Command, Stdio};

use super::{Ended, Guard, eventually, free_ports, sharded};

/// Nodes by their index, from 0; node 1 has index 0.
pub struct Fleet {
    pub dir: tempfile::TempDir,
    pub addresses: Vec<String>,
    pub nodes: Vec<Option<Guard>>,
    pub groups: String,
}

impl Fleet {
    /// As many nodes as that, which all have the same `groups`. All are started.
    pub fn start(nodes: usize, groups: &str) -> Self {
        let addresses: Vec<_> =
            free_ports(nodes).into_iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let mut fleet = Self {
            dir: tempfile::tempdir().unwrap(),
            nodes: addresses.iter().map(|_| None).collect(),
            addresses,
            groups: groups.to_owned(),
        };
        (0..nodes).for_each(|index| fleet.start_node(index));
        fleet
    }

    pub fn peers(&self) -> String {
        let peers = (1..).zip(&self.addresses).map(|(id, address)| format!("{id}={address}"));
        peers.collect::<Vec<_>>().join(",")
    }

    /// The command that starts a node, but for its groups.
    pub fn node_command(&self, index: usize) -> Command {
        let mut command = sharded();
        command
            .args(["server", "--cluster-id", "7", "--node-id", &(index + 1).to_string()])
            .args(["--listen", &self.addresses[index], "--peers", &self.peers()])
            .arg("--data-dir")
            .arg(self.dir.path().join(format!("node-{}", index + 1)));
        command
    }

    pub fn start_node(&mut self, index: usize) {
        let log = self.dir.path().join(format!("node-{}.log", index + 1));
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut command = self.node_command(index);
        command.args(["--groups", &self.groups]).stderr(log).stdout(Stdio::null());
        self.nodes[index] = Some(Guard(command.spawn().unwrap()));
    }

    /// SIGKILL.
    pub fn kill_node(&mut self, index: usize) {
        self.nodes[index] = None;
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        let endpoints = self.addresses.join(",");
        let mut command = sharded();
        command.args(arguments).args(["--endpoints", &endpoints, "--timeout", "30s"]);
        command.output().unwrap().into()
    }

    /// The same, and it must succeed; what it printed.
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

    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.ok(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// A group, as `status --json` has it.
    pub fn group(&self, group: u64) -> serde_json::Value {
        let mut status = self.json(&["status"]);
        let groups = status["groups"].as_array_mut().unwrap();
        groups.iter_mut().find(|it| it["group"] == group).map(serde_json::Value::take).unwrap()
    }

    /// The index of the node that leads a group.
    #[track_caller]
    pub fn leader(&self, group: u64) -> usize {
        eventually("a group has a leader", || {
            Some(self.group(group)["leader"].as_u64()? as usize - 1)
        })
    }

    /// What the nodes logged, for the message of a test that fails.
    pub fn logs(&self) -> String {
        (1..=self.nodes.len())
            .map(|id| super::log_of(&self.dir.path().join(format!("node-{id}.log"))))
            .collect()
    }
}
