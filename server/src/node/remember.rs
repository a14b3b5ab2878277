//! The file `groups` in a data directory: the nodes of each group that the node has a replica of.
//!
//! Who belongs to a group is what its nodes were told when it was made, and its log need not say it: a node that
//! is told something else later would count its votes among others than the rest of the group does.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use raft_core::{GroupId, NodeId};

use super::setup::listed;
use crate::config::{Config, Groups};
use crate::exit::{Done, Failure};

const NAME: &str = "groups";
/// Far more than a node has groups for.
const BYTES_MAX: u64 = 1 << 20;

/// Compares the settings with what the directory remembers, and lets it remember groups that are new.
pub(super) fn check(config: &Config) -> Done {
    let dir = &config.data_dir.value;
    let id = NodeId(config.node_id.value);
    let unusable = |error: std::io::Error| {
        Failure::refused(format!("cannot use {}: {error}", dir.join(NAME).display()))
    };
    let given: Vec<(GroupId, Vec<NodeId>)> =
        config.groups().into_iter().filter(|(_, nodes)| nodes.contains(&id)).collect();
    let known = read(dir).map_err(unusable)?;
    for (group, nodes) in &known.0 {
        let now = given.iter().find(|(given, _)| given.0 == *group);
        let now = now.map(|(_, nodes)| nodes.iter().map(|node| node.0));
        // A group that is missing altogether shows in the log.
        if let Some(now) = now
            && !now.clone().eq(nodes.iter().copied())
        {
            return Err(Failure::refused(format!(
                "group {group} was made with the nodes {}, and `groups` says {}",
                listed(nodes.iter().copied()),
                listed(now)
            ))
            .hint("give the group the nodes in `groups` that it was made with"));
        }
    }
    match given.iter().all(|(group, _)| known.0.contains_key(&group.0)) {
        true => Ok(()),
        false => write(dir, &given).map_err(unusable),
    }
}

fn read(dir: &Path) -> std::io::Result<Groups> {
    let mut text = String::new();
    match File::open(dir.join(NAME)) {
        Ok(file) => file.take(BYTES_MAX).read_to_string(&mut text)?,
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    let parsed = text.replace('\n', ",").parse::<Groups>();
    parsed.map_err(|error| std::io::Error::new(ErrorKind::InvalidData, error))
}

/// Durable under its name, or as it was.
fn write(dir: &Path, groups: &[(GroupId, Vec<NodeId>)]) -> std::io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".groups-").tempfile_in(dir)?;
    for (group, nodes) in groups {
        let nodes: Vec<_> = nodes.iter().map(|node| node.0.to_string()).collect();
        writeln!(file, "{}={}", group.0, nodes.join("+"))?;
    }
    file.as_file().sync_all()?;
    file.persist(dir.join(NAME)).map_err(|error| error.error)?;
    File::open(dir)?.sync_all()
}
