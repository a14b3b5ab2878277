//! Requests that wait for a shard: it is frozen where it was, and will be here soon.

use kv::rpc::Replicated;
use shardctrler::ShardId;
use tokio::select;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

use super::Shared;
use crate::store::ShardStore;
use crate::wire::Fault;

/// The bound on requests that wait.
pub(super) struct Parking(Semaphore);

impl Parking {
    pub(super) fn new(max: usize) -> Self {
        Self(Semaphore::new(max.min(Semaphore::MAX_PERMITS)))
    }
}

impl<R: Replicated<ShardStore>> Shared<R> {
    /// Waits, not long and not beyond `deadline`, until the shard is served, if it is about to be.
    ///
    /// # Errors
    ///
    /// Where it is served instead, as far as is known.
    pub(super) async fn gate(&self, shard: ShardId, deadline: Instant) -> Result<(), Fault> {
        let mut news = self.replica.peek(|_, store| store.news());
        let mut place = None;
        let until = deadline.min(Instant::now() + self.config.park_max);
        loop {
            let (serving, number) =
                self.replica.peek(|_, store| (store.serving(shard).map(drop), store.number()));
            let Err(elsewhere) = serving else { return Ok(()) };
            let awaited = self.local().awaited.get(&shard) == Some(&number);
            let awaited = awaited && self.replica.peek(|_, store| store.awaits(shard, number));
            if !awaited || Instant::now() >= until {
                return Err(Fault::WrongGroup(elsewhere));
            }
            if place.is_none() {
                let free = self.parking.0.try_acquire();
                place = Some(free.map_err(|_| Fault::WrongGroup(elsewhere))?);
            }
            select! {
                biased;
                changed = news.changed() => changed.map_err(|_| Fault::Stopped)?,
                () = sleep_until(until) => {}
            }
        }
    }
}
