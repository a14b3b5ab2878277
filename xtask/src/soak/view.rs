//! `shardkv status --json` of a sharded cluster: an object of groups, each with a list of flat objects. No more
//! of JSON is read here than that.

use std::collections::BTreeMap;

use super::status::{Row, rows};

/// What the cluster says of itself.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct View {
    /// The replicas that answer, by group.
    pub(super) groups: BTreeMap<u64, Group>,
    /// Whether no shard is on its way.
    pub(super) is_settled: bool,
}

#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Group {
    pub(super) joined: bool,
    /// The number of the node that leads.
    pub(super) leader: Option<u64>,
    pub(super) replicas: Vec<Row>,
}

impl View {
    /// Reads it; `None` when it is something else.
    pub(super) fn read(json: &str) -> Option<Self> {
        let (_, groups) = json.split_once("\"groups\":[")?;
        let (groups, moves) = groups.split_once("\"moves\":[")?;
        let mut view = Self { is_settled: moves.starts_with(']'), ..Self::default() };
        for group in groups.split("{\"group\":").skip(1) {
            let (number, rest) = group.split_once(',')?;
            let (head, replicas) = rest.split_once("\"replicas\":[")?;
            let leader = head.split_once("\"leader\":").map(|(_, rest)| rest);
            let leader = leader.and_then(|rest| rest.split(',').next()?.parse().ok());
            let joined = head.contains("\"joined\":true");
            let group = Group { joined, leader, replicas: rows(replicas) };
            view.groups.insert(number.parse().ok()?, group);
        }
        Some(view)
    }

    /// The groups that have joined.
    pub(super) fn joined(&self) -> Vec<u64> {
        self.groups.iter().filter(|(_, group)| group.joined).map(|(group, _)| *group).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_their_leaders_and_replicas_are_read() {
        let json = "{\"cluster\":7,\"nodes\":[{\"endpoint\":\"a:1\",\"node\":1,\"reachable\":true}],\
                    \"groups\":[{\"group\":0,\"joined\":false,\"shards\":[],\"leader\":null,\
                    \"replicas\":[]},{\"group\":3,\"joined\":true,\"shards\":[1,2],\"leader\":5,\
                    \"replicas\":[{\"node\":5,\"role\":\"leader\",\"term\":2,\"leader\":5,\"applied\":9,\
                    \"keys\":4,\"digest\":\"0f\"},{\"node\":6,\"role\":\"follower\",\"applied\":8}]}],\
                    \"moves\":[]}\n";
        let view = View::read(json).unwrap();
        assert!(view.is_settled);
        assert_eq!(view.joined(), [3]);
        assert_eq!((view.groups[&0].leader, view.groups[&3].leader), (None, Some(5)));
        let replicas = &view.groups[&3].replicas;
        assert_eq!(replicas.len(), 2);
        assert_eq!((replicas[0].applied, replicas[0].digest.as_str()), (9, "0f"));
        assert_eq!((replicas[1].applied, replicas[1].role.as_str()), (8, "follower"));
        let moving = json.replace("\"moves\":[]", "\"moves\":[{\"shard\":1}]");
        assert!(!View::read(&moving).unwrap().is_settled);
        assert_eq!(View::read("nothing"), None);
    }
}
