//! Watches: clients that wait for the next configuration.
//!
//! What a node has applied never changes, so any node tells a client at once what comes next, if it knows
//! that. Only a leader lets clients wait: it is the first to know, and it sends them away as soon as it
//! leads no more. It makes sure with a ReadIndex that it has seen everything before they wait, so that a
//! leader that was cut off without knowing it holds nobody.

use std::time::Duration;

use bytes::Bytes;
use kv::rpc::Replicated;
use raft_core::Role;
use tokio::select;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

use super::{Shared, configuration};
use crate::config::ConfigNumber;
use crate::controller::Controller;
use crate::wire::{self, Answer, Fault};

/// The bound on clients that wait.
pub(super) struct Watchers {
    places: Semaphore,
    max: usize,
}

impl Watchers {
    pub(super) fn new(max: usize) -> Self {
        let max = max.min(Semaphore::MAX_PERMITS);
        Self { places: Semaphore::new(max), max }
    }

    pub(super) fn waiting(&self) -> usize {
        self.max.saturating_sub(self.places.available_permits())
    }
}

impl<R: Replicated<Controller>> Shared<R> {
    /// The configuration after `number`, as soon as there is one, but not longer than `wait`.
    pub(super) async fn watch(
        &self,
        number: ConfigNumber,
        wait: Duration,
        deadline: Duration,
    ) -> Result<Bytes, Fault> {
        let until = Instant::now() + wait;
        let next = ConfigNumber(number.0.saturating_add(1));
        let look = move |controller: &Controller| controller.encoded(next);
        let told = |encoded: &Bytes| configuration(encoded);
        if let Some(found) = self.replica.peek(|_, it| look(it)).map_err(Fault::Refused)? {
            return Ok(told(&found));
        }
        let _place = self.watchers.places.try_acquire().map_err(|_| Fault::Overloaded)?;
        let mut role = self.replica.changes();
        // Subscribed under the same lock as it is looked: nothing is missed in between.
        let both = move |controller: &Controller| (look(controller), controller.news());
        let (found, mut news) = self.look(both, deadline).await?;
        if let Some(found) = found.map_err(Fault::Refused)? {
            return Ok(told(&found));
        }
        loop {
            let now = *role.borrow_and_update();
            if now.role != Role::Leader {
                return Err(Fault::NotLeader(self.directory.hint(now.leader)));
            }
            select! {
                biased;
                Ok(()) = news.changed() => {}
                changed = role.changed() => changed.map_err(|_| Fault::Stopped)?,
                () = sleep_until(until) => return Ok(wire::reply(&Answer::Unchanged).into()),
            }
            if let Some(found) = self.replica.peek(|_, it| look(it)).map_err(Fault::Refused)? {
                return Ok(told(&found));
            }
        }
    }
}
