//! What is under way, by the time it arrives.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use bytes::Bytes;
use raft_core::Envelope;

use super::HostId;
use super::stream::{Segment, StreamId};

/// Something under way.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) from: HostId,
    pub(crate) to: HostId,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    Message(Envelope),
    Request {
        call: u64,
        data: Bytes,
    },
    Reply {
        call: u64,
        data: Bytes,
    },
    /// Nobody serves there.
    Refused {
        call: u64,
    },
    Segment {
        stream: StreamId,
        segment: Segment,
    },
}

struct Due {
    at: Duration,
    /// Keeps what arrives at the same time in the order of sending.
    order: u64,
    parcel: Parcel,
}

impl Due {
    fn key(&self) -> (Duration, u64) {
        (self.at, self.order)
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// Everything under way.
#[derive(Default)]
pub(crate) struct Post {
    due: BinaryHeap<Reverse<Due>>,
    order: u64,
}

impl Post {
    pub(crate) fn put(&mut self, at: Duration, parcel: Parcel) {
        self.order += 1;
        self.due.push(Reverse(Due { at, order: self.order, parcel }));
    }

    pub(crate) fn next_at(&self) -> Option<Duration> {
        self.due.peek().map(|Reverse(due)| due.at)
    }

    /// Everything that has arrived by `now`.
    pub(crate) fn take(&mut self, now: Duration) -> Vec<Parcel> {
        let mut arrived = Vec::new();
        while self.next_at().is_some_and(|at| at <= now) {
            arrived.extend(self.due.pop().map(|Reverse(due)| due.parcel));
        }
        arrived
    }

    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }
}
