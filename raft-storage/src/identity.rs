//! Whose data directory it is.

use std::sync::Arc;

use raft_core::{ClusterId, Incarnation, NodeId, StorageError};

use crate::codec::{Fields, salted_crc};
use crate::disk::{Disk, DiskErrorKind, Durability, OpenMode};

/// Whose data directory it is, written into it when it is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
    /// Which life of the node's directory: another one after the disk was wiped.
    pub incarnation: Incarnation,
}

const MAGIC: &[u8; 8] = b"RAFTNODE";
const VERSION: u32 = 1;
/// Magic 8, version 4, cluster 8, node 8, incarnation 8, crc 4.
const BYTES: usize = 40;
const NAME: &str = "identity";
const TEMP_NAME: &str = "identity.tmp";

/// Reads the identity of a directory; `None` when it has none.
pub async fn read_identity(disk: &dyn Disk) -> Result<Option<Identity>, StorageError> {
    let file = match disk.open(NAME, OpenMode::Read).await {
        Ok(file) => file,
        Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let bytes = file.read_at(0, BYTES as u64 + 1).await?;
    let corrupt = || crate::wal::corrupt(NAME.to_owned(), 0, "the identity does not verify");
    match decode(&bytes).ok_or_else(corrupt)? {
        (VERSION, identity) => Ok(Some(identity)),
        (version, _) => Err(StorageError::Refused {
            reason: format!(
                "the data directory has format version {version}; this program knows version 1: use \
                 the program that wrote it"
            ),
        }),
    }
}

/// Makes the directory that of `identity`; the last step of its creation.
pub(crate) async fn write_identity(
    disk: &Arc<dyn Disk>,
    identity: Identity,
) -> Result<(), StorageError> {
    let file = disk.open(TEMP_NAME, OpenMode::Create).await?;
    file.write_at(0, encode(identity), Durability::Synced).await?;
    disk.rename(TEMP_NAME, NAME).await?;
    disk.sync_dir().await?;
    Ok(())
}

fn encode(identity: Identity) -> Vec<u8> {
    let mut out = Vec::with_capacity(BYTES);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&identity.cluster.0.to_le_bytes());
    out.extend_from_slice(&identity.node.0.to_le_bytes());
    out.extend_from_slice(&identity.incarnation.0.to_le_bytes());
    let crc = salted_crc(0, &out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

fn decode(bytes: &[u8]) -> Option<(u32, Identity)> {
    let mut fields = Fields(bytes);
    let magic = fields.take(8)?;
    let version = fields.u32()?;
    let identity = Identity {
        cluster: ClusterId(fields.u64()?),
        node: NodeId(fields.u64()?),
        incarnation: Incarnation(fields.u64()?),
    };
    let crc = fields.u32()?;
    fields.end()?;
    (magic == MAGIC && crc == salted_crc(0, &bytes[..BYTES - 4])).then_some((version, identity))
}

/// Whether `found` is the directory of the node that `wanted` names; the incarnation is the directory's own.
pub(crate) fn check(found: Identity, wanted: Identity) -> Result<(), StorageError> {
    if (found.cluster, found.node) == (wanted.cluster, wanted.node) {
        return Ok(());
    }
    Err(StorageError::Refused {
        reason: format!(
            "the data directory belongs to node {} of cluster {}, and this is node {} of cluster {}: \
             start with that node's own directory, or with an empty one",
            found.node, found.cluster, wanted.node, wanted.cluster
        ),
    })
}
