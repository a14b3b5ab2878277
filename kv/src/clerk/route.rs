//! [`Route`]: whom to ask next, and after what pause.

use std::sync::Arc;
use std::time::Duration;

use raft_core::Address;

use super::config::CallsConfig;
use crate::fault::Hint;

/// The endpoint that all calls of a clerk use: the leader, as far as is known.
pub(super) struct Route {
    endpoints: Vec<Arc<Address>>,
    /// Which endpoint was tried last, when the hints fail.
    position: usize,
    target: Option<Arc<Address>>,
    rng: fastrand::Rng,
}

impl Route {
    pub(super) fn new(endpoints: impl IntoIterator<Item = Address>, seed: u64) -> Self {
        let endpoints: Vec<_> = endpoints.into_iter().map(Arc::new).collect();
        let target = endpoints.first().cloned();
        Self { endpoints, position: 0, target, rng: fastrand::Rng::with_seed(seed) }
    }

    /// The endpoints are others from now on. Says whether the one to ask is another.
    pub(super) fn replace(&mut self, endpoints: Vec<Address>) -> bool {
        let is_known = |target: &Arc<Address>| endpoints.contains(target);
        let stays = self.target.as_ref().is_some_and(is_known);
        self.endpoints = endpoints.into_iter().map(Arc::new).collect();
        if !stays {
            self.position = 0;
            self.target = self.endpoints.first().cloned();
        }
        !stays
    }

    pub(super) fn target(&self) -> Option<Arc<Address>> {
        self.target.clone()
    }

    /// `failed` is not the one to ask: the next endpoint is, unless another call has found that already.
    pub(super) fn rotate(&mut self, failed: &Address) {
        if self.target.as_deref() != Some(failed) {
            return;
        }
        self.position = (self.position + 1) % self.endpoints.len().max(1);
        self.target = self.endpoints.get(self.position).cloned();
    }

    /// `from` says who leads. Returns whether that is news worth following.
    pub(super) fn follow(&mut self, from: &Address, hint: Option<Hint>) -> bool {
        let address = hint.and_then(|hint| hint.address).map(Address);
        match address.filter(|address| address != from) {
            Some(address) => {
                if self.target.as_deref() != Some(&address) {
                    let known = self.endpoints.iter().find(|known| ***known == address);
                    self.target = Some(known.cloned().unwrap_or_else(|| Arc::new(address)));
                }
                true
            }
            None => {
                self.rotate(from);
                false
            }
        }
    }

    /// The pause after the `failures`-th failure in a row: doubled each time, with half of it at random.
    pub(super) fn pause(&mut self, config: &CallsConfig, failures: u32) -> Duration {
        let doubled = config.backoff_min.saturating_mul(1 << failures.min(16));
        let pause = doubled.min(config.backoff_max);
        pause.mul_f64(0.5 + self.rng.f64() / 2.0)
    }
}
