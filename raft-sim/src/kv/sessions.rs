//! The rules of sessions, written a second time and plainly: which requests have their turn.

use std::collections::{BTreeMap, BTreeSet};

use kv::SESSION_WINDOW;
use kv::command::{SessionId, Ticket};

/// How many sessions that are due one command removes; the others wait, and are refused.
const REMOVED_PER_COMMAND: usize = 16;

/// All sessions of a group. The bound on bytes of replies is not modelled: no run gets near it.
#[derive(Default)]
pub(super) struct Sessions {
    live: BTreeMap<SessionId, Session>,
    /// Every request that ever had its turn. Not a part of the rules, but what they are for.
    turns: BTreeSet<(SessionId, u64)>,
    opened: u64,
}

struct Session {
    expires_at: u64,
    ttl_ms: u64,
    acked: u64,
    /// The requests whose replies are kept.
    kept: BTreeSet<u64>,
}

impl Session {
    /// A session may live longer than it must by a 64th, so that not every use has to move it.
    fn due(&self, now: u64) -> u64 {
        now + self.ttl_ms + self.ttl_ms / 64
    }
}

/// Whether a request is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// It is, now.
    Now,
    /// It is not: it was before, or never will be.
    No,
}

impl Sessions {
    pub(super) fn len(&self) -> usize {
        self.live.len()
    }

    /// How many there ever were.
    pub(super) fn opened(&self) -> u64 {
        self.opened
    }

    pub(super) fn expire(&mut self, now: u64) {
        for _ in 0..REMOVED_PER_COMMAND {
            match self.longest_unused() {
                Some((due, id)) if due <= now => self.live.remove(&id),
                _ => return,
            };
        }
    }

    pub(super) fn bound(&mut self, sessions_max: u32) {
        while self.live.len() > sessions_max as usize {
            let Some((_, id)) = self.longest_unused() else { return };
            self.live.remove(&id);
        }
    }

    fn longest_unused(&self) -> Option<(u64, SessionId)> {
        self.live.iter().map(|(id, session)| (session.expires_at, *id)).min()
    }

    pub(super) fn open(&mut self, id: SessionId, ttl_ms: u32, now: u64) {
        let (ttl_ms, kept) = (u64::from(ttl_ms), BTreeSet::new());
        let mut session = Session { expires_at: 0, ttl_ms, acked: 0, kept };
        session.expires_at = session.due(now);
        self.live.insert(id, session);
        self.opened += 1;
    }

    /// # Errors
    /// When the rules would have a request done twice.
    pub(super) fn take_turn(&mut self, ticket: Ticket, now: u64) -> Result<Turn, String> {
        let Ticket { session: id, seq, acked } = ticket;
        let Some(session) = self.live.get_mut(&id) else { return Ok(Turn::No) };
        let acked = session.acked.max(acked);
        let stale = seq < acked || seq - acked >= u64::from(SESSION_WINDOW);
        if session.expires_at <= now || stale || session.kept.contains(&seq) {
            return Ok(Turn::No);
        }
        session.acked = acked;
        session.kept = session.kept.split_off(&acked);
        session.kept.insert(seq);
        let due = session.due(now);
        if due.saturating_sub(session.expires_at) > session.ttl_ms / 64 {
            session.expires_at = due;
        }
        match self.turns.insert((id, seq)) {
            true => Ok(Turn::Now),
            false => Err(format!("request {seq} of {id:?} has its turn twice")),
        }
    }
}
