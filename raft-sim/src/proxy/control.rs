//! How a proxy is told what to do while it runs.

use std::sync::Arc;

use tokio::sync::watch;

use super::counters::{Counters, Tally};
use super::rules::Way;

/// The switches of a proxy whose rules are `R`. Clones are the same.
#[derive(Debug)]
pub struct Control<R> {
    shared: Arc<Shared<R>>,
}

#[derive(Debug)]
struct Shared<R> {
    tally: Tally,
    to_target: watch::Sender<State<R>>,
    from_target: watch::Sender<State<R>>,
}

/// What holds for a way.
#[derive(Clone, Default, Debug)]
pub(super) struct State<R> {
    pub(super) gate: Gate,
    pub(super) rules: R,
}

/// Whether a way passes anything.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) enum Gate {
    #[default]
    Open,
    Cut,
}

impl<R> Clone for Control<R> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<R: Default> Control<R> {
    /// Everything passes as it is.
    pub(super) fn new() -> Self {
        let state = || watch::Sender::new(State::default());
        let shared = Shared { tally: Tally::default(), to_target: state(), from_target: state() };
        Self { shared: Arc::new(shared) }
    }
}

impl<R> Control<R> {
    /// From now on these are the rules of a way.
    pub fn set(&self, way: Way, rules: impl Into<R>) {
        let rules = rules.into();
        self.sender(way).send_modify(|state| state.rules = rules);
    }

    /// A way passes nothing any more, and nobody is told.
    pub fn cut(&self, way: Way) {
        self.sender(way).send_modify(|state| state.gate = Gate::Cut);
    }

    /// A way that was cut passes again what its rules let pass.
    pub fn heal(&self, way: Way) {
        self.sender(way).send_modify(|state| state.gate = Gate::Open);
    }

    /// What the proxy did so far.
    pub fn counters(&self) -> Counters {
        self.shared.tally.snapshot()
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.shared.tally
    }

    pub(super) fn state(&self, way: Way) -> watch::Receiver<State<R>> {
        self.sender(way).subscribe()
    }

    fn sender(&self, way: Way) -> &watch::Sender<State<R>> {
        match way {
            Way::ToTarget => &self.shared.to_target,
            Way::FromTarget => &self.shared.from_target,
        }
    }
}
