//! [`Journal`]: what all clients of a run asked and were told.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use kv::command::Ticket;
use raft_core::LogIndex;

use super::calls::Part;
use crate::checker::models::{KvInput, KvOutput};
use crate::history::Recorder;

/// A page of a scan that a client got.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) part: Part,
    /// The keys it is about: from the first on, and up to but without the second.
    pub(crate) from: Bytes,
    pub(crate) to: Option<Bytes>,
    pub(crate) entries: Vec<(Bytes, Bytes, LogIndex)>,
}

impl Seen {
    pub(crate) fn covers(&self, key: &[u8]) -> bool {
        key >= &self.from[..] && self.to.as_ref().is_none_or(|to| key < &to[..])
    }
}

/// Shared by all clients. The order is that in which the processes run, which is the order of real time: the
/// world runs one of them at a time.
#[derive(Clone)]
pub(crate) struct Journal {
    pub(crate) recorder: Recorder<KvInput, KvOutput>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
pub(crate) struct State {
    /// Every key that anybody ever named.
    pub(crate) keys: BTreeSet<Bytes>,
    pub(crate) scans: Vec<Seen>,
    /// The explicit tickets that were used.
    tickets: BTreeSet<(LogIndex, u64)>,
    /// Calls that certainly had no effect.
    pub(crate) not_done: u64,
}

impl Journal {
    pub(crate) fn new(recorder: Recorder<KvInput, KvOutput>) -> Self {
        Self { recorder, state: Arc::default() }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn names(&self, key: &Bytes) {
        let mut state = self.state();
        if !state.keys.contains(key) {
            state.keys.insert(key.clone());
        }
    }

    /// Notes that something is asked for with an explicit ticket: one operation, however often it is asked for.
    /// It may take effect at any time from now on.
    pub(crate) fn asks(&self, ticket: Ticket, input: KvInput) {
        self.names(&input.key);
        if self.state().tickets.insert((ticket.session.0, ticket.seq)) {
            self.recorder.client().call(input).unanswered();
        }
    }
}
