//! Network namespaces, joined by a bridge.
//!
//! ```text
//!   namespace of node N: eth0 ──veth── rsPIDnN ─┐
//!                                               ├─ bridge rsPIDbr (198.18.X.254), in the host's namespace
//!   …                                           ┘
//! ```
//!
//! A link is cut one way by a route that leads nowhere, in the namespace of whoever sends; both ways at once by taking
//! the node's end of the bridge down, as one pulls a cable. All names begin with `rs` and the number of the process, so
//! that what a run has left over, which did not come to its end, is known as such and removed by the next.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// How many nodes there are.
pub(super) const NODES: usize = 5;
pub(super) const PORT: u16 = 7101;

/// What all names of a run begin with. Names of interfaces have at most 15 bytes.
pub(super) fn prefix(process: u32) -> String {
    format!("rs{process}")
}

/// The namespaces, their links, and what is cut. All is gone when this is dropped.
pub(super) struct World {
    prefix: String,
    /// The third part of all addresses. They are of the range that is set aside for tests of devices (RFC 2544).
    subnet: u8,
    /// Who does not reach whom.
    cut: BTreeSet<(usize, usize)>,
    /// Whose cable is pulled.
    pulled: BTreeSet<usize>,
}

impl World {
    pub(super) fn new() -> Result<Self, String> {
        let process = std::process::id();
        let subnet = (process % 250) as u8;
        let (cut, pulled) = (BTreeSet::new(), BTreeSet::new());
        let world = Self { prefix: prefix(process), subnet, cut, pulled };
        world.build()?;
        Ok(world)
    }

    fn build(&self) -> Result<(), String> {
        let bridge = self.bridge();
        ip(&["link", "add", &bridge, "type", "bridge"])?;
        ip(&["address", "add", &format!("198.18.{}.254/24", self.subnet), "dev", &bridge])?;
        ip(&["link", "set", &bridge, "up"])?;
        for node in 0..NODES {
            let (space, end) = (self.namespace(node), self.cable(node));
            ip(&["netns", "add", &space])?;
            ip(&["link", "add", &end, "type", "veth", "peer", "name", "eth0", "netns", &space])?;
            ip(&["link", "set", &end, "master", &bridge, "up"])?;
            let address = format!("{}/24", self.host(node));
            ip(&["-n", &space, "address", "add", &address, "dev", "eth0"])?;
            ip(&["-n", &space, "link", "set", "eth0", "up"])?;
            ip(&["-n", &space, "link", "set", "lo", "up"])?;
        }
        Ok(())
    }

    fn bridge(&self) -> String {
        format!("{}br", self.prefix)
    }

    fn namespace(&self, node: usize) -> String {
        format!("{}n{}", self.prefix, node + 1)
    }

    /// The end of a node's cable that is at the bridge.
    fn cable(&self, node: usize) -> String {
        self.namespace(node)
    }

    fn host(&self, node: usize) -> String {
        format!("198.18.{}.{}", self.subnet, node + 1)
    }

    /// Where a node listens.
    pub(super) fn address(&self, node: usize) -> String {
        format!("{}:{PORT}", self.host(node))
    }

    /// A command that runs in a node's namespace.
    pub(super) fn command(&self, node: usize, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(node)]).arg(program);
        command
    }

    /// Nothing that `from` sends reaches `to` any more.
    pub(super) fn cut(&mut self, from: usize, to: usize) -> Result<(), String> {
        if self.cut.insert((from, to)) {
            let to = format!("{}/32", self.host(to));
            ip(&["-n", &self.namespace(from), "route", "add", "blackhole", &to])?;
        }
        Ok(())
    }

    /// Nothing reaches the node, and nothing leaves it.
    pub(super) fn pull(&mut self, node: usize) -> Result<(), String> {
        self.pulled.insert(node);
        ip(&["link", "set", &self.cable(node), "down"])
    }

    /// All links are whole again.
    pub(super) fn heal_all(&mut self) -> Result<(), String> {
        for (from, to) in std::mem::take(&mut self.cut) {
            let to = format!("{}/32", self.host(to));
            ip(&["-n", &self.namespace(from), "route", "delete", "blackhole", &to])?;
        }
        for node in std::mem::take(&mut self.pulled) {
            ip(&["link", "set", &self.cable(node), "up"])?;
        }
        Ok(())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        remove(&self.prefix);
    }
}

/// Removes what runs have left over that did not come to their end.
pub(super) fn remove_leftovers() {
    let spaces = Command::new("ip").args(["netns", "list"]).output();
    let links = Command::new("ip").args(["-o", "link", "show"]).output();
    let names: String = [spaces, links]
        .into_iter()
        .flatten()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .collect();
    let gone = names.split([' ', ':', '@', '\n']).filter_map(process_of);
    for process in gone.collect::<BTreeSet<u32>>() {
        if !Path::new(&format!("/proc/{process}")).exists() {
            println!("what process {process} has left over is removed");
            remove(&prefix(process));
        }
    }
}

/// The process whose names are like this one.
fn process_of(name: &str) -> Option<u32> {
    let rest = name.strip_prefix("rs")?;
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (process, kind) = rest.split_at(digits);
    let is_ours = kind == "br"
        || kind == "probe"
        || kind.strip_prefix('n').is_some_and(|node| node.parse::<usize>().is_ok());
    process.parse().ok().filter(|_| is_ours)
}

/// What is there of these is removed, with what runs in them. Cables would go with their namespaces, which the system
/// keeps for as long as a connection in them is not quite closed.
fn remove(prefix: &str) {
    let names = (1..=NODES).map(|node| format!("{prefix}n{node}"));
    for name in names.chain([format!("{prefix}probe")]) {
        if Path::new("/run/netns").join(&name).exists() {
            end_processes(&name);
            if let Err(error) = ip(&["netns", "delete", &name]) {
                println!("left over: {error}");
            }
        }
    }
    let links = (1..=NODES).map(|node| format!("{prefix}n{node}"));
    for link in links.chain([format!("{prefix}br")]) {
        let there = || Path::new("/sys/class/net").join(&link).exists();
        if there()
            && let Err(error) = ip(&["link", "delete", &link])
            && there()
        {
            println!("left over: {error}");
        }
    }
}

/// Nodes of a run that could not end them.
fn end_processes(namespace: &str) {
    let Ok(output) = Command::new("ip").args(["netns", "pids", namespace]).output() else { return };
    for process in String::from_utf8_lossy(&output.stdout).split_whitespace() {
        // It may be ending.
        let _ = Command::new("kill").args(["-KILL", process]).status();
    }
}

fn ip(words: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(words).output();
    let output = output.map_err(|error| format!("ip: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("ip {}: {}", words.join(" "), said.trim()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_runs_are_taken_for_such() {
        assert_eq!(process_of("rs4194304n5"), Some(4_194_304));
        assert_eq!(process_of("rs12br"), Some(12));
        for other in ["rs", "rsbr", "rs12", "rs12nx", "rs12bridge", "eth0", "rs1n"] {
            assert_eq!(process_of(other), None, "{other}");
        }
        assert!(format!("{}n5", prefix(4_194_304)).len() <= 15);
    }
}
