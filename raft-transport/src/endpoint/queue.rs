//! What waits to be sent to one peer.
//!
//! Invariants:
//! 1. Never more than the bounds in messages and bytes: what comes on top is dropped and counted.
//! 2. While the peer is not connected only a few messages wait, the newest: of what was said before, Raft
//!    says everything again that still matters.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raft_core::Envelope;
use tokio::sync::Notify;

use crate::codec::weight;
use crate::config::NetConfig;
use crate::counters::Tally;

pub(crate) struct Queue {
    state: Mutex<State>,
    /// Something is there.
    filled: Notify,
    limits: Limits,
    tally: Arc<Tally>,
}

#[derive(Clone, Copy)]
struct Limits {
    messages: usize,
    bytes: u64,
    offline_messages: usize,
}

#[derive(Default)]
struct State {
    messages: VecDeque<Envelope>,
    bytes: u64,
    line: Line,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Line {
    Up,
    #[default]
    Down,
}

impl Queue {
    pub(crate) fn new(config: &NetConfig, tally: Arc<Tally>) -> Self {
        let limits = Limits {
            messages: config.peer_messages_max,
            bytes: config.peer_bytes_max,
            offline_messages: config.offline_messages_max.min(config.peer_messages_max),
        };
        Self { state: Mutex::default(), filled: Notify::new(), limits, tally }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues or drops.
    pub(crate) fn push(&self, messages: impl Iterator<Item = Envelope>) {
        let mut state = self.lock();
        let idle = state.messages.is_empty();
        for message in messages {
            if state.line == Line::Down && state.messages.len() >= self.limits.offline_messages {
                self.tally.dropped_offline.add(state.clear());
            }
            let bytes = state.bytes + weight(&message);
            if state.messages.len() >= self.limits.messages || bytes > self.limits.bytes {
                self.tally.dropped_full.one();
                continue;
            }
            state.bytes = bytes;
            state.messages.push_back(message);
        }
        let wake = idle && !state.messages.is_empty();
        drop(state);
        if wake {
            self.filled.notify_one();
        }
    }

    /// Moves messages of about `bytes` in all into `batch`, at least one if there is one.
    pub(crate) fn take(&self, bytes: u64, batch: &mut Vec<Envelope>) {
        let mut state = self.lock();
        let mut taken = 0;
        while taken < bytes {
            let Some(message) = state.messages.pop_front() else { break };
            taken += weight(&message);
            batch.push(message);
        }
        state.bytes -= taken;
    }

    /// Waits until something is there.
    pub(crate) async fn filled(&self) {
        loop {
            let filled = self.filled.notified();
            if !self.lock().messages.is_empty() {
                return;
            }
            filled.await;
        }
    }

    /// The peer is connected.
    pub(crate) fn up(&self) {
        self.lock().line = Line::Up;
    }

    /// The peer is not connected any more. What waited for it is stale.
    pub(crate) fn down(&self) {
        let mut state = self.lock();
        state.line = Line::Down;
        self.tally.dropped_offline.add(state.clear());
    }
}

impl State {
    fn clear(&mut self) -> u64 {
        let count = self.messages.len() as u64;
        self.messages.clear();
        self.bytes = 0;
        count
    }
}
