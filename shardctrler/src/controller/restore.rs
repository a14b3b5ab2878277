//! Snapshots, read. The bytes come split anywhere; what waits is never more than one record.

use std::sync::Arc;

use bytes::Bytes;
use kv::command::SessionId;
use kv::rpc;
use raft_core::node::watch;
use raft_core::{LogIndex, Restore, RestoreError};

use super::history::History;
use super::sessions::{SESSION_WINDOW, Session};
use super::snapshot::{MAGIC, Record};
use super::{Controller, Founded};
use crate::config::ConfigNumber;
use crate::raw;
use crate::reply::Reply;
use crate::settings::{CONFIGURATION_BYTES_MAX, Settings};

/// The longest record: a configuration and a little around it.
const RECORD_MAX: u32 = CONFIGURATION_BYTES_MAX + 64;

/// Builds a [`Controller`]. The first error is final.
///
/// Accepts exactly what [`Source`](super::snapshot::Source) writes: numbers, sessions and sequence numbers
/// ascend, the counts and the digest are right, and nothing follows the end.
pub(super) struct Restoring {
    controller: Controller,
    /// Bytes that are no whole record yet.
    pending: Vec<u8>,
    expect: Expect,
    /// The session whose replies come now.
    session: Option<(SessionId, Session)>,
    failed: Option<RestoreError>,
}

enum Expect {
    Magic,
    Header,
    /// The first configuration, of a cluster like this, after what is gone.
    First(Settings, u64),
    Records,
    Nothing,
}

fn error(reason: impl Into<String>) -> RestoreError {
    RestoreError { reason: reason.into() }
}

impl Restoring {
    pub(super) fn new(news: Arc<watch::Sender<ConfigNumber>>) -> Self {
        Self {
            controller: Controller::telling(news),
            pending: Vec::new(),
            expect: Expect::Magic,
            session: None,
            failed: None,
        }
    }

    /// Takes every whole record off the front of `data`, and says how many bytes that was.
    fn consume(&mut self, data: &[u8]) -> Result<usize, RestoreError> {
        let mut rest = data;
        if matches!(self.expect, Expect::Magic) {
            match rest.split_first_chunk() {
                Some((&MAGIC, after)) => rest = after,
                Some(([b'r', b's', b'c', format], _)) => {
                    return Err(error(format!("unknown format {format}")));
                }
                Some(_) => return Err(error("wrong magic bytes")),
                None => return Ok(0),
            }
            self.expect = Expect::Header;
        }
        while let Some((record, after)) = split_record(rest)? {
            let record = rpc::decode(record).map_err(|_| error("malformed record"))?;
            self.take(record)?;
            rest = after;
        }
        Ok(data.len() - rest.len())
    }

    fn take(&mut self, record: Record<'_>) -> Result<(), RestoreError> {
        let expect = std::mem::replace(&mut self.expect, Expect::Records);
        match (expect, record) {
            (Expect::Header, Record::Header { log_time, founded }) => {
                self.controller.log_time = log_time;
                if let Some((settings, before)) = founded {
                    let settings = settings.try_into().map_err(|_| error("malformed settings"))?;
                    self.expect = Expect::First(settings, before);
                }
                Ok(())
            }
            (Expect::First(settings, before), Record::Configuration(encoded)) => {
                let first = self.configuration(encoded, &settings)?;
                let encoded = Bytes::copy_from_slice(encoded);
                let history = History::begin(first, encoded, before);
                self.controller.founded = Some(Founded { settings, history });
                Ok(())
            }
            (Expect::Records, Record::Configuration(encoded)) => self.take_next(encoded),
            (Expect::Records, Record::Session { id, expires_at, ttl_ms, acked }) => {
                let session = Session { expires_at, ttl_ms, acked, kept: Vec::new() };
                self.take_session(id, session)
            }
            (Expect::Records, Record::Kept { seq, reply }) => self.take_kept(seq, reply),
            (Expect::Records, Record::End { configurations, sessions, digest }) => {
                self.take_end(configurations, sessions, digest)
            }
            (Expect::Nothing, _) => Err(error("bytes after the end")),
            _ => Err(error("records out of order")),
        }
    }

    /// Reads a configuration of the cluster.
    fn configuration(
        &self,
        encoded: &[u8],
        settings: &Settings,
    ) -> Result<crate::Configuration, RestoreError> {
        let read = raw::decode_configuration(encoded);
        let read = read.map_err(|_| error("malformed configuration"))?;
        match (read.cluster(), read.shard_count()) == (settings.cluster, settings.shards) {
            true => Ok(read),
            false => Err(error("a configuration of another cluster")),
        }
    }

    fn take_next(&mut self, encoded: &[u8]) -> Result<(), RestoreError> {
        let (None, Some(founded)) = (&self.session, &self.controller.founded) else {
            return Err(error("records out of order"));
        };
        let next = self.configuration(encoded, &founded.settings)?;
        if next.number() != founded.history.newest().number().next() {
            return Err(error("configurations out of order"));
        }
        if let Some(founded) = &mut self.controller.founded {
            founded.history.push(next, Bytes::copy_from_slice(encoded));
        }
        Ok(())
    }

    fn take_session(&mut self, id: LogIndex, session: Session) -> Result<(), RestoreError> {
        let id = SessionId(id);
        if self.session.as_ref().is_some_and(|(last, _)| *last >= id) {
            return Err(error("sessions out of order"));
        }
        self.finish_session();
        self.session = Some((id, session));
        Ok(())
    }

    fn take_kept(&mut self, seq: u64, reply: Reply) -> Result<(), RestoreError> {
        let (_, session) = self.session.as_mut().ok_or_else(|| error("a reply of no session"))?;
        let least = session.kept.last().map_or(session.acked, |(last, _)| last.saturating_add(1));
        if seq < least || seq - session.acked >= u64::from(SESSION_WINDOW) {
            return Err(error("replies out of order"));
        }
        session.kept.push((seq, reply));
        Ok(())
    }

    fn finish_session(&mut self) {
        if let Some((id, session)) = self.session.take() {
            self.controller.sessions.insert(id, session);
        }
    }

    fn take_end(
        &mut self,
        configurations: u64,
        sessions: u64,
        digest: u64,
    ) -> Result<(), RestoreError> {
        self.finish_session();
        let kept = self.controller.founded.as_ref().map(|founded| founded.history.kept().len());
        let found = (kept.unwrap_or_default() as u64, self.controller.sessions.len() as u64);
        if found != (configurations, sessions) {
            let (kept, open) = found;
            return Err(error(format!(
                "{kept} of {configurations} configurations and {open} of {sessions} sessions"
            )));
        }
        if self.controller.digest() != digest {
            return Err(error("wrong digest"));
        }
        self.expect = Expect::Nothing;
        Ok(())
    }

    fn advance(&mut self, data: &[u8]) -> Result<(), RestoreError> {
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(data);
        let taken = self.consume(&pending)?;
        pending.drain(..taken);
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
    if length > RECORD_MAX {
        return Err(error(format!("a record of {length} bytes")));
    }
    Ok(rest.split_at_checked(length as usize))
}

impl Restore<Controller> for Restoring {
    fn push(&mut self, data: &[u8]) -> Result<(), RestoreError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let result = self.advance(data);
        self.failed = result.as_ref().err().cloned();
        result
    }

    fn finish(self: Box<Self>) -> Result<Controller, RestoreError> {
        match (self.failed, self.expect) {
            (Some(failed), _) => Err(failed),
            (None, Expect::Nothing) if self.pending.is_empty() => Ok(self.controller),
            (None, _) => Err(error("truncated")),
        }
    }
}
