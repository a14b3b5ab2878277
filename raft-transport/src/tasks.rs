//! The tasks of a transport: none outlives it.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::task::JoinSet;

pub(crate) struct Tasks {
    /// `None` once stopped.
    running: Mutex<Option<JoinSet<()>>>,
    runtime: Handle,
}

/// No task begins any more.
#[derive(Debug)]
pub(crate) struct Stopped;

impl Tasks {
    /// Tasks of the current runtime.
    pub(crate) fn new() -> Self {
        Self { running: Mutex::new(Some(JoinSet::new())), runtime: Handle::current() }
    }

    /// Runs a task, unless stopped.
    pub(crate) fn spawn(
        &self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Stopped> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let set = running.as_mut().ok_or(Stopped)?;
        // Those that ended give their memory back here.
        while set.try_join_next().is_some() {}
        set.spawn_on(task, &self.runtime);
        Ok(())
    }

    /// Ends all tasks and waits until they have ended; from now on none begins.
    pub(crate) async fn stop(&self) {
        if let Some(mut set) = self.take() {
            set.shutdown().await;
        }
    }

    /// Ends all tasks without waiting.
    pub(crate) fn abort(&self) {
        drop(self.take());
    }

    fn take(&self) -> Option<JoinSet<()>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
