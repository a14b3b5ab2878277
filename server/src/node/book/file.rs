//! The file `book` in a data directory, in JSON, so that a person can read it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use raft_core::{GroupId, NodeId};
use serde::{Deserialize, Serialize};

use super::{Contents, Entry, Place};
use crate::exit::Failure;

const VERSION: u32 = 1;
/// Far more than a full book has.
const BYTES_MAX: u64 = 4 << 20;

/// A book, as it is kept and told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Raw {
    version: u32,
    nodes: BTreeMap<u64, Entry>,
    groups: BTreeMap<u64, Place>,
}

impl From<&Contents> for Raw {
    fn from(contents: &Contents) -> Self {
        Self {
            version: VERSION,
            nodes: contents.nodes.iter().map(|(node, it)| (node.0, it.clone())).collect(),
            groups: contents.groups.iter().map(|(group, it)| (group.0, it.clone())).collect(),
        }
    }
}

impl From<Raw> for Contents {
    fn from(raw: Raw) -> Self {
        Self {
            nodes: raw.nodes.into_iter().map(|(node, it)| (NodeId(node), it)).collect(),
            groups: raw.groups.into_iter().map(|(group, it)| (GroupId(group), it)).collect(),
        }
    }
}

/// What the file has; nothing, if it is not there.
pub(super) fn read(path: &Path) -> Result<Contents, Failure> {
    let mut text = String::new();
    let read = match File::open(path) {
        Ok(file) => file.take(BYTES_MAX).read_to_string(&mut text),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Contents::default()),
        Err(error) => Err(error),
    };
    let unusable = |why: String| Failure::refused(format!("cannot use {}: {why}", path.display()));
    read.map_err(|error| unusable(error.to_string()))?;
    let raw: Raw = serde_json::from_str(&text).map_err(|error| unusable(error.to_string()))?;
    match raw.version {
        VERSION => Ok(raw.into()),
        other => Err(unusable(format!("it has version {other}, and this program knows {VERSION}"))),
    }
}

/// Durable under its name, or as it was.
pub(super) fn write(path: &Path, contents: &Contents) -> std::io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".book-").tempfile_in(dir)?;
    serde_json::to_writer_pretty(&mut file, &Raw::from(contents))?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(dir)?.sync_all()
}
