//! Opening a data directory: lock, identity, log, snapshots, and what a crash left half done.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use raft_core::StorageError;

use super::format::{SEGMENT_HEADER_BYTES, Salt, parse_segment_name, segment_name};
use super::ledger::{Ledger, SegmentUse};
use super::log::{Content, Log};
use super::options::WalOptions;
use super::recover::{Recovered, Tail, recover};
use super::replay::Reconciled;
use super::segment::{Segment, Workshop, is_temp_name};
use super::{Phase, Wal, Writer};
use crate::disk::{Disk, DiskErrorKind, DiskFile, DiskLock, Durability, OpenMode};
use crate::health::Health;
use crate::identity::{self, Identity, read_identity, write_identity};
use crate::snapshot::SnapshotStore;

/// Whether the directory was there before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DirectoryOrigin {
    /// It was made now: the node knows nothing, and must not vote as if it did.
    Created,
    /// It was there.
    Existing,
}

const LOCK_NAME: &str = "lock";
const LOCK_ATTEMPTS: u32 = 25;
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// The end of the log is written anew in pieces of this size.
const PIECE_BYTES: u64 = 1 << 20;

pub(crate) async fn open(
    disk: Arc<dyn Disk>,
    wanted: Identity,
    options: WalOptions,
) -> Result<Wal, StorageError> {
    let lock = take_lock(&*disk).await?;
    let found = read_identity(&*disk).await?;
    if let Some(found) = found {
        identity::check(found, wanted)?;
    }
    let identity = found.unwrap_or(wanted);
    let workshop = Workshop {
        disk: Arc::clone(&disk),
        _lock: lock.clone(),
        incarnation: identity.incarnation,
        fill_bytes: options.fill_bytes,
    };
    let origin = match found {
        Some(_) => DirectoryOrigin::Existing,
        None => {
            create(&workshop, identity).await?;
            DirectoryOrigin::Created
        }
    };
    let mut recovered = recover(&*disk, identity.incarnation).await?;
    if recovered.segments.is_empty() && recovered.unused.is_empty() {
        let reason = "the log is missing: there is no segment";
        return Err(super::corrupt(segment_name(1), 0, reason));
    }
    let health = Arc::new(Health::default());
    let snapshots =
        SnapshotStore::open(Arc::clone(&disk), lock.clone(), Arc::clone(&health)).await?;
    let mut discarded = Vec::new();
    let mut groups = std::mem::take(&mut recovered.groups);
    for group in snapshots.groups() {
        groups.entry(group).or_default();
    }
    for (group, replay) in &mut groups {
        if let Reconciled::Discarded(last) =
            replay.reconcile(*group, snapshots.newest(*group).as_deref())?
        {
            discarded.push((*group, last));
        }
    }
    // From here on the directory is accepted, and may be changed.
    let active = resume(&workshop, &mut recovered).await?;
    // What replaces them is durable under its name by now.
    snapshots.tidy().await?;
    let mut ledger = Ledger::default();
    for (sequence, end) in &recovered.segments {
        ledger.segments.push_back(SegmentUse { end: *end, ..SegmentUse::new(*sequence) });
    }
    for (group, replay) in &groups {
        ledger.restore(*group, replay);
    }
    let mut log = Log::new(workshop, options, ledger, active, recovered.next_batch);
    log.commit(Content::Discarded(&discarded)).await?;
    let writer = Writer { log, receiving: BTreeMap::new(), phase: Phase::Idle };
    Ok(Wal {
        disk,
        identity,
        origin,
        health,
        snapshots: Arc::new(snapshots),
        found: Mutex::new(groups),
        writer: tokio::sync::Mutex::new(writer),
        _lock: lock,
    })
}

