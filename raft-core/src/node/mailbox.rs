//! A queue with many senders and one receiver that is polled: the loop's, and each applier's.
//!
//! The receiver takes everything that is there at once, so a thousand items cost it one wake-up and one
//! lock. A mailbox has no bound of its own: what is put into it is bounded where it is made, and each use
//! says how.

use alloc::vec::Vec;
use core::mem;
use core::task::{Context, Poll, Waker};

use super::lock::{Mutex, lock};

/// The queue.
pub(super) struct Mailbox<T>(Mutex<State<T>>);

struct State<T> {
    items: Vec<T>,
    waker: Option<Waker>,
    access: Access,
}

enum Access {
    Open,
    Closed,
}

impl<T> Mailbox<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State { items: Vec::new(), waker: None, access: Access::Open }))
    }

    /// Puts `item` in and wakes the receiver if it sleeps. Gives the item back when the mailbox is closed.
    pub(super) fn push(&self, item: T) -> Result<(), T> {
        let mut state = lock(&self.0);
        match state.access {
            Access::Closed => return Err(item),
            Access::Open => state.items.push(item),
        }
        // Taken, not cloned: pushes until the receiver's next poll wake nobody a second time.
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Moves everything to the end of `into`, or remembers whom to wake. Ready without anything when the
    /// mailbox is closed.
    pub(super) fn poll_take(&self, cx: &mut Context<'_>, into: &mut Vec<T>) -> Poll<()> {
        let mut state = lock(&self.0);
        if state.items.is_empty() {
            if let Access::Closed = state.access {
                return Poll::Ready(());
            }
            match &state.waker {
                Some(waker) if waker.will_wake(cx.waker()) => {}
                _ => state.waker = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        if into.is_empty() {
            // The two allocations take turns.
            mem::swap(into, &mut state.items);
        } else {
            into.append(&mut state.items);
        }
        Poll::Ready(())
    }

    /// Refuses everything from now on and drops what is there.
    pub(super) fn close(&self) {
        let mut state = lock(&self.0);
        state.access = Access::Closed;
        let items = mem::take(&mut state.items);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        // Dropped outside the lock: an item's drop may wake somebody.
        drop(items);
    }
}
