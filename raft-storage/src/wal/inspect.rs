//! Looking at a log offline, record by record.

use raft_core::{GroupId, LogId, StorageError};

use super::format::{Origin, RecordKind, SEGMENT_HEADER_BYTES, parse_segment_name};
use super::scan::{Batch, RecordAt, SegmentBytes};
use crate::disk::Disk;

/// A record, or a place where one should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InspectedRecord {
    /// The file.
    pub file: String,
    /// Where the record begins in it.
    pub offset: u64,
    /// The number of its batch.
    pub batch: u64,
    /// What it is.
    pub kind: RecordKind,
    /// Whether it was appended or copied forward.
    pub origin: Origin,
    /// The group; zero in [`RecordKind::OldestNeeded`].
    pub group: GroupId,
    /// The index and the term.
    pub id: LogId,
    /// The payload's size.
    pub payload_bytes: u32,
    /// Whether it verifies.
    pub verdict: Verdict,
}

/// Whether a record verifies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Header, payload and batch verify.
    Valid,
    /// Header and payload verify, and another part of its batch does not: the record does not count.
    InDamagedBatch,
    /// The header verifies, so it is known which entry this was; the payload does not.
    PayloadDamaged,
}

/// What all of a log adds up to.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Inspection {
    /// Segments.
    pub segments: u64,
    /// Batches that verify.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// File, offset and reason of each place where batches stop although something follows that looks like
    /// one. Empty in a sound log; the last batch may stand here after a crash, until the next open cuts it.
    pub damage: Vec<(String, u64, String)>,
}

/// Reads all segments on `disk`, oldest first, and calls `visit` for each record. Takes no lock and writes
/// nothing. Unlike an open it goes on after damage, at the next batch that verifies.
pub async fn inspect_wal(
    disk: &dyn Disk,
    mut visit: impl FnMut(&InspectedRecord),
) -> Result<Inspection, StorageError> {
    let names = disk.list().await?;
    let mut sequences: Vec<u64> =
        names.iter().filter_map(|name| parse_segment_name(name)).collect();
    sequences.sort_unstable();
    let mut inspection = Inspection::default();
    for sequence in sequences {
        inspection.segments += 1;
        match SegmentBytes::read(disk, sequence).await {
            Ok(segment) => inspect_segment(&segment, &mut inspection, &mut visit),
            Err(StorageError::Corrupt { file, offset, reason, .. }) => {
                inspection.damage.push((file, offset, reason));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(inspection)
}

fn inspect_segment(
    segment: &SegmentBytes,
    inspection: &mut Inspection,
    visit: &mut impl FnMut(&InspectedRecord),
) {
    let mut position = SEGMENT_HEADER_BYTES;
    loop {
        match segment.batch_at(position) {
            Ok(batch) => {
                inspection.batches += 1;
                for record in batch.records() {
                    inspection.records += 1;
                    visit(&describe(segment, &batch, &record, Verdict::Valid));
                }
                position = batch.end();
            }
            Err(flaw) => {
                if let Some(batch) = Batch::of_unverified(segment, position) {
                    for record in batch.records() {
                        let verdict = match record.payload_verifies {
                            true => Verdict::InDamagedBatch,
                            false => Verdict::PayloadDamaged,
                        };
                        visit(&describe(segment, &batch, &record, verdict));
                    }
                }
                let later = segment.header_after(position + 1, 0);
                if later.is_some() || segment.batch_header_number(position).is_some() {
                    let reason = flaw.reason.to_owned();
                    inspection.damage.push((segment.name(), flaw.position, reason));
                }
                let Some(later) = later else { return };
                position = later;
            }
        }
    }
}

fn describe(
    segment: &SegmentBytes,
    batch: &Batch<'_>,
    record: &RecordAt<'_>,
    verdict: Verdict,
) -> InspectedRecord {
    InspectedRecord {
        file: segment.name(),
        offset: record.position,
        batch: batch.number,
        kind: record.header.kind,
        origin: record.header.origin,
        group: record.header.group,
        id: record.header.id,
        payload_bytes: record.header.payload_bytes,
        verdict,
    }
}
