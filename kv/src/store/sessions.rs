//! [`Sessions`]: what makes every write happen once (paper, section 8; thesis, section 6.3).
//!
//! A session keeps the replies to the requests that its client may still repeat. A client has many requests in
//! flight, which arrive in any order; it numbers them, and says with each which numbers it needs no reply
//! to any more (`acked`). A request is then one of
//!
//! - below `acked`: stale, refused, never applied;
//! - at or above it with a kept reply: repeated, answered with that reply, not applied;
//! - [`SESSION_WINDOW`] or more above it: refused, so that a session is bounded;
//! - new: applied, and its reply kept.
//!
//! Sessions end by the log's own time, which is equal on all replicas: when a session was not used for its
//! time to live, or, the longest unused first, when there are too many of them or too many bytes of replies.

use imbl::{OrdMap, OrdSet};

use crate::command::{SessionId, Ticket};
use crate::digest::Hash;
use crate::op::{CommandError, OpOutcome, Outcome, Reply};

/// How many requests of one session may be unacknowledged: the sequence number of a request is less than
/// this above the first unacknowledged one.
pub const SESSION_WINDOW: u16 = 1024;

/// The most expired sessions that one command removes, so that no command is slow because many sessions
/// end at once. One that is due is refused all the same.
const REMOVED_PER_COMMAND: usize = 16;

/// A reply that the client may ask for again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Kept {
    pub(crate) seq: u64,
    pub(crate) reply: Reply,
}

#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Session {
    /// The session is gone when the log's time gets here.
    pub(crate) expires_at: u64,
    pub(crate) ttl_ms: u32,
    /// The client needs no reply below this number.
    pub(crate) acked: u64,
    /// By sequence number, all at or above `acked`.
    pub(crate) kept: Vec<Kept>,
}

/// What to do with a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Admission {
    New,
    Repeated(Reply),
}

/// All sessions of a group. A clone is a view, as of the table.
///
/// Invariants: `expiry` holds `(expires_at, id)` of exactly the sessions in `map`; `kept_bytes` is the sum
/// of [`kept_bytes`] and `digest` that of the hashes over all sessions and kept replies.
#[derive(Clone, Default)]
pub(crate) struct Sessions {
    map: OrdMap<SessionId, Session>,
    expiry: OrdSet<(u64, SessionId)>,
    kept_bytes: u64,
    digest: u64,
    /// What has changed since it was last asked for, while somebody wants to know. No part of the state.
    touched: Option<Vec<SessionId>>,
}

fn hash_session(id: SessionId, session: &Session) -> u64 {
    let hash = Hash::of(2).number(id.0.0).number(session.expires_at);
    hash.number(u64::from(session.ttl_ms)).number(session.acked).end()
}

fn hash_kept(id: SessionId, kept: &Kept) -> u64 {
    let hash = Hash::of(3).number(id.0.0).number(kept.seq);
    // The encoding is what the snapshot says. Few replies but those of batches exceed the buffer.
    match postcard::to_slice(&kept.reply, &mut [0; 48]) {
        Ok(encoded) => hash.bytes(encoded).end(),
        Err(_) => hash.bytes(&crate::codec::encode(Vec::new(), &kept.reply)).end(),
    }
}

/// What a kept reply counts for in the limit.
fn kept_bytes(kept: &Kept) -> u64 {
    let ops = match &kept.reply.outcome {
        Outcome::Batch(outcomes) => outcomes.len(),
        _ => 0,
    };
    (size_of::<Kept>() + ops * size_of::<OpOutcome>()) as u64
}

impl Session {
    /// How much later than necessary a session may expire: using it within this time moves nothing.
    fn grain(&self) -> u64 {
        u64::from(self.ttl_ms / 64)
    }

    fn due_after(&self, now: u64) -> u64 {
        now.saturating_add(u64::from(self.ttl_ms)).saturating_add(self.grain())
    }

    fn position(&self, seq: u64) -> Result<usize, usize> {
        match self.kept.last() {
            // The usual case: requests arrive in order.
            Some(last) if last.seq < seq => Err(self.kept.len()),
            None => Err(0),
            Some(_) => self.kept.binary_search_by_key(&seq, |kept| kept.seq),
        }
    }

    /// Gives memory back once most of what was kept is gone: an idle session is small.
    fn shrink(&mut self) {
        if self.kept.capacity() > 4 && self.kept.len() < self.kept.capacity() / 4 {
            self.kept.shrink_to(self.kept.len() * 2);
        }
    }

    fn keep(&mut self, kept: Kept) {
        if let Err(at) = self.position(kept.seq) {
            if self.kept.is_empty() {
                // Most sessions keep one reply, and a `Vec` would begin with room for four.
                self.kept.reserve_exact(1);
            }
            self.kept.insert(at, kept);
        }
    }
}

impl Sessions {
    /// All sessions, and when each ends.
    pub(crate) fn into_parts(self) -> (OrdMap<SessionId, Session>, OrdSet<(u64, SessionId)>) {
        (self.map, self.expiry)
    }

    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn kept_bytes(&self) -> u64 {
        self.kept_bytes
    }

