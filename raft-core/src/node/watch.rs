//! A value that is watched: its receivers see the newest, and are woken when there is another.
//!
//! It is what `tokio::sync::watch` is, but for one thing: all who wait are woken in the order in which they began to.
//! Tokio spreads them at random, and what they then do would be in another order in each run of the same seed.

use alloc::sync::Arc;
use core::fmt;
use core::ops::Deref;

use tokio::sync::Notify;

use super::lock::{Mutex, MutexGuard, lock};

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Notify,
}

struct State<T> {
    value: T,
    /// How often the value was replaced.
    version: u64,
    /// Whether the sender is gone.
    closed: bool,
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        lock(&self.state)
    }
}

/// Replaces the value. When it is dropped, nothing new comes any more.
pub struct Sender<T>(Arc<Shared<T>>);

/// Sees the value. A clone has seen what its original has.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

/// The value, which does not change while this is held: not for long, and across no await.
pub struct Ref<'a, T>(MutexGuard<'a, State<T>>);

/// The sender is gone, and its last value was seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing new comes any more")
    }
}

impl core::error::Error for Closed {}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// A value, and who sees it.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(value);
    let receiver = sender.subscribe();
    (sender, receiver)
}

impl<T> Sender<T> {
    /// A value that nobody watches yet.
    pub fn new(value: T) -> Self {
        let state = Mutex::new(State { value, version: 0, closed: false });
        Self(Arc::new(Shared { state, changed: Notify::new() }))
    }

    /// A receiver that has seen the value as it is now.
    pub fn subscribe(&self) -> Receiver<T> {
        let seen = self.0.state().version;
        Receiver { shared: Arc::clone(&self.0), seen }
    }

    /// The value.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.0.state())
    }

    /// Changes the value, and wakes all who wait if `change` says that it has.
    pub fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) {
        let mut state = self.0.state();
        if change(&mut state.value) {
            state.version += 1;
            drop(state);
            self.0.changed.notify_waiters();
        }
    }

    /// Changes the value, and wakes all who wait.
    pub fn send_modify(&self, change: impl FnOnce(&mut T)) {
        self.send_if_modified(|value| {
            change(value);
            true
        });
    }

    /// Replaces the value, and wakes all who wait.
    pub fn send_replace(&self, value: T) {
        self.send_modify(|it| *it = value);
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.changed.notify_waiters();
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), seen: self.seen }
    }
}

impl<T> Receiver<T> {
    /// The value. It does not count as seen.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.shared.state())
    }

    /// The value, which counts as seen.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let state = self.shared.state();
        self.seen = state.version;
        Ref(state)
    }

    /// Waits for a value that was not seen; it counts as seen then. May be dropped at any time.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn changed(&mut self) -> Result<(), Closed> {
        loop {
            // Before the look: what is sent between the two wakes it.
            let changed = self.shared.changed.notified();
            {
                let state = self.shared.state();
                if state.version != self.seen {
                    self.seen = state.version;
                    return Ok(());
                }
                if state.closed {
                    return Err(Closed);
                }
            }
            changed.await;
        }
    }

    /// Waits until the value is such, and gives it; it counts as seen then. May be dropped at any time.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn wait_for(
        &mut self,
        mut is_such: impl FnMut(&T) -> bool,
    ) -> Result<Ref<'_, T>, Closed> {
        while !is_such(&self.borrow_and_update()) {
            self.changed().await?;
        }
        Ok(self.borrow_and_update())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    fn paused() -> tokio::runtime::Runtime {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().expect("a runtime")
    }

    #[test]
    fn all_are_woken_in_the_order_in_which_they_began_to_wait() {
        paused().block_on(async {
            let sender = Sender::new(0);
            let woken = Arc::new(Mutex::new(Vec::new()));
            let tasks: Vec<_> = (0..100)
                .map(|number| {
                    let (mut receiver, woken) = (sender.subscribe(), woken.clone());
                    tokio::spawn(async move {
                        receiver.changed().await.expect("it changes");
                        lock(&woken).push(number);
                    })
                })
                .collect();
            // All of them wait.
            tokio::time::sleep(core::time::Duration::from_secs(1)).await;
            sender.send_replace(1);
            for task in tasks {
                task.await.expect("it ends");
            }
            assert_eq!(*lock(&woken), (0..100).collect::<Vec<_>>());
        });
    }

    #[test]
    fn the_newest_value_is_seen_once_and_the_last_one_before_the_end() {
        paused().block_on(async {
            let (sender, mut receiver) = channel(0);
            let mut late = receiver.clone();
            sender.send_replace(1);
            sender.send_modify(|value| *value += 1);
            assert_eq!(*receiver.borrow(), 2);
            assert_eq!(receiver.changed().await, Ok(()), "not seen by a look");
            sender.send_if_modified(|_| false);
            let waits =
                tokio::time::timeout(core::time::Duration::from_secs(1), receiver.changed());
            assert!(waits.await.is_err(), "there is nothing new");
            assert_eq!(*late.wait_for(|value| *value == 2).await.expect("it is"), 2);
            sender.send_replace(3);
            drop(sender);
            assert_eq!(receiver.changed().await, Ok(()));
            assert_eq!(*receiver.borrow_and_update(), 3);
            assert_eq!(receiver.changed().await, Err(Closed));
            assert_eq!(late.wait_for(|value| *value == 4).await.map(|it| *it), Err(Closed));
        });
    }
}
