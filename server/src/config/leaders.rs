//! Which nodes are to lead.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use raft_core::{GroupId, NodeId};
use serde::Deserialize;

/// The node that is to lead each group.
#[derive(Clone, Default, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct PreferredLeaders {
    /// Of groups that are not listed.
    others: Option<u64>,
    listed: BTreeMap<u64, u64>,
}

impl PreferredLeaders {
    pub(crate) fn of(&self, group: GroupId) -> Option<NodeId> {
        self.listed.get(&group.0).copied().or(self.others).map(NodeId)
    }
}

impl FromStr for PreferredLeaders {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut leaders = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let strange = || format!("`{part}` names no leader; write it like `2`, or `1=2`");
            let node = |text: &str| match text.trim().parse() {
                Ok(0) | Err(_) => Err(strange()),
                Ok(node) => Ok(node),
            };
            let before = match part.split_once('=') {
                None => leaders.others.replace(node(part)?),
                Some((group, of)) => {
                    let group = group.trim().parse().map_err(|_| strange())?;
                    leaders.listed.insert(group, node(of)?)
                }
            };
            if before.is_some() {
                return Err(format!("`{part}` is listed twice"));
            }
        }
        Ok(leaders)
    }
}

impl TryFrom<String> for PreferredLeaders {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for PreferredLeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others = self.others.iter().map(u64::to_string);
        let listed = self.listed.iter().map(|(group, node)| format!("{group}={node}"));
        f.write_str(&others.chain(listed).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaders_are_for_all_groups_or_for_each() {
        let of = |text: &str, group| {
            let leaders: PreferredLeaders = text.parse().unwrap();
            assert_eq!(leaders.to_string().parse(), Ok(leaders.clone()));
            leaders.of(GroupId(group)).map(|node| node.0)
        };
        assert_eq!((of("", 1), of("2", 1)), (None, Some(2)));
        assert_eq!((of("0=1,1=3", 1), of("0=1,1=3", 2), of("4,1=3", 2)), (Some(3), None, Some(4)));
        for text in ["x", "0", "1=", "1=0", "1=2,1=3", "1,2"] {
            assert!(text.parse::<PreferredLeaders>().is_err(), "{text}");
        }
    }
}
