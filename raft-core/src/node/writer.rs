//! The writer: one call of [`Storage::write`] at a time, with all the writes of all groups that are queued
//! when it begins. While one batch is being synced the next one gathers, so that load makes larger batches
//! without a timer (group commit).
//!
//! It is a part of the loop, which polls it, and not a task: a store that is ready at once costs no
//! hand-off, and one that is not wakes the loop itself.
//!
//! Its queue is bounded by the core: a leader has at most `in_flight_bytes_max` of entries that are not
//! durable, and a follower's leader sends at most `window_bytes_max` that are not acknowledged.

use alloc::vec::Vec;
use core::mem;
use core::task::{Context, Poll, ready};

use super::signal::Token;
use crate::{BoxFuture, Storage, StorageError, Write, WriteOp, WriteSeq};

/// A group's newest write in a batch.
pub(super) type Mark = (Token, WriteSeq);

/// The writer.
pub(super) struct Writer<'s> {
    storage: &'s dyn Storage,
    queue: Vec<Write>,
    queue_marks: Vec<Mark>,
    queue_bytes: u64,
    batch: Option<BoxFuture<'s, Result<(), StorageError>>>,
    batch_marks: Vec<Mark>,
    batch_bytes: u64,
    batches: u64,
}

impl<'s> Writer<'s> {
    pub(super) fn new(storage: &'s dyn Storage) -> Self {
        Self {
            storage,
            queue: Vec::new(),
            queue_marks: Vec::new(),
            queue_bytes: 0,
            batch: None,
            batch_marks: Vec::new(),
            batch_bytes: 0,
            batches: 0,
        }
    }

    /// Queues `writes`; `marks` has the last of each group, at most once in a call. Leaves both empty.
    pub(super) fn queue(&mut self, writes: &mut Vec<Write>, marks: &mut Vec<Mark>) {
        self.queue_bytes += writes.iter().map(bytes).sum::<u64>();
        if self.queue.is_empty() {
            mem::swap(&mut self.queue, writes);
        } else {
            self.queue.append(writes);
        }
        self.queue_marks.append(marks);
    }

    /// Begins a batch when none is under way and something is queued; when one has ended, moves its marks
    /// to the end of `durable`. An error is final: the writer must not be polled again.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        durable: &mut Vec<Mark>,
    ) -> Poll<Result<(), StorageError>> {
        if self.batch.is_none() && !self.queue.is_empty() {
            self.begin();
        }
        let Some(batch) = &mut self.batch else { return Poll::Pending };
        let result = ready!(batch.as_mut().poll(cx));
        self.batch = None;
        self.batch_bytes = 0;
        durable.append(&mut self.batch_marks);
        Poll::Ready(result)
    }

    fn begin(&mut self) {
        debug_assert!(self.batch_marks.is_empty());
        self.batch = Some(self.storage.write(mem::take(&mut self.queue)));
        mem::swap(&mut self.batch_marks, &mut self.queue_marks);
        self.batch_bytes = mem::take(&mut self.queue_bytes);
        self.batches += 1;
    }

    /// Bytes that are queued or being written.
    pub(super) fn bytes(&self) -> u64 {
        self.queue_bytes + self.batch_bytes
    }

    /// Calls of [`Storage::write`] so far.
    pub(super) fn batches(&self) -> u64 {
        self.batches
    }
}

/// What a write holds in memory.
fn bytes(write: &Write) -> u64 {
    match &write.op {
        WriteOp::HardState(_) | WriteOp::Compact(_) => 0,
        WriteOp::Append(entries) => entries.iter().map(crate::Entry::bytes).sum(),
        WriteOp::Receive { chunk, .. } => chunk.data.len() as u64,
    }
}
