//! [`Sessions`]: what makes every change happen once, as in [`kv`] (paper, section 8; thesis, section 6.3).
//!
//! A session keeps the replies to the requests that its client may still repeat. The client numbers its
//! requests and says with each which numbers it needs no reply to any more (`acked`). A request is then one
//! of
//!
//! - below `acked`: stale, refused, never applied;
//! - at or above it with a kept reply: repeated, answered with that reply, not applied;
//! - [`SESSION_WINDOW`] or more above it: refused, so that a session is bounded;
//! - new: applied, and its reply kept.
//!
//! Sessions end by the log's own time, which is equal on all replicas. Changes are rare and sessions few,
//! so there is no index: what has expired is looked for one by one.

use imbl::OrdMap;
use kv::CommandError;
use kv::command::{SessionId, Ticket};

use crate::reply::Reply;

/// How many requests of one session may be unacknowledged: the sequence number of a request is less than
/// this above the first unacknowledged one.
pub const SESSION_WINDOW: u16 = 64;

#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Session {
    /// The session is gone when the log's time gets here.
    pub(super) expires_at: u64,
    pub(super) ttl_ms: u32,
    /// The client needs no reply below this number.
    pub(super) acked: u64,
    /// By sequence number, all at or above `acked`, less than [`SESSION_WINDOW`] of them.
    pub(super) kept: Vec<(u64, Reply)>,
}

/// What to do with a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Admission {
    New,
    Repeated(Reply),
}

/// All sessions. A clone is a view, at no cost.
#[derive(Clone, Default)]
pub(super) struct Sessions(OrdMap<SessionId, Session>);

impl Sessions {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&SessionId, &Session)> {
        self.0.iter()
    }

    /// The first session after `after`.
    pub(super) fn after(&self, after: Option<SessionId>) -> Option<(&SessionId, &Session)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = after.map_or(Unbounded, Excluded);
        self.0.range::<_, SessionId>((start, Unbounded)).next()
    }

    /// Adds a session as it is.
    pub(super) fn insert(&mut self, id: SessionId, session: Session) {
        self.0.insert(id, session);
    }

    /// Opens a session, used now. When there are too many, those that were not used for the longest end.
    pub(super) fn open(&mut self, id: SessionId, ttl_ms: u32, now: u64, sessions_max: u32) {
        let expires_at = now.saturating_add(u64::from(ttl_ms));
        self.insert(id, Session { expires_at, ttl_ms, ..Session::default() });
        while self.0.len() > sessions_max as usize {
            let first = self.0.iter().min_by_key(|(id, session)| (session.expires_at, **id));
            let Some(first) = first.map(|(id, _)| *id) else { return };
            self.0.remove(&first);
        }
    }

    /// Removes the sessions that are due.
    pub(super) fn expire(&mut self, now: u64) {
        let due =
            |(id, session): (&SessionId, &Session)| (session.expires_at <= now).then_some(*id);
        let due: Vec<_> = self.0.iter().filter_map(due).collect();
        for id in due {
            self.0.remove(&id);
        }
    }

    /// What the request is. Changes nothing.
    pub(super) fn admit(&self, ticket: Ticket) -> Result<Admission, CommandError> {
        let session = self.0.get(&ticket.session).ok_or(CommandError::SessionExpired)?;
        let acked = session.acked.max(ticket.acked);
        if ticket.seq < acked {
            return Err(CommandError::StaleSequence);
        }
        if ticket.seq - acked >= u64::from(SESSION_WINDOW) {
            return Err(CommandError::SessionWindow { window: SESSION_WINDOW });
        }
        let kept = session.kept.binary_search_by_key(&ticket.seq, |(seq, _)| *seq);
        let kept = kept.ok().and_then(|at| session.kept.get(at));
        Ok(kept.map_or(Admission::New, |(_, reply)| Admission::Repeated(*reply)))
    }

    /// Keeps the reply to a request that was admitted as new, and drops those that are acknowledged.
    pub(super) fn record(&mut self, ticket: Ticket, reply: Reply, now: u64) {
        let Some(session) = self.0.get_mut(&ticket.session) else { return };
        session.acked = session.acked.max(ticket.acked);
        let acked = session.acked;
        session.kept.retain(|(seq, _)| *seq >= acked);
        if let Err(at) = session.kept.binary_search_by_key(&ticket.seq, |(seq, _)| *seq) {
            session.kept.insert(at, (ticket.seq, reply));
        }
        session.expires_at = now.saturating_add(u64::from(session.ttl_ms));
    }
}
