//! What has arrived and waits for the driver.
//!
//! Invariants:
//! 1. Nothing is dropped here. When the bound is reached, whoever fills the inbox stops ([`Inbox::has_room`])
//!    and so makes the other side wait.
//! 2. The driver takes everything at once, by exchanging two vectors.

use std::sync::{Mutex, MutexGuard, PoisonError};

use raft_core::{Envelope, TransportClosed};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::codec::weight;

pub(crate) struct Inbox {
    state: Mutex<State>,
    arrived: Notify,
    room: Notify,
    bytes_max: u64,
}

#[derive(Default)]
struct State {
    messages: Vec<Envelope>,
    bytes: u64,
    phase: Phase,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    Closed,
}

impl Inbox {
    pub(crate) fn new(bytes_max: u64) -> Self {
        let state = Mutex::default();
        Self { state, arrived: Notify::new(), room: Notify::new(), bytes_max }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, messages: &mut Vec<Envelope>) {
        if messages.is_empty() {
            return;
        }
        let bytes: u64 = messages.iter().map(weight).sum();
        let mut state = self.lock();
        state.bytes += bytes;
        state.messages.append(messages);
        drop(state);
        self.arrived.notify_one();
    }

    pub(crate) fn has_room(&self) -> bool {
        self.lock().bytes < self.bytes_max
    }

    /// Ready when the driver took something. To be made before [`Self::has_room`] is asked.
    pub(crate) fn room(&self) -> Notified<'_> {
        self.room.notified()
    }

    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.phase = Phase::Closed;
        state.messages = Vec::new();
        drop(state);
        self.arrived.notify_one();
    }

    pub(crate) async fn receive(&self, into: &mut Vec<Envelope>) -> Result<(), TransportClosed> {
        loop {
            if self.take(into)? {
                return Ok(());
            }
            self.arrived.notified().await;
        }
    }

    /// Whether there was something.
    fn take(&self, into: &mut Vec<Envelope>) -> Result<bool, TransportClosed> {
        let mut state = self.lock();
        if state.phase == Phase::Closed {
            // Whoever asks again is told again.
            self.arrived.notify_one();
            return Err(TransportClosed);
        }
        if state.messages.is_empty() {
            return Ok(false);
        }
        if into.is_empty() {
            std::mem::swap(into, &mut state.messages);
        } else {
            into.append(&mut state.messages);
        }
        let was_full = state.bytes >= self.bytes_max;
        state.bytes = 0;
        drop(state);
        if was_full {
            self.room.notify_waiters();
        }
        Ok(true)
    }
}
