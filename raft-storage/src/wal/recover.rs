//! Reading the whole log at open: which batches count, and what is wrong when it is not a torn tail.
//!
//! Batch N + 1 is written only after batch N is durable, so at most the last batch can be torn: it was never
//! acknowledged and is cut. A place that does not verify is therefore
//!
//! - the end of a segment, when the next segment begins with the batch that is due;
//! - the end of the log, when no later batch is anywhere;
//! - corruption, when a later batch is somewhere: what is missing was acknowledged.
//!
//! What this cannot tell: a torn last batch from a durable last batch that has rotted since (FAST'18, "Protocol-
//! Aware Recovery for Consensus-Based Storage", section 3.3: without a later write both look the same).

use std::collections::BTreeMap;

use raft_core::{GroupId, Incarnation, StorageError};

use super::format::{SEGMENT_HEADER_BYTES, parse_segment_name, segment_name};
use super::record::Record;
use super::replay::GroupReplay;
use super::scan::{Batch, Flaw, SegmentBytes, corrupt};
use crate::disk::Disk;

/// What the log says.
pub(crate) struct Recovered {
    pub(crate) groups: BTreeMap<GroupId, GroupReplay>,
    /// The segments that hold batches and where each ends, oldest first.
    pub(crate) segments: Vec<(u64, u64)>,
    /// The last batch, as it was verified, with which the last of them ends.
    pub(crate) last_batch: Vec<u8>,
    /// Segments after them: prepared ahead, or begun by a batch that was torn.
    pub(crate) unused: Vec<u64>,
    /// The batch that is due.
    pub(crate) next_batch: u64,
    /// Where the last segment ends, and whether what follows in it is all zeros.
    pub(crate) tail: Tail,
}

/// What follows the last batch in its segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tail {
    /// Zeros up to the file's end.
    Clean { len: u64 },
    /// A torn batch, or an earlier life of the file: to be overwritten with zeros up to `len`.
    Dirty { len: u64 },
}

struct Walk {
    recovered: Recovered,
    /// The end of the last segment with batches, for the message when the log goes on after a hole.
    open_end: Option<(String, Flaw)>,
    oldest_needed: u64,
}

/// Reads all segments.
pub(crate) async fn recover(
    disk: &dyn Disk,
    incarnation: Incarnation,
) -> Result<Recovered, StorageError> {
    let sequences = segments(disk).await?;
    let mut walk = Walk {
        recovered: Recovered {
            groups: BTreeMap::new(),
            segments: Vec::new(),
            last_batch: Vec::new(),
            unused: Vec::new(),
            next_batch: 1,
            tail: Tail::Clean { len: 0 },
        },
        open_end: None,
        oldest_needed: 0,
    };
    for sequence in &sequences {
        let segment = SegmentBytes::read(disk, *sequence).await?;
        if segment.header.incarnation != incarnation {
            let reason = format!(
                "the segment belongs to incarnation {} and the directory is {incarnation}",
                segment.header.incarnation
            );
            return Err(corrupt(segment.name(), 0, reason));
        }
        walk.segment(&segment)?;
    }
    if let Some(first) = sequences.first() {
        walk.check_oldest(*first)?;
    }
    Ok(walk.recovered)
}

/// The sequences of all segments, which must be without gaps.
async fn segments(disk: &dyn Disk) -> Result<Vec<u64>, StorageError> {
    let names = disk.list().await?;
    let mut sequences: Vec<u64> =
        names.iter().filter_map(|name| parse_segment_name(name)).collect();
    sequences.sort_unstable();
    for pair in sequences.windows(2) {
        let missing = pair[0].saturating_add(1);
        if pair[1] != missing {
            let reason = format!("the file is missing, and {} is there", segment_name(pair[1]));
            return Err(corrupt(segment_name(missing), 0, reason));
        }
    }
    Ok(sequences)
}

