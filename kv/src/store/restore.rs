//! Snapshots, read. The bytes come split anywhere; what waits is never more than one record.

use raft_core::{LogIndex, Restore, RestoreError};

use super::sessions::{Kept, Session};
use super::snapshot::{MAGIC, Record};
use super::table::Item;
use super::{Store, StoreConfig};
use crate::blob::Blob;
use crate::codec;
use crate::command::SessionId;
use crate::limits::BYTES_MAX;

/// Builds a [`Store`]. The first error is final.
///
/// Accepts exactly what [`Source`](super::snapshot::Source) writes: keys, sessions and sequence numbers
/// ascend, the counts and the digest are right, and nothing follows the end.
pub(super) struct Restoring {
    store: Store,
    /// Bytes that are no whole record yet.
    pending: Vec<u8>,
    expect: Expect,
    last_key: Option<Blob>,
    /// The session whose replies come now.
    session: Option<(SessionId, Session)>,
    failed: Option<RestoreError>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Magic,
    Header,
    Records,
    Nothing,
}

fn error(reason: impl Into<String>) -> RestoreError {
    RestoreError { reason: reason.into() }
}

impl Restoring {
    pub(super) fn new() -> Self {
        Self {
            store: Store::new(StoreConfig::default()),
            pending: Vec::new(),
            expect: Expect::Magic,
            last_key: None,
            session: None,
            failed: None,
        }
    }

    /// Takes every whole record off the front of `data`, and says how many bytes that was.
    fn consume(&mut self, data: &[u8]) -> Result<usize, RestoreError> {
        let mut rest = data;
        loop {
            let before = rest.len();
            if self.expect == Expect::Magic {
                match rest.split_first_chunk() {
                    Some((&MAGIC, after)) => rest = after,
                    Some(([b'r', b'k', b'v', format], _)) => {
                        return Err(error(format!("unknown format {format}")));
                    }
                    Some(_) => return Err(error("wrong magic bytes")),
                    None => {}
                }
                self.expect = if rest.len() < before { Expect::Header } else { Expect::Magic };
            } else if let Some((record, after)) = split_record(rest)? {
                let record = codec::decode(record).map_err(|_| error("malformed record"))?;
                self.take(record)?;
                rest = after;
            }
            if rest.len() == before {
                return Ok(data.len() - rest.len());
            }
        }
    }

    fn take(&mut self, record: Record<'_>) -> Result<(), RestoreError> {
        match (self.expect, record) {
            (Expect::Header, Record::Header { config, log_time }) => {
                if !config.limits.are_sane() {
                    return Err(error("limits beyond all bounds"));
                }
                self.store = Store { log_time, ..Store::new(config) };
                self.expect = Expect::Records;
                Ok(())
            }
            (Expect::Records, Record::Entry { key, version, value }) => {
                self.take_entry(key, version, value)
            }
            (Expect::Records, Record::Session { id, expires_at, ttl_ms, acked }) => {
                let session = Session { expires_at, ttl_ms, acked, kept: Vec::new() };
                let id = SessionId(id);
                if self.session.as_ref().is_some_and(|(last, _)| *last >= id) {
                    return Err(error("sessions out of order"));
                }
                self.finish_session();
                self.session = Some((id, session));
                Ok(())
            }
            (Expect::Records, Record::Kept { seq, reply }) => self.take_kept(Kept { seq, reply }),
            (Expect::Records, Record::End { entries, sessions, digest }) => {
                self.take_end(entries, sessions, digest)
            }
            (Expect::Nothing, _) => Err(error("bytes after the end")),
            _ => Err(error("records out of order")),
        }
    }

    fn take_entry(
        &mut self,
        key: &[u8],
        version: LogIndex,
        value: &[u8],
    ) -> Result<(), RestoreError> {
        let limits = &self.store.config.limits;
        let fits = limits.check_key(key).and(limits.check_value_bytes(value.len() as u64));
        fits.map_err(|refusal| error(refusal.to_string()))?;
        let ascends = self.last_key.as_ref().is_none_or(|last| last.as_slice() < key);
        if !ascends || self.session.is_some() {
            return Err(error("entries out of order"));
        }
        self.last_key = Some(Blob::from(key));
        self.store.table.put(key, Item { value: value.into(), version });
        Ok(())
    }

    fn take_kept(&mut self, kept: Kept) -> Result<(), RestoreError> {
        let (_, session) = self.session.as_mut().ok_or_else(|| error("a reply of no session"))?;
        let least = session.kept.last().map_or(session.acked, |last| last.seq.saturating_add(1));
        let window = u64::from(super::SESSION_WINDOW);
        if kept.seq < least || kept.seq - session.acked >= window {
            return Err(error("replies out of order"));
        }
        session.kept.push(kept);
        Ok(())
    }

    fn finish_session(&mut self) {
        if let Some((id, mut session)) = self.session.take() {
            session.kept.shrink_to_fit();
            self.store.sessions.insert(id, session);
        }
    }

    fn take_end(&mut self, entries: u64, sessions: u64, digest: u64) -> Result<(), RestoreError> {
        self.finish_session();
        let found = (self.store.table.len() as u64, self.store.sessions.len() as u64);
        if found != (entries, sessions) {
            let (keys, found_sessions) = found;
            return Err(error(format!(
                "{keys} of {entries} entries and {found_sessions} of {sessions} sessions"
            )));
        }
        if self.store.digest() != digest {
            return Err(error("wrong digest"));
        }
        self.expect = Expect::Nothing;
        Ok(())
    }

    fn advance(&mut self, data: &[u8]) -> Result<(), RestoreError> {
        let mut pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            let taken = self.consume(data)?;
            pending.extend_from_slice(data.get(taken..).unwrap_or_default());
        } else {
            pending.extend_from_slice(data);
            let taken = self.consume(&pending)?;
            pending.drain(..taken);
        }
        self.pending = pending;
        Ok(())
    }
}

/// A record without its length, and what follows it.
type Split<'a> = (&'a [u8], &'a [u8]);

/// The record at the front; `None` while it is not whole.
fn split_record(data: &[u8]) -> Result<Option<Split<'_>>, RestoreError> {
    let Some((length, rest)) = data.split_first_chunk() else { return Ok(None) };
    let length = u32::from_le_bytes(*length);
    // A record has a key and a value, or a reply, and a little around them.
    if length > 3 * BYTES_MAX {
        return Err(error(format!("a record of {length} bytes")));
    }
    Ok(rest.split_at_checked(length as usize))
}

impl Restore<Store> for Restoring {
    fn push(&mut self, data: &[u8]) -> Result<(), RestoreError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let result = self.advance(data);
        self.failed = result.as_ref().err().cloned();
        result
    }

    fn finish(self: Box<Self>) -> Result<Store, RestoreError> {
        match (self.failed, self.expect) {
            (Some(failed), _) => Err(failed),
            (None, Expect::Nothing) if self.pending.is_empty() => Ok(self.store),
            (None, _) => Err(error("truncated")),
        }
    }
}
