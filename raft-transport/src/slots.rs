//! A bounded number of places.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

pub(crate) struct Slots {
    used: AtomicUsize,
    max: usize,
    freed: Notify,
}

/// A place; dropping it frees it.
pub(crate) struct Slot(Arc<Slots>);

impl Slots {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), max, freed: Notify::new() })
    }

    pub(crate) fn take(self: &Arc<Self>) -> Option<Slot> {
        let more = |used: usize| (used < self.max).then_some(used + 1);
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.ok().map(|_| Slot(Arc::clone(self)))
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.used() >= self.max
    }

    /// Waits until none is taken.
    pub(crate) async fn all_free(&self) {
        loop {
            let freed = self.freed.notified();
            if self.used() == 0 {
                return;
            }
            freed.await;
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.used.fetch_sub(1, Ordering::Relaxed);
        self.0.freed.notify_waiters();
    }
}
