//! The tasks beside the loop: appliers, and those that read and write snapshots.
//!
//! The node and its loop share them, so that dropping the node ends all of them at that very moment:
//! none is polled once more.

use core::future::Future;
use core::mem;

use tokio::task::JoinSet;

use super::lock::{Mutex, lock};

/// The tasks.
pub(super) struct Tasks(Mutex<State>);

enum State {
    Running(JoinSet<()>),
    Ended,
}

impl Tasks {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State::Running(JoinSet::new())))
    }

    /// Starts a task, unless they have ended.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let State::Running(tasks) = &mut *lock(&self.0) {
            tasks.spawn(task);
        }
    }

    /// Forgets the tasks that have ended; whether one of them panicked.
    pub(super) fn reap(&self) -> Result<(), Panicked> {
        let State::Running(tasks) = &mut *lock(&self.0) else { return Ok(()) };
        while let Some(ended) = tasks.try_join_next() {
            ended.or_else(|error| if error.is_panic() { Err(Panicked) } else { Ok(()) })?;
        }
        Ok(())
    }

    /// Ends all of them, now.
    pub(super) fn abort(&self) {
        drop(self.end());
    }

    /// Ends all of them and waits until they are gone.
    pub(super) async fn shutdown(&self) {
        let state = self.end();
        if let State::Running(mut tasks) = state {
            tasks.shutdown().await;
        }
    }

    fn end(&self) -> State {
        mem::replace(&mut *lock(&self.0), State::Ended)
    }
}

/// A task panicked.
pub(super) struct Panicked;
