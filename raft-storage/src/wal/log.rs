//! The writer: one batch, one write and one sync for each call.

use raft_core::{GroupId, LogId, StorageError, Suffix, Write, WriteOp};

use super::format::{BATCH_HEADER_BYTES, Origin, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES};
use super::ledger::{Ledger, SegmentUse};
use super::options::WalOptions;
use super::record::{BatchEncoder, op_bytes};
use super::relocate::{Live, Need, Relocation};
use super::segment::{Segment, Task, Workshop};
use crate::disk::Durability;

/// A batch is never larger: lengths are of 32 bits.
const BATCH_BYTES_LIMIT: usize = 1 << 31;
/// What it takes to say which segment is the oldest one needed.
const OLDEST_NEEDED_BYTES: usize = RECORD_HEADER_BYTES + 8;
/// At least so many segments that are no longer needed are kept to be recycled.
const SPARE_SEGMENTS_MIN: usize = 2;

/// The log while it is being written.
pub(crate) struct Log {
    pub(crate) workshop: Workshop,
    pub(crate) options: WalOptions,
    pub(crate) ledger: Ledger,
    pub(crate) active: Segment,
    pub(crate) next_batch: u64,
    encoder: BatchEncoder,
    next: Option<Task<Segment>>,
    ready: Option<Segment>,
    fill: Option<Task<u64>>,
    relocation: Relocation,
    /// The oldest segment that the log itself calls needed: older ones may go, this one may not.
    declared: u64,
}

/// What a batch is made of.
pub(crate) enum Content<'a> {
    Writes(&'a [Write]),
    /// Logs discarded at open in favour of a snapshot.
    Discarded(&'a [(GroupId, LogId)]),
}

impl Content<'_> {
    fn bytes(&self) -> usize {
        match self {
            Self::Writes(writes) => writes.iter().map(|write| op_bytes(&write.op)).sum(),
            Self::Discarded(groups) => groups.len() * (RECORD_HEADER_BYTES + 1),
        }
    }
}

impl Log {
    pub(crate) fn new(
        workshop: Workshop,
        options: WalOptions,
        ledger: Ledger,
        active: Segment,
        next_batch: u64,
    ) -> Self {
        let (encoder, relocation) = (BatchEncoder::new(), Relocation::default());
        let (next, ready, fill) = (None, None, None);
        Self {
            workshop,
            options,
            ledger,
            active,
            next_batch,
            encoder,
            next,
            ready,
            fill,
            relocation,
            declared: 0,
        }
    }

    /// Makes `content` durable in one batch. After an error nothing is known and nothing may follow.
    pub(crate) async fn commit(&mut self, content: Content<'_>) -> Result<(), StorageError> {
        let own_bytes = content.bytes();
        if own_bytes == 0 {
            return Ok(());
        }
        if own_bytes > BATCH_BYTES_LIMIT {
            let reason = format!("a batch of {own_bytes} bytes is too large for the log");
            return Err(StorageError::Refused { reason });
        }
        let need = self.need();
        self.relocation.find(need, &self.ledger, &self.workshop.disk).await?;
        let moved = self.relocation.take(need, own_bytes, &self.ledger);
        let moved_bytes: usize = moved.iter().map(Live::bytes).sum();
        let batch_bytes = BATCH_HEADER_BYTES + OLDEST_NEEDED_BYTES + moved_bytes + own_bytes;
        let full = self.active.position + batch_bytes as u64 > self.options.segment_bytes;
        if full && self.active.position > SEGMENT_HEADER_BYTES {
            self.rotate().await?;
        }
        let batch = self.encode(&content, &moved);
        self.write(batch).await?;
        self.book(&content, &moved);
        self.housekeeping().await
    }

    fn encode(&mut self, content: &Content<'_>, moved: &[Live]) -> Vec<u8> {
        self.encoder.begin(self.active.salt, self.active.position);
        let oldest = self.ledger.oldest_needed().unwrap_or(self.active.sequence);
        if self.active.position == SEGMENT_HEADER_BYTES {
            self.encoder.oldest_needed(oldest);
            self.checkpoint();
        } else if oldest > self.declared {
            self.encoder.oldest_needed(oldest);
        }
        self.declared = oldest;
        for live in moved {
            self.encoder.record(live.kind, Origin::Relocated, live.group, live.id, &live.payload);
        }
        match content {
            Content::Writes(writes) => {
                writes.iter().for_each(|write| self.encoder.op(write.group, &write.op));
            }
            Content::Discarded(groups) => {
                for (group, last) in *groups {
                    self.encoder.installed(*group, *last, Suffix::Discard);
                }
            }
        }
        self.encoder.finish(self.next_batch)
    }

    /// Repeats the small state of every group, so that no older segment is needed for it.
    fn checkpoint(&mut self) {
        for (group, ledger) in &self.ledger.groups {
            self.encoder.group_state(*group, &ledger.hard_state, ledger.compacted);
        }
    }

