//! What a node is told that joins a cluster, and what it adds to its settings then.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use raft_core::GroupId;
use serde::Deserialize;

use super::{Config, GROUP_MAX, HostPort, Mode, PLAIN, Sourced};
use crate::exit::Failure;
use crate::node::{Held, listed};

/// Where a node that joins keeps its data, if nothing else is said.
const DATA_DIR: &str = "shardkv-data";

/// The groups that a node wants to be in.
#[derive(Clone, Default, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum JoinGroups {
    /// Those that the cluster has.
    #[default]
    All,
    /// These; perhaps none.
    Only(BTreeSet<u64>),
}

impl JoinGroups {
    /// Whether the node is to wait until an operator adds it to a group.
    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::Only(groups) if groups.is_empty())
    }

    /// The groups, of those that are there.
    pub(crate) fn among(&self, there: &[GroupId]) -> Result<Vec<GroupId>, Failure> {
        let Self::Only(wanted) = self else { return Ok(there.to_vec()) };
        match wanted.iter().find(|group| !there.contains(&GroupId(**group))) {
            None => Ok(wanted.iter().copied().map(GroupId).collect()),
            Some(group) => {
                let there = there.iter().filter(|group| **group != PLAIN);
                Err(Failure::usage(format!("`join_groups` has group {group}, and there is none"))
                    .hint(format!(
                        "the cluster has the groups {}",
                        listed(there.map(|group| group.0))
                    )))
            }
        }
    }
}

impl FromStr for JoinGroups {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let group = |text: &str| match text.trim().parse() {
            Ok(group) if group <= GROUP_MAX => Ok(group),
            _ => Err(format!("`{text}` is not a group: a number from 0 to {GROUP_MAX}")),
        };
        match text {
            "all" => Ok(Self::All),
            "none" => Ok(Self::Only(BTreeSet::new())),
            numbers => numbers.split(',').map(group).collect::<Result<_, _>>().map(Self::Only),
        }
    }
}

impl TryFrom<String> for JoinGroups {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for JoinGroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Only(_) if self.is_none() => f.write_str("none"),
            Self::Only(groups) => {
                let groups: Vec<_> = groups.iter().map(u64::to_string).collect();
                f.write_str(&groups.join(","))
            }
        }
    }
}

impl Config {
    /// The cluster that the node is to join.
    pub(crate) fn contact(&self) -> Option<HostPort> {
        Some(self.join.value.clone()).filter(|at| !at.0.is_empty())
    }

    /// Fills in where a node that joins has its data.
    pub(super) fn complete_data_dir(&mut self) {
        if self.contact().is_some() && self.data_dir.value.as_os_str().is_empty() {
            self.data_dir.value = PathBuf::from(DATA_DIR);
        }
    }

    /// Fills in the numbers that the settings leave open, by the data directory or the cluster.
    pub(crate) fn complete(&mut self, cluster: u64, node: u64) {
        let fill = |setting: &mut Sourced<u64>, value| {
            if setting.value == 0 {
                setting.value = value;
            }
        };
        fill(&mut self.cluster_id, cluster);
        fill(&mut self.node_id, node);
    }

    /// A node that joins is of the mode that its cluster has.
    pub(crate) fn complete_mode(&mut self, held: &Held) {
        if self.contact().is_some() {
            self.mode.value = match held.contains_key(&PLAIN) {
                true => Mode::Plain,
                false => Mode::Sharded,
            };
        }
    }

    /// How this node joins the cluster at `contact`, as it is typed.
    pub(crate) fn join_command(&self, contact: &HostPort, dir: &Path) -> String {
        let mut command = format!(
            "shardkv server --join {contact} --node-id {} --listen {} --data-dir {}",
            self.node_id.value,
            self.listen.value,
            dir.display()
        );
        let files = [("ca", &self.tls_ca), ("cert", &self.tls_cert), ("key", &self.tls_key)];
        for (name, file) in files {
            if !file.value.as_os_str().is_empty() {
                command.push_str(&format!(" --tls-{name} {}", file.value.display()));
            }
        }
        if !self.advertise.value.0.is_empty() {
            command.push_str(&format!(" --advertise {}", self.advertise.value));
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_to_join_are_all_none_or_numbers() {
        for text in ["all", "none", "0,3"] {
            assert_eq!(text.parse::<JoinGroups>().unwrap().to_string(), text);
        }
        for text in ["", "x", "1,", "70000"] {
            assert!(text.parse::<JoinGroups>().is_err(), "{text}");
        }
        let there = [GroupId(0), GroupId(3)];
        let among = |text: &str| text.parse::<JoinGroups>().unwrap().among(&there);
        assert_eq!(among("all").unwrap(), there);
        assert_eq!(among("none").unwrap(), []);
        assert_eq!(among("3").unwrap(), [GroupId(3)]);
        assert!(among("4").unwrap_err().to_string().contains("the groups 0, 3"));
    }
}
