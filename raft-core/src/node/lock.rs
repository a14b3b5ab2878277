//! The one kind of lock in the driver, and the only place that needs `std`.
//!
//! Locks here are held for a few moves of data and never across an await. A poisoned lock is taken all
//! the same: a reader's closure that panics under it has changed nothing, and a state machine that
//! panics marks itself (see [`Machine`](super::machine::Machine)).

extern crate std;

pub(super) use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`, poisoned or not.
pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