    async fn write(&mut self, batch: Vec<u8>) -> Result<(), StorageError> {
        let end = self.active.position + batch.len() as u64;
        if end > self.active.filled {
            // Zeros that are on their way must not land on top of the batch.
            self.join_fill().await?;
            self.active.filled = self.active.filled.max(end);
        }
        let mut durability = Durability::Synced;
        if planted!(SyncSkipped) {
            durability = Durability::Cached;
        }
        let written = self.active.file.write_at(self.active.position, batch, durability).await;
        let batch = match written {
            Err(_) if planted!(SyncErrorIgnored) => {
                self.active.file.sync().await?;
                Vec::new()
            }
            written => written?,
        };
        self.encoder.reuse(batch);
        self.active.position = end;
        self.next_batch += 1;
        Ok(())
    }

    fn book(&mut self, content: &Content<'_>, moved: &[Live]) {
        if let Some(newest) = self.ledger.segments.back_mut() {
            newest.end = self.active.position;
        }
        for live in moved {
            self.ledger.relocate(live.group, live.id.index, live.bytes() as u64);
        }
        match content {
            Content::Writes(writes) => {
                writes.iter().for_each(|write| self.ledger.apply(write.group, &write.op));
            }
            Content::Discarded(groups) => {
                for (group, last) in *groups {
                    self.ledger.install(*group, *last, Suffix::Discard);
                }
            }
        }
    }

    async fn rotate(&mut self) -> Result<(), StorageError> {
        if self.next.is_none() && self.ready.is_none() {
            self.prepare_next();
        }
        self.settle().await?;
        if let Some(next) = self.ready.take() {
            self.active = next;
        }
        self.ledger.segments.push_back(SegmentUse::new(self.active.sequence));
        Ok(())
    }

    /// Waits until no work is done beside the writes.
    pub(crate) async fn settle(&mut self) -> Result<(), StorageError> {
        self.join_fill().await?;
        if let Some(next) = self.next.take() {
            self.ready = Some(next.join().await?);
        }
        Ok(())
    }

    async fn join_fill(&mut self) -> Result<(), StorageError> {
        if let Some(fill) = self.fill.take() {
            self.active.filled = self.active.filled.max(fill.join().await?);
        }
        Ok(())
    }

    /// Starts what should be ready before it is needed.
    async fn housekeeping(&mut self) -> Result<(), StorageError> {
        if self.fill.as_ref().is_some_and(Task::is_finished) {
            self.join_fill().await?;
        }
        let limit = self.options.segment_bytes;
        let step = self.options.fill_bytes;
        let (position, filled) = (self.active.position, self.active.filled);
        if self.fill.is_none() && filled < limit && position + step / 2 > filled {
            let (workshop, file) = (self.workshop.clone(), self.active.file.clone());
            let end = limit.min(filled + step);
            self.fill = Some(Task::spawn(async move { workshop.fill(file, filled, end).await }));
        }
        if self.next.is_none() && self.ready.is_none() && position >= limit / 2 {
            self.prepare_next();
        }
        Ok(())
    }

    fn prepare_next(&mut self) {
        let oldest = self.declared;
        self.relocation.forget_before(oldest);
        let mut retired = Vec::new();
        while self.ledger.segments.len() > 1
            && self.ledger.segments.front().is_some_and(|segment| segment.sequence < oldest)
        {
            retired.extend(self.ledger.segments.pop_front());
        }
        // The newest of them stay where they are, for the times after this one: a snapshot releases many
        // at once, and a new segment costs its bytes twice, as zeros and as batches.
        let needed_and_next = self.ledger.segments.len() + 1;
        let spares = self.options.segments_max.saturating_sub(needed_and_next);
        let spares = spares.max(SPARE_SEGMENTS_MIN);
        let gone = retired.len().saturating_sub(spares).max(1).min(retired.len());
        for spare in retired.drain(gone..).rev() {
            self.ledger.segments.push_front(spare);
        }
        let limit = self.options.segment_bytes;
        let recycle =
            retired.first().filter(|segment| segment.end <= limit).map(|segment| segment.sequence);
        let begin = usize::from(recycle.is_some());
        let remove: Vec<u64> = retired[begin..].iter().map(|segment| segment.sequence).collect();
        let (workshop, sequence) = (self.workshop.clone(), self.active.sequence + 1);
        self.next = Some(Task::spawn(async move {
            let next = workshop.clone().prepare(sequence, recycle).await?;
            workshop.remove(&remove).await?;
            Ok(next)
        }));
    }

    /// Live entries of the oldest segment are copied forward when too many segments are needed, and most of
    /// their bytes are not live.
    fn need(&self) -> Need {
        let oldest = self.ledger.oldest_needed().unwrap_or_default();
        let needed = self.ledger.segments.iter().filter(|segment| segment.sequence >= oldest);
        let (count, written) = needed.fold((0, 0), |(n, sum), it| (n + 1, sum + it.end));
        match usize::saturating_sub(count, self.options.segments_max) {
            0 => Need::None,
            _ if self.ledger.live_bytes() * 2 > written => Need::None,
            1 => Need::Some,
            _ => Need::Urgent,
        }
    }

    /// Stops the work beside the writes.
    pub(crate) async fn close(&mut self) {
        self.relocation.close().await;
        if let Some(next) = self.next.take() {
            next.stop().await;
        }
        if let Some(fill) = self.fill.take() {
            fill.stop().await;
        }
    }
}

/// Whether the write completes a snapshot.
pub(crate) fn completes_snapshot(op: &WriteOp) -> bool {
    matches!(op, WriteOp::Receive { chunk, .. } if chunk.end() == Some(chunk.total))
}
