//! Snapshots that arrive in chunks.

use std::collections::BTreeMap;

use raft_core::{GroupId, SnapshotChunk, SnapshotMeta, StorageError, Write, WriteOp};

use crate::snapshot::{FileWriter, SnapshotStore};

/// A snapshot of which a part is here.
pub(crate) struct Receiving {
    total: u64,
    file: FileWriter,
}

/// Takes a chunk, if `write` is one, and installs the snapshot's file when it is the last.
///
/// The chunks before the last need not be durable: after a crash the receiver asks from the start.
pub(crate) async fn stage(
    snapshots: &SnapshotStore,
    receiving: &mut BTreeMap<GroupId, Receiving>,
    write: &Write,
) -> Result<(), StorageError> {
    let WriteOp::Receive { meta, chunk, .. } = &write.op else { return Ok(()) };
    let group = write.group;
    check(chunk, group)?;
    let mut part = if chunk.offset == 0 {
        receiving.remove(&group);
        Receiving { total: chunk.total, file: snapshots.create(group, meta.clone()).await? }
    } else {
        let part = receiving.remove(&group);
        part.filter(|part| continues(part, meta, chunk)).ok_or_else(|| StorageError::Refused {
            reason: format!(
                "a chunk of group {group}'s snapshot of {} at offset {} does not continue what was \
                 received: the snapshot has to be begun anew at offset 0",
                meta.last, chunk.offset
            ),
        })?
    };
    part.file.write(&chunk.data).await?;
    if chunk.end() == Some(chunk.total) {
        return snapshots.install(part.file).await;
    }
    receiving.insert(group, part);
    Ok(())
}

fn check(chunk: &SnapshotChunk, group: GroupId) -> Result<(), StorageError> {
    if chunk.end().is_some() && crc32fast::hash(&chunk.data) == chunk.checksum {
        return Ok(());
    }
    Err(StorageError::Corrupt {
        file: format!("a received chunk of group {group}'s snapshot"),
        offset: chunk.offset,
        reason: "its checksum or its length is wrong".to_owned(),
        remedy: "nothing was written; receive the snapshot again".to_owned(),
    })
}

fn continues(part: &Receiving, meta: &SnapshotMeta, chunk: &SnapshotChunk) -> bool {
    part.file.meta == *meta && part.total == chunk.total && part.file.total() == chunk.offset
}