    pub(crate) fn get(&self, id: SessionId) -> Option<&Session> {
        self.map.get(&id)
    }

    /// Whether changes are to be noted from now on.
    pub(crate) fn set_touching(&mut self, touching: bool) {
        self.touched = touching.then(Vec::new);
    }

    /// What has changed since the last call: at most what one command changes.
    pub(crate) fn take_touched(&mut self) -> Vec<SessionId> {
        self.touched.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn touch(&mut self, id: SessionId) {
        if let Some(touched) = &mut self.touched {
            touched.push(id);
        }
    }

    /// The sessions after `after`, in order.
    pub(crate) fn after(
        &self,
        after: Option<SessionId>,
    ) -> impl Iterator<Item = (&SessionId, &Session)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = after.map_or(Unbounded, Excluded);
        self.map.range::<_, SessionId>((start, Unbounded))
    }

    /// Opens a session, used now.
    pub(crate) fn open(&mut self, id: SessionId, ttl_ms: u32, now: u64) {
        let mut session = Session { ttl_ms, ..Session::default() };
        session.expires_at = session.due_after(now);
        self.insert(id, session);
    }

    /// Adds a session as it is.
    pub(crate) fn insert(&mut self, id: SessionId, session: Session) {
        self.remove(id);
        self.expiry.insert((session.expires_at, id));
        self.kept_bytes += session.kept.iter().map(kept_bytes).sum::<u64>();
        self.digest = self.digest.wrapping_add(hash_whole(id, &session));
        self.map.insert(id, session);
        self.touch(id);
    }

    pub(crate) fn remove(&mut self, id: SessionId) {
        self.touch(id);
        if let Some(session) = self.map.remove(&id) {
            self.expiry.remove(&(session.expires_at, id));
            self.kept_bytes -= session.kept.iter().map(kept_bytes).sum::<u64>();
            self.digest = self.digest.wrapping_sub(hash_whole(id, &session));
        }
    }

    /// Removes sessions that are due, some at a time.
    pub(crate) fn expire(&mut self, now: u64) {
        for _ in 0..REMOVED_PER_COMMAND {
            match self.expiry.get_min() {
                Some(&(due, id)) if due <= now => self.remove(id),
                _ => return,
            }
        }
    }

    /// Removes the longest unused sessions until the bounds hold.
    pub(crate) fn evict(&mut self, sessions_max: u32, kept_bytes_max: u64) {
        while self.map.len() > sessions_max as usize || self.kept_bytes > kept_bytes_max {
            match self.expiry.get_min() {
                Some(&(_, id)) => self.remove(id),
                None => return,
            }
        }
    }

    /// What the request is. Changes nothing.
    pub(crate) fn admit(&self, ticket: Ticket, now: u64) -> Result<Admission, CommandError> {
        let session = self.map.get(&ticket.session).filter(|session| now < session.expires_at);
        if session.is_none() && planted!(ExpiredSessionServed) {
            return Ok(Admission::New);
        }
        let session = session.ok_or(CommandError::SessionExpired)?;
        let acked = session.acked.max(ticket.acked);
        if ticket.seq < acked {
            return Err(CommandError::StaleSequence);
        }
        if ticket.seq - acked >= u64::from(SESSION_WINDOW) {
            return Err(CommandError::SessionWindow { window: SESSION_WINDOW });
        }
        Ok(match session.position(ticket.seq) {
            Ok(at) => session
                .kept
                .get(at)
                .map_or(Admission::New, |kept| Admission::Repeated(kept.reply.clone())),
            Err(_) => Admission::New,
        })
    }

    /// Keeps the reply to a request that was admitted as new, and drops those that are acknowledged.
    pub(crate) fn record(&mut self, ticket: Ticket, reply: Reply, now: u64) {
        let id = ticket.session;
        let Some(session) = self.map.get_mut(&id) else { return };
        let mut digest = self.digest.wrapping_sub(hash_session(id, session));
        session.acked = session.acked.max(ticket.acked);
        let dropped = session.kept.partition_point(|kept| kept.seq < session.acked);
        for kept in session.kept.drain(..dropped) {
            digest = digest.wrapping_sub(hash_kept(id, &kept));
            self.kept_bytes -= kept_bytes(&kept);
        }
        session.shrink();
        let kept = Kept { seq: ticket.seq, reply };
        digest = digest.wrapping_add(hash_kept(id, &kept));
        self.kept_bytes += kept_bytes(&kept);
        session.keep(kept);
        let due = session.due_after(now);
        if due.saturating_sub(session.expires_at) > session.grain() {
            self.expiry.remove(&(session.expires_at, id));
            self.expiry.insert((due, id));
            session.expires_at = due;
        }
        self.digest = digest.wrapping_add(hash_session(id, session));
        self.touch(id);
    }

    /// The digest, computed anew.
    pub(crate) fn recomputed_digest(&self) -> u64 {
        self.map.iter().fold(0, |sum, (id, session)| sum.wrapping_add(hash_whole(*id, session)))
    }
}

fn hash_whole(id: SessionId, session: &Session) -> u64 {
    let kept = session.kept.iter().map(|kept| hash_kept(id, kept));
    kept.fold(hash_session(id, session), u64::wrapping_add)
}
