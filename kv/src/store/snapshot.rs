//! Snapshots, written.
//!
//! A snapshot is the magic bytes `rkv`, the format byte, and records. A record is its length (4 bytes,
//! little endian) and a [`Record`] in postcard, in this order: the header; the entries, by key; each
//! session, by id, followed by its kept replies, by sequence number; the end, which counts the records and
//! has the digest of the state. So equal states have equal bytes, on every replica.

use bytes::{Bytes, BytesMut};
use raft_core::{LogIndex, SnapshotSource};
use serde::{Deserialize, Serialize};
use std::ops::Bound;

use super::{Store, StoreConfig};
use crate::blob::Blob;
use crate::codec::{self, FORMAT, index, slice};
use crate::command::SessionId;
use crate::op::Reply;

/// What a snapshot begins with.
pub(super) const MAGIC: [u8; 4] = [b'r', b'k', b'v', FORMAT];

/// The most that one call encodes beyond a record's end, so that it returns soon whatever it is asked for.
const CHUNK_MAX: usize = 256 << 10;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) enum Record<'a> {
    Header {
        config: StoreConfig,
        log_time: u64,
    },
    Entry {
        #[serde(borrow, with = "slice")]
        key: &'a [u8],
        #[serde(with = "index")]
        version: LogIndex,
        #[serde(borrow, with = "slice")]
        value: &'a [u8],
    },
    Session {
        #[serde(with = "index")]
        id: LogIndex,
        expires_at: u64,
        ttl_ms: u32,
        acked: u64,
    },
    Kept {
        seq: u64,
        reply: Reply,
    },
    End {
        entries: u64,
        sessions: u64,
        digest: u64,
    },
}

/// Walks a view. Keeps no iterator, only the last key, and finds its place again.
pub(super) struct Source {
    view: Store,
    next: Next,
    pending: BytesMut,
}

enum Next {
    Header,
    Entries { after: Option<Blob> },
    Sessions { after: Option<SessionId> },
    End,
    Nothing,
}

impl Source {
    pub(super) fn new(mut view: Store) -> Self {
        if planted!(SessionsNotInSnapshot) {
            view.sessions = Default::default();
        }
        Self { view, next: Next::Header, pending: BytesMut::new() }
    }

    /// Encodes records until `max` bytes wait or a part ends.
    fn advance(&mut self, max: usize) {
        let Self { view, next, pending } = self;
        *next = match next {
            Next::Header => {
                pending.extend_from_slice(&MAGIC);
                let config = view.config.clone();
                push(pending, &Record::Header { config, log_time: view.log_time });
                Next::Entries { after: None }
            }
            Next::Entries { after } => match entries(view, after.as_ref(), pending, max) {
                Some(last) => Next::Entries { after: Some(last) },
                None => Next::Sessions { after: None },
            },
            Next::Sessions { after } => match sessions(view, *after, pending, max) {
                Some(last) => Next::Sessions { after: Some(last) },
                None => Next::End,
            },
            Next::End => {
                let (entries, sessions) = (view.table.len() as u64, view.sessions.len() as u64);
                push(pending, &Record::End { entries, sessions, digest: view.digest() });
                Next::Nothing
            }
            Next::Nothing => return,
        }
    }
}

impl SnapshotSource for Source {
    fn next_chunk(&mut self, max: usize) -> Option<Bytes> {
        let max = max.clamp(1, CHUNK_MAX);
        while self.pending.len() < max && !matches!(self.next, Next::Nothing) {
            self.advance(max);
        }
        match self.pending.len() {
            0 => None,
            waiting => Some(self.pending.split_to(max.min(waiting)).freeze()),
        }
    }
}

fn entries(view: &Store, after: Option<&Blob>, to: &mut BytesMut, max: usize) -> Option<Blob> {
    let start = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.as_slice()));
    for (key, item) in view.table.from(start) {
        let (key_bytes, value) = (key.as_slice(), item.value.as_slice());
        push(to, &Record::Entry { key: key_bytes, version: item.version, value });
        if to.len() >= max {
            return Some(key.clone());
        }
    }
    None
}

fn sessions(
    view: &Store,
    after: Option<SessionId>,
    to: &mut BytesMut,
    max: usize,
) -> Option<SessionId> {
    for (id, session) in view.sessions.after(after) {
        let (expires_at, ttl_ms, acked) = (session.expires_at, session.ttl_ms, session.acked);
        push(to, &Record::Session { id: id.0, expires_at, ttl_ms, acked });
        for kept in &session.kept {
            push(to, &Record::Kept { seq: kept.seq, reply: kept.reply.clone() });
        }
        if to.len() >= max {
            return Some(*id);
        }
    }
    None
}

fn push(to: &mut BytesMut, record: &Record<'_>) {
    let at = to.len();
    to.extend_from_slice(&[0; 4]);
    codec::append(to, record);
    let len = (to.len() - at - 4) as u32;
    to[at..at + 4].copy_from_slice(&len.to_le_bytes());
}
