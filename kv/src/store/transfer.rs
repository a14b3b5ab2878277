//! A store that moves: its contents in bounded pieces, and the changes since.
//!
//! A piece is records, each a length (4 bytes, little endian) and a [`Record`] in postcard. Applied in any store
//! of the same configuration, a piece makes what it names as it was in the store that it came from. So all
//! pieces of a [walk](Store::export), and then those of the [changes](Store::export_changes) since before the
//! walk began, make an equal store, however much was written meanwhile.

use std::ops::Bound;

use bytes::BytesMut;
use raft_core::LogIndex;
use serde::{Deserialize, Serialize};

use super::changes::{Changes, Touched};
use super::sessions::{Kept, Session};
use super::table::Item;
use super::{SESSION_WINDOW, Store};
use crate::codec::{self, Malformed, index, slice};
use crate::command::SessionId;
use crate::op::Reply;

/// How far a walk over a store is: keys come first, in order, then the sessions.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Cursor {
    /// Nothing was walked over.
    #[default]
    Start,
    /// All keys up to this one.
    Key(Vec<u8>),
    /// All keys, and the sessions up to this one.
    Session(u64),
    /// Everything.
    End,
}

/// What a piece is made of. The order of the variants and fields is the format.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
enum Record<'a> {
    Entry {
        #[serde(borrow, with = "slice")]
        key: &'a [u8],
        #[serde(with = "index")]
        version: LogIndex,
        #[serde(borrow, with = "slice")]
        value: &'a [u8],
    },
    NoEntry {
        #[serde(borrow, with = "slice")]
        key: &'a [u8],
    },
    Session {
        id: u64,
        expires_at: u64,
        ttl_ms: u32,
        acked: u64,
        kept: Vec<(u64, Reply)>,
    },
    NoSession {
        id: u64,
    },
}

impl Store {
    /// Numbers the changes from now on, for [`Self::export_changes`].
    pub fn track(&mut self) {
        self.set_changes(Some(Changes::default()));
    }

    /// The changes since [`Self::track`]; `None` if they are not numbered.
    pub fn changes(&self) -> Option<&Changes> {
        self.changes.as_ref()
    }

    /// Replaces what is known of changes: they are no part of a store's snapshot.
    pub fn set_changes(&mut self, changes: Option<Changes>) {
        self.sessions.set_touching(changes.is_some());
        self.changes = changes;
    }

    /// The piece after `after`, of about `bytes_max` bytes and at least one record, and how far it goes.
    pub fn export(&self, after: &Cursor, bytes_max: usize) -> (Vec<u8>, Cursor) {
        let mut piece = BytesMut::new();
        let start = match after {
            Cursor::Start => Some(Bound::Unbounded),
            Cursor::Key(key) => Some(Bound::Excluded(&key[..])),
            Cursor::Session(_) | Cursor::End => None,
        };
        if let Some(start) = start {
            for (key, item) in self.table.from(start) {
                push_entry(&mut piece, key.as_slice(), Some(item));
                if piece.len() >= bytes_max {
                    return (piece.into(), Cursor::Key(key.as_slice().to_vec()));
                }
            }
        }
        let start = match after {
            Cursor::Session(id) => Some(SessionId(LogIndex(*id))),
            Cursor::End => return (Vec::new(), Cursor::End),
            Cursor::Start | Cursor::Key(_) => None,
        };
        for (id, session) in self.sessions.after(start) {
            push_session(&mut piece, *id, Some(session));
            if piece.len() >= bytes_max {
                return (piece.into(), Cursor::Session(id.0.0));
            }
        }
        (piece.into(), Cursor::End)
    }

    /// What has changed after the change of this number, as it is now, in about `bytes_max` bytes; and the
    /// number of the last change that it has. Nothing, and `after` itself, when there is no more.
    pub fn export_changes(&self, after: u64, bytes_max: usize) -> (Vec<u8>, u64) {
        let (mut piece, mut last) = (BytesMut::new(), after);
        for (number, touched) in self.changes.iter().flat_map(|changes| changes.after(after)) {
            match touched {
                Touched::Key(key) => {
                    push_entry(&mut piece, key.as_slice(), self.get(key.as_slice()))
                }
                Touched::Session(id) => push_session(&mut piece, *id, self.sessions.get(*id)),
            }
            last = number;
            if piece.len() >= bytes_max {
                break;
            }
        }
        (piece.into(), last)
    }

    /// Makes what a piece names as the piece has it.
    ///
    /// # Errors
    ///
    /// When it is no piece, or has what this store's configuration does not allow. A part of it may have been
    /// taken then.
    pub fn import(&mut self, mut piece: &[u8]) -> Result<(), Malformed> {
        while !piece.is_empty() {
            let length = u32::from_le_bytes(codec::take(&mut piece)?) as usize;
            let (record, rest) = piece.split_at_checked(length).ok_or(Malformed)?;
            piece = rest;
            self.import_one(codec::decode(record)?)?;
        }
        Ok(())
    }

    /// The log's time is at least this.
    pub fn advance_log_time(&mut self, log_time: u64) {
        self.log_time = self.log_time.max(log_time);
    }

    fn import_one(&mut self, record: Record<'_>) -> Result<(), Malformed> {
        match record {
            Record::Entry { key, version, value } => {
                let limits = &self.config.limits;
                let fits = limits.check_key(key).and(limits.check_value_bytes(value.len() as u64));
                fits.map_err(|_| Malformed)?;
                self.table.put(key, Item { value: value.into(), version });
            }
            Record::NoEntry { key } => drop(self.table.remove(key)),
            Record::Session { id, expires_at, ttl_ms, acked, kept } => {
                let kept: Vec<_> =
                    kept.into_iter().map(|(seq, reply)| Kept { seq, reply }).collect();
                let ascends = kept.is_sorted_by(|a, b| a.seq < b.seq);
                let window = acked..acked.saturating_add(u64::from(SESSION_WINDOW));
                if !ascends || !kept.iter().all(|kept| window.contains(&kept.seq)) {
                    return Err(Malformed);
                }
                let session = Session { expires_at, ttl_ms, acked, kept };
                self.sessions.insert(SessionId(LogIndex(id)), session);
            }
            Record::NoSession { id } => self.sessions.remove(SessionId(LogIndex(id))),
        }
        Ok(())
    }
}

fn push_entry(to: &mut BytesMut, key: &[u8], item: Option<&Item>) {
    match item {
        Some(item) => {
            let (version, value) = (item.version, item.value.as_slice());
            push(to, &Record::Entry { key, version, value });
        }
        None => push(to, &Record::NoEntry { key }),
    }
}

fn push_session(to: &mut BytesMut, id: SessionId, session: Option<&Session>) {
    let id = id.0.0;
    let Some(session) = session else { return push(to, &Record::NoSession { id }) };
    let (expires_at, ttl_ms, acked) = (session.expires_at, session.ttl_ms, session.acked);
    let kept = session.kept.iter().map(|kept| (kept.seq, kept.reply.clone())).collect();
    push(to, &Record::Session { id, expires_at, ttl_ms, acked, kept });
}

fn push(to: &mut BytesMut, record: &Record<'_>) {
    let at = to.len();
    to.extend_from_slice(&[0; 4]);
    codec::append(to, record);
    let len = (to.len() - at - 4) as u32;
    to[at..at + 4].copy_from_slice(&len.to_le_bytes());
}
