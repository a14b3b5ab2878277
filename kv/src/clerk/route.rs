//! [`Route`]: whom to ask next, and after what pause.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use raft_core::Address;

use super::config::CallsConfig;
use crate::fault::Hint;

/// The most nodes that are remembered besides the endpoints.
const HEARD_MAX: usize = 8;

/// The endpoint that all calls of a clerk use: the leader, as far as is known.
pub(super) struct Route {
    endpoints: Vec<Arc<Address>>,
    /// Other nodes that were said to lead, the newest last: the group may have other members by now.
    heard: VecDeque<Arc<Address>>,
    /// Which of all these was tried last, when the hints fail.
    position: usize,
    target: Option<Arc<Address>>,
    rng: fastrand::Rng,
}

impl Route {
    pub(super) fn new(endpoints: impl IntoIterator<Item = Address>, seed: u64) -> Self {
        let endpoints: Vec<_> = endpoints.into_iter().map(Arc::new).collect();
        let target = endpoints.first().cloned();
        Self {
            endpoints,
            heard: VecDeque::new(),
            position: 0,
            target,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    /// The endpoints are others from now on. Says whether the one to ask is another.
    pub(super) fn replace(&mut self, endpoints: Vec<Address>) -> bool {
        let is_known = |target: &Arc<Address>| endpoints.contains(target);
        let stays = self.target.as_ref().is_some_and(is_known);
        self.endpoints = endpoints.into_iter().map(Arc::new).collect();
        self.heard.clear();
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
        let all = self.endpoints.len() + self.heard.len();
        self.position = (self.position + 1) % all.max(1);
        let next = self.known().nth(self.position).cloned();
        self.target = next;
    }

    /// All nodes to try.
    fn known(&self) -> impl Iterator<Item = &Arc<Address>> {
        self.endpoints.iter().chain(&self.heard)
    }

    /// The address as it is known; it is from now on.
    fn hear(&mut self, address: Address) -> Arc<Address> {
        if let Some(known) = self.known().find(|known| ***known == address) {
            return Arc::clone(known);
        }
        if self.heard.len() == HEARD_MAX {
            self.heard.pop_front();
        }
        let address = Arc::new(address);
        self.heard.push_back(Arc::clone(&address));
        address
    }

    /// `from` says who leads. Returns whether that is news worth following.
    pub(super) fn follow(&mut self, from: &Address, hint: Option<Hint>) -> bool {
        let address = hint.and_then(|hint| hint.address).map(Address);
        match address.filter(|address| address != from) {
            Some(address) => {
                if self.target.as_deref() != Some(&address) {
                    self.target = Some(self.hear(address));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(at: &str) -> Option<Hint> {
        Some(Hint { node: 1, address: Some(at.to_owned()) })
    }

    #[test]
    fn who_was_said_to_lead_is_tried_too_and_few_are_remembered() {
        let mut route = Route::new([Address::from("a")], 1);
        assert!(route.follow(&Address::from("a"), hint("b")));
        // Both are tried in turn, when neither knows better.
        let mut tried = Vec::new();
        for _ in 0..4 {
            let target = route.target().expect("one");
            route.rotate(&target);
            tried.push(target.0.clone());
        }
        assert!(tried.contains(&"a".to_owned()) && tried.contains(&"b".to_owned()), "{tried:?}");
        for number in 0..2 * HEARD_MAX {
            let from = route.target().expect("one");
            route.follow(&from, hint(&format!("c{number}")));
        }
        assert_eq!(route.known().count(), 1 + HEARD_MAX);
        route.replace(vec![Address::from("d")]);
        assert_eq!(route.known().count(), 1);
    }
}
