//! Snapshots, written.
//!
//! A snapshot is the magic bytes `rsc`, the format byte, and records. A record is its length (4 bytes,
//! little endian) and a [`Record`] in postcard, in this order: the header; the configurations that are
//! kept, by number; each session, by id, followed by its kept replies, by sequence number; the end, which
//! counts the records and has the digest of the state. So equal states have equal bytes, on every replica.

use bytes::{Bytes, BytesMut};
use kv::command::SessionId;
use kv::rpc;
use raft_core::{LogIndex, SnapshotSource};
use serde::{Deserialize, Serialize};

use super::Controller;
use super::sessions::Session;
use crate::codec::{FORMAT, index};
use crate::raw::RawSettings;
use crate::reply::Reply;

/// What a snapshot begins with.
pub(super) const MAGIC: [u8; 4] = [b'r', b's', b'c', FORMAT];

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) enum Record<'a> {
    Header {
        log_time: u64,
        /// `None`: the cluster is not made yet. Else the settings, and the chain over the configurations
        /// that are gone.
        founded: Option<(RawSettings, u64)>,
    },
    /// A configuration, encoded.
    Configuration(#[serde(borrow)] &'a [u8]),
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
        configurations: u64,
        sessions: u64,
        digest: u64,
    },
}

/// The most that one call gives, so that it returns soon whatever it is asked for.
const CHUNK_MAX: usize = 256 << 10;

/// The records of a session.
pub(super) fn session_records(
    SessionId(id): SessionId,
    session: &Session,
) -> impl Iterator<Item = Record<'static>> + '_ {
    let Session { expires_at, ttl_ms, acked, ref kept } = *session;
    let head = Record::Session { id, expires_at, ttl_ms, acked };
    let kept = kept.iter().map(|(seq, reply)| Record::Kept { seq: *seq, reply: *reply });
    std::iter::once(head).chain(kept)
}

/// Walks a view. Keeps no iterator, only its place, and finds it again.
pub(super) struct Source {
    view: Controller,
    next: Next,
    pending: BytesMut,
}

enum Next {
    Header,
    Configurations { at: usize },
    Sessions { after: Option<SessionId> },
    End,
    Nothing,
}

impl Source {
    pub(super) fn new(view: Controller) -> Self {
        Self { view, next: Next::Header, pending: BytesMut::new() }
    }

    /// Encodes the next record, or a session with its replies.
    fn advance(&mut self) {
        let Self { view, next, pending } = self;
        let kept = view.founded.as_ref().map(|founded| founded.history.kept());
        *next = match next {
            Next::Header => {
                pending.extend_from_slice(&MAGIC);
                let founded = view.founded.as_ref().map(|founded| {
                    (RawSettings::from(&founded.settings), founded.history.before())
                });
                push(pending, &Record::Header { log_time: view.log_time, founded });
                Next::Configurations { at: 0 }
            }
            Next::Configurations { at } => match kept.and_then(|kept| kept.get(*at)) {
                Some(encoded) => {
                    push(pending, &Record::Configuration(encoded));
                    Next::Configurations { at: *at + 1 }
                }
                None => Next::Sessions { after: None },
            },
            Next::Sessions { after } => match view.sessions.after(*after) {
                Some((id, session)) => {
                    session_records(*id, session).for_each(|record| push(pending, &record));
                    Next::Sessions { after: Some(*id) }
                }
                None => Next::End,
            },
            Next::End => {
                let configurations = kept.map_or(0, |kept| kept.len()) as u64;
                let sessions = view.sessions.len() as u64;
                push(pending, &Record::End { configurations, sessions, digest: view.digest() });
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
            self.advance();
        }
        match self.pending.len() {
            0 => None,
            waiting => Some(self.pending.split_to(max.min(waiting)).freeze()),
        }
    }
}

fn push(to: &mut BytesMut, record: &Record<'_>) {
    let encoded = rpc::encode(Vec::new(), record);
    to.extend_from_slice(&(encoded.len() as u32).to_le_bytes());
    to.extend_from_slice(&encoded);
}
