//! [`Holds`]: the file `groups` in a data directory: which groups the node has a replica of, and how it came by it.
//!
//! A group that was made with the node has in its settings who else was there, and must not be told otherwise: it would
//! count its votes among others than the rest of the group does. A group that the node was added to has its members
//! in its log alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use raft_core::{GroupId, NodeId};

use crate::config::{GROUP_MAX, PLAIN};
use crate::exit::Failure;

const NAME: &str = "groups";
/// Far more than a node has groups for.
const BYTES_MAX: u64 = 1 << 20;

/// How the node stands to a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Hold {
    /// It was there when the group was made, with these nodes.
    Made(BTreeSet<NodeId>),
    /// It has nothing to do with it until a leader gives it a replica.
    Spare,
    /// It wants to be a member, and has no replica yet.
    Wanted,
    /// A leader gave it a replica, and it goes on asking to be a voter.
    Asking,
    /// A leader gave it a replica.
    Given,
    /// It was removed. What it had of the group is kept, and not run.
    Removed,
}

impl Hold {
    /// Whether it has a replica that runs.
    pub(crate) fn has_replica(&self) -> bool {
        matches!(self, Self::Made(_) | Self::Asking | Self::Given)
    }

    /// Whether it asks to be a voter.
    pub(crate) fn is_asking(&self) -> bool {
        matches!(self, Self::Wanted | Self::Asking)
    }
}

/// All of them.
pub(crate) type Held = BTreeMap<GroupId, Hold>;

/// The file, and what it has.
pub(crate) struct Holds {
    dir: PathBuf,
    held: Mutex<Held>,
}

impl Holds {
    /// What the directory remembers; nothing, if it is not there.
    pub(crate) fn open(dir: &Path) -> Result<Self, Failure> {
        let held = read(dir).map_err(|error| unusable(dir, &error))?;
        Ok(Self { dir: dir.to_owned(), held: Mutex::new(held) })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn all(&self) -> Held {
        self.held().clone()
    }

    pub(crate) fn get(&self, group: GroupId) -> Option<Hold> {
        self.held().get(&group).cloned()
    }

    /// Durable when this returns.
    pub(crate) fn set(&self, group: GroupId, hold: Hold) -> Result<(), Failure> {
        let mut held = self.held();
        let mut next = held.clone();
        next.insert(group, hold);
        if next != *held {
            write(&self.dir, &next).map_err(|error| unusable(&self.dir, &error))?;
            *held = next;
        }
        Ok(())
    }

    /// Whether the node had replicas and was removed from all of its groups.
    pub(crate) fn is_removed(&self) -> bool {
        let held = self.held();
        !held.is_empty() && held.values().all(|hold| *hold == Hold::Removed)
    }
}

fn unusable(dir: &Path, error: &Error) -> Failure {
    Failure::refused(format!("cannot use {}: {error}", dir.join(NAME).display()))
}

fn read(dir: &Path) -> std::io::Result<Held> {
    let mut text = String::new();
    match File::open(dir.join(NAME)) {
        Ok(file) => file.take(BYTES_MAX).read_to_string(&mut text)?,
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    let strange = |line: &str| Error::new(ErrorKind::InvalidData, format!("`{line}`"));
    let entry = |line: &str| parse(line).ok_or_else(|| strange(line));
    text.lines().filter(|line| !line.is_empty()).map(entry).collect()
}

fn parse(line: &str) -> Option<(GroupId, Hold)> {
    let (group, hold) = line.split_once('=')?;
    let group = match group {
        "plain" => PLAIN,
        number => GroupId(number.parse().ok().filter(|number| *number <= GROUP_MAX)?),
    };
    let hold = match hold {
        "spare" => Hold::Spare,
        "wanted" => Hold::Wanted,
        "asking" => Hold::Asking,
        "given" => Hold::Given,
        "removed" => Hold::Removed,
        nodes => {
            let nodes: Option<_> = nodes.split('+').map(|node| node.parse().ok()).collect();
            Hold::Made(nodes.map(|nodes: Vec<u64>| nodes.into_iter().map(NodeId).collect())?)
        }
    };
    Some((group, hold))
}

fn line(group: GroupId, hold: &Hold) -> String {
    let group = match group {
        PLAIN => "plain".to_owned(),
        GroupId(number) => number.to_string(),
    };
    let hold = match hold {
        Hold::Spare => "spare".to_owned(),
        Hold::Wanted => "wanted".to_owned(),
        Hold::Asking => "asking".to_owned(),
        Hold::Given => "given".to_owned(),
        Hold::Removed => "removed".to_owned(),
        Hold::Made(nodes) => {
            nodes.iter().map(|node| node.0.to_string()).collect::<Vec<_>>().join("+")
        }
    };
    format!("{group}={hold}")
}

/// Durable under its name, or as it was.
fn write(dir: &Path, held: &Held) -> std::io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".groups-").tempfile_in(dir)?;
    for (group, hold) in held {
        writeln!(file, "{}", line(*group, hold))?;
    }
    file.as_file().sync_all()?;
    file.persist(dir.join(NAME)).map_err(|error| error.error)?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let holds = Holds::open(dir.path()).unwrap();
        let all = [
            (GroupId(0), Hold::Made([NodeId(1), NodeId(2)].into())),
            (GroupId(1), Hold::Wanted),
            (GroupId(2), Hold::Asking),
            (GroupId(3), Hold::Given),
            (GroupId(4), Hold::Removed),
            (GroupId(5), Hold::Spare),
            (PLAIN, Hold::Made([NodeId(1)].into())),
        ];
        for (group, hold) in all.clone() {
            holds.set(group, hold).unwrap();
        }
        assert_eq!(Holds::open(dir.path()).unwrap().all(), all.clone().into());
        assert!(!holds.is_removed());
        for (group, _) in all {
            holds.set(group, Hold::Removed).unwrap();
        }
        assert!(Holds::open(dir.path()).unwrap().is_removed());
        for text in ["1", "x=1", "1=", "1=2+x", "65536=1", "1=gone"] {
            std::fs::write(dir.path().join(NAME), text).unwrap();
            assert!(Holds::open(dir.path()).is_err(), "{text}");
        }
    }
}
