//! Which groups a cluster has, and which nodes hold a replica of each.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use clap::ValueEnum;
use raft_core::{GroupId, NodeId};
use serde::Deserialize;

/// The group of the controller, which is never given a shard: in a configuration zero means nobody.
pub(crate) const CONTROLLER: GroupId = GroupId(0);
/// The group of a plain cluster: no sharded one has it, so that neither takes the other's directory.
pub(crate) const PLAIN: GroupId = GroupId(GROUP_MAX + 1);
/// The largest number of a group.
pub(crate) const GROUP_MAX: u64 = 65_535;

/// What a cluster is.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// A controller group, and groups that own shards of the keys
    #[default]
    Sharded,
    /// One group that has all keys, and no controller
    Plain,
}

/// The nodes of each group.
#[derive(Clone, Default, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "BTreeMap<String, Vec<u64>>")]
pub(crate) struct Groups(pub(crate) BTreeMap<u64, BTreeSet<u64>>);

impl Groups {
    /// The controller and group 1, on all of these.
    pub(super) fn of_all(nodes: &[NodeId]) -> Self {
        let nodes: BTreeSet<u64> = nodes.iter().map(|node| node.0).collect();
        Self([CONTROLLER.0, 1].map(|group| (group, nodes.clone())).into())
    }

    fn enter(&mut self, group: &str, nodes: BTreeSet<u64>) -> Result<(), String> {
        let group = match group.trim().parse() {
            Ok(group) if group <= GROUP_MAX => group,
            _ => return Err(format!("`{group}` is not a group: a number from 0 to {GROUP_MAX}")),
        };
        if nodes.is_empty() || nodes.contains(&0) {
            return Err(format!("group {group} needs nodes, numbers from 1 on"));
        }
        match self.0.insert(group, nodes) {
            None => Ok(()),
            Some(_) => Err(format!("group {group} is listed twice")),
        }
    }
}

impl FromStr for Groups {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut groups = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let strange = || format!("`{part}` is not a group; write it like `1=4+5+6`");
            let (group, nodes) = part.split_once('=').ok_or_else(strange)?;
            let nodes = nodes.split('+').map(|node| node.trim().parse::<u64>());
            let nodes: Result<BTreeSet<u64>, _> = nodes.collect();
            groups.enter(group, nodes.map_err(|_| strange())?)?;
        }
        Ok(groups)
    }
}

impl TryFrom<BTreeMap<String, Vec<u64>>> for Groups {
    type Error = String;

    fn try_from(table: BTreeMap<String, Vec<u64>>) -> Result<Self, String> {
        let mut groups = Self::default();
        for (group, nodes) in table {
            groups.enter(&group, nodes.into_iter().collect())?;
        }
        Ok(groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_numbers_and_their_nodes() {
        let groups: Groups = "0=1+2+3, 1=1+2+3,2=4".parse().unwrap();
        assert_eq!(groups.0[&0], [1, 2, 3].into());
        assert_eq!(groups.0[&2], [4].into());
        for (text, says) in [
            ("1", "write it like"),
            ("x=1", "`x` is not a group"),
            ("65536=1", "from 0 to 65535"),
            ("1=a", "write it like"),
            ("1=", "write it like"),
            ("1=0", "needs nodes"),
            ("1=1,1=2", "listed twice"),
        ] {
            let error = text.parse::<Groups>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
