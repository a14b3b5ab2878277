//! The handshakes that are under way: when there are too many, the one that began first gives way to the newest.
//!
//! A good one is over within a few round trips. Whoever holds up handshakes, however many, therefore only holds up
//! its own: to push out a good one, as many others have to begin while it lasts as there are places.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

pub(super) struct Crowd {
    state: Mutex<State>,
    max: usize,
}

#[derive(Default)]
struct State {
    last: u64,
    /// By the order in which they began. Whoever is dropped out of here notices it.
    under_way: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A place; dropping it frees it.
pub(super) struct Place {
    crowd: Arc<Crowd>,
    number: u64,
    pushed_out: oneshot::Receiver<()>,
}

impl Crowd {
    /// With room for this many, at least for one.
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), max: max.max(1) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, somebody else's if need be.
    pub(super) fn enter(self: &Arc<Self>) -> Place {
        let mut state = self.state();
        if state.under_way.len() >= self.max {
            state.under_way.pop_first();
        }
        state.last += 1;
        let (number, (keep, pushed_out)) = (state.last, oneshot::channel());
        state.under_way.insert(number, keep);
        Place { crowd: Arc::clone(self), number, pushed_out }
    }

    /// Whether more than half of the places are taken.
    pub(super) fn is_dense(&self) -> bool {
        2 * self.state().under_way.len() > self.max
    }
}

impl Place {
    /// Waits until it has to be given to another.
    pub(super) async fn pushed_out(&mut self) {
        // Nothing is ever sent.
        let _ = (&mut self.pushed_out).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.state().under_way.remove(&self.number);
    }
}