impl Walk {
    fn segment(&mut self, segment: &SegmentBytes) -> Result<(), StorageError> {
        let (mut position, mut last) = (SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES);
        let flaw = loop {
            match segment.batch_at(position) {
                Ok(batch) => {
                    self.expect(segment, &batch)?;
                    last = position;
                    self.replay(segment, batch)?;
                    position = batch.end();
                }
                Err(flaw) => break flaw,
            }
        };
        let due = self.recovered.next_batch;
        // The batch that is due may stand torn at the end; any other place, or any later batch, is proof
        // that something before it is gone.
        let torn = if segment.batch_header_number(position) == Some(due) { 1 } else { 0 };
        if let Some(later) = segment.header_after(position + torn, due) {
            return Err(self.hole(segment, position, flaw, later));
        }
        let len = segment.bytes.len() as u64;
        let rest = segment.bytes.get(position as usize..).unwrap_or_default();
        let tail = match rest.iter().all(|byte| *byte == 0) {
            true => Tail::Clean { len },
            false => Tail::Dirty { len },
        };
        let unused = position == SEGMENT_HEADER_BYTES;
        // The first of all segments is written next even when nothing is in it.
        if !unused || (self.recovered.segments.is_empty() && self.recovered.unused.is_empty()) {
            self.recovered.tail = tail;
        }
        if unused {
            self.recovered.unused.push(segment.sequence);
            return Ok(());
        }
        self.recovered.last_batch = segment.bytes[last as usize..position as usize].to_vec();
        self.recovered.segments.push((segment.sequence, position));
        self.open_end = Some((segment.name(), flaw));
        Ok(())
    }

    /// A batch that verifies must be the one that is due.
    fn expect(&mut self, segment: &SegmentBytes, batch: &Batch<'_>) -> Result<(), StorageError> {
        let first = self.open_end.is_none() && self.recovered.segments.is_empty();
        if first && batch.position == SEGMENT_HEADER_BYTES && self.recovered.unused.is_empty() {
            self.recovered.next_batch = batch.number;
        }
        if batch.position == SEGMENT_HEADER_BYTES {
            self.check_start(segment, batch)?;
        }
        if planted!(RecycledRecordsAccepted) {
            self.recovered.next_batch = batch.number.max(self.recovered.next_batch);
        } else if batch.number != self.recovered.next_batch || !self.recovered.unused.is_empty() {
            let due = self.recovered.next_batch;
            let (file, flaw) = self.open_end.clone().unwrap_or_else(|| {
                let file = segment_name(
                    self.recovered.unused.first().copied().unwrap_or(segment.sequence),
                );
                (file, Flaw { position: SEGMENT_HEADER_BYTES, reason: "no batch is here" })
            });
            let reason = format!(
                "{}, and the log goes on with batch {} in {} at {}, where batch {due} is due",
                flaw.reason,
                batch.number,
                segment.name(),
                batch.position
            );
            return Err(corrupt(file, flaw.position, reason));
        }
        self.recovered.next_batch += 1;
        Ok(())
    }

    fn check_start(&self, segment: &SegmentBytes, batch: &Batch<'_>) -> Result<(), StorageError> {
        let first = batch.records().next().and_then(|at| Record::decode(&at.header, at.payload));
        match first {
            Some(Record::OldestNeeded { .. }) => Ok(()),
            _ => {
                let reason = "the segment does not begin with the record that begins a segment";
                Err(corrupt(segment.name(), batch.position, reason))
            }
        }
    }

    fn replay(&mut self, segment: &SegmentBytes, batch: Batch<'_>) -> Result<(), StorageError> {
        for at in batch.records() {
            let record = Record::decode(&at.header, at.payload).ok_or_else(|| {
                corrupt(segment.name(), at.position, "the record verifies and makes no sense")
            })?;
            if let Record::OldestNeeded { oldest } = record {
                self.oldest_needed = oldest;
            } else {
                let group = self.recovered.groups.entry(at.header.group).or_default();
                group.apply(record, segment.sequence);
            }
        }
        Ok(())
    }

    fn hole(&self, segment: &SegmentBytes, position: u64, flaw: Flaw, later: u64) -> StorageError {
        let (file, flaw) = match &self.open_end {
            Some(end) if position == SEGMENT_HEADER_BYTES && later == position => end.clone(),
            _ => (segment.name(), flaw),
        };
        let reason = format!(
            "{}, and a later batch stands in {} at {later}: what is missing was acknowledged",
            flaw.reason,
            segment.name()
        );
        corrupt(file, flaw.position, reason)
    }

    fn check_oldest(&self, first: u64) -> Result<(), StorageError> {
        let needed = if self.recovered.segments.is_empty() { 1 } else { self.oldest_needed };
        if first > needed {
            let reason =
                format!("the file is missing, and the log begins with {}", segment_name(first));
            return Err(corrupt(segment_name(needed), 0, reason));
        }
        Ok(())
    }
}