async fn take_lock(disk: &dyn Disk) -> Result<DiskLock, StorageError> {
    for _ in 0..LOCK_ATTEMPTS {
        match disk.lock(LOCK_NAME).await {
            Ok(lock) => return Ok(lock),
            Err(error) if error.kind == DiskErrorKind::Locked => {
                tokio::time::sleep(LOCK_PAUSE).await
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(StorageError::Refused {
        reason: "the data directory is in use by another process: stop that one first".to_owned(),
    })
}

/// Makes a directory: the first segment, and last of all the identity, which says that it is complete.
async fn create(workshop: &Workshop, identity: Identity) -> Result<(), StorageError> {
    let disk = &workshop.disk;
    for name in disk.list().await? {
        let first = parse_segment_name(&name) == Some(1) && is_blank(&**disk, &name).await?;
        let snapshot = crate::snapshot::format::parse_file_name(&name).is_some();
        if (parse_segment_name(&name).is_some() && !first) || snapshot {
            return Err(StorageError::Refused {
                reason: format!(
                    "the data directory holds {name} and no identity file: it is not known whose it \
                     is; restore the file `identity`, or start with an empty directory"
                ),
            });
        }
    }
    workshop.clone().prepare(1, None).await?;
    write_identity(disk, identity).await
}

/// Whether a segment holds nothing but its header: its creation was cut off before the identity was written.
async fn is_blank(disk: &dyn Disk, name: &str) -> Result<bool, StorageError> {
    let file = disk.open(name, OpenMode::Read).await?;
    let len = file.size().await?.min(1 << 30);
    let bytes = file.read_at(SEGMENT_HEADER_BYTES, len).await?;
    Ok(bytes.iter().all(|byte| *byte == 0))
}

/// Readies the last segment for writing: its last batch becomes durable, and what follows it becomes zeros.
async fn resume(workshop: &Workshop, recovered: &mut Recovered) -> Result<Segment, StorageError> {
    let disk = &workshop.disk;
    for name in disk.list().await? {
        if is_temp_name(&name) || name == "identity.tmp" {
            disk.remove(&name).await?;
        }
    }
    // An earlier process may have died between a rename and this; what was found under the name is answered for.
    disk.sync_dir().await?;
    if recovered.segments.is_empty() {
        recovered.segments.push((recovered.unused.remove(0), SEGMENT_HEADER_BYTES));
    }
    // The newest first: a crash in between leaves no gap.
    for sequence in recovered.unused.drain(..).rev() {
        disk.remove(&segment_name(sequence)).await?;
        disk.sync_dir().await?;
    }
    let (sequence, position) = recovered.segments.last().copied().unwrap_or_default();
    let file = disk.open(&segment_name(sequence), OpenMode::Write).await?;
    rewrite(&*file, &recovered.last_batch, position).await?;
    let filled = match recovered.tail {
        Tail::Clean { len } => len,
        Tail::Dirty { len } => {
            let mut at = position;
            while at < len {
                let step = (len - at).min(PIECE_BYTES);
                file.write_at(at, vec![0; step as usize], Durability::Cached).await?;
                at += step;
            }
            len
        }
    };
    file.sync().await?;
    let salt = Salt::new(sequence, workshop.incarnation);
    Ok(Segment { sequence, file, salt, position, filled })
}

/// Writes the last batch once more where it stands, so that a sync makes it durable: as it was verified, and not as
/// the disk would give it now.
///
/// That the last batch can be read does not mean that it is on the disk: an earlier process may have been killed
/// before it synced, or its sync has failed. In the second case a sync alone would change nothing, because the
/// system takes the pages for clean from then on (ATC'20, "Can Applications Recover from fsync Failures?"). The
/// node is about to promise to others what was read, so it has to be there.
async fn rewrite(file: &dyn DiskFile, batch: &[u8], end: u64) -> Result<(), StorageError> {
    let mut at = end - batch.len() as u64;
    for piece in batch.chunks(PIECE_BYTES as usize) {
        file.write_at(at, piece.to_vec(), Durability::Cached).await?;
        at += piece.len() as u64;
    }
    Ok(())
}
