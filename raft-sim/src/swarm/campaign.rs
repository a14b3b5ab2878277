//! [`Campaign`]: many seeds of a suite, on several threads, and what they come to.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::suite::{Floor, Outcome, Recording, Scale, Suite};
use super::tally::Tally;

/// Which seeds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seeds {
    /// The first.
    pub from: u64,
    /// How many; `None`: until it is stopped.
    pub count: Option<u64>,
}

/// What is to be run.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Which seeds.
    pub seeds: Seeds,
    /// How long each is.
    pub scale: Scale,
    /// On how many threads. Outcomes do not depend on it.
    pub threads: usize,
}

/// What many seeds come to.
#[derive(Clone, Default, Debug)]
pub struct Totals {
    /// How many seeds were run.
    pub seeds: u64,
    /// How much time passed in their worlds.
    pub simulated: Duration,
    /// What was done.
    pub faults: Tally,
    /// What happened.
    pub coverage: Tally,
    /// Those that failed.
    pub failed: Vec<Outcome>,
    /// The hash of each seed's trace.
    pub hashes: BTreeMap<u64, u64>,
}

/// Fewer seeds than this need not cover everything.
const FLOORS_FROM: u64 = 200;

impl Totals {
    fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.simulated += outcome.simulated;
        self.faults += &outcome.faults;
        self.coverage += &outcome.coverage;
        self.hashes.insert(outcome.seed, outcome.hash);
        if outcome.verdict.is_err() {
            self.failed.push(outcome.clone());
        }
    }

    /// What has happened too seldom, with how often it has and should have. Nothing is too seldom in a small
    /// campaign.
    pub fn below(&self, floors: &[Floor]) -> Vec<(&'static str, u64, u64)> {
        if self.seeds < FLOORS_FROM {
            return Vec::new();
        }
        let counted = floors.iter().map(|floor| {
            let count = self.faults.count(floor.what) + self.coverage.count(floor.what);
            (floor.what, count, floor.per_thousand * self.seeds / 1000)
        });
        counted.filter(|(_, count, least)| count < least).collect()
    }
}

/// Many seeds of a suite.
pub struct Campaign<'a> {
    suite: &'a dyn Suite,
    order: Order,
}

impl<'a> Campaign<'a> {
    /// Of this suite.
    pub fn new(suite: &'a dyn Suite, order: Order) -> Self {
        Self { suite, order }
    }

    /// Runs them. `begun` is told of each seed before it runs; `ended` of each outcome, one at a time and in
    /// no order, and may end the campaign.
    pub fn run(
        &self,
        begun: impl Fn(u64) + Sync,
        ended: impl FnMut(&Outcome) -> ControlFlow<()> + Send,
    ) -> Totals {
        let (next, stopping) = (AtomicU64::new(0), AtomicBool::new(false));
        let shared = Mutex::new((Totals::default(), ended));
        let work = || {
            while !stopping.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if self.order.seeds.count.is_some_and(|count| number >= count) {
                    return;
                }
                let seed = self.order.seeds.from + number;
                begun(seed);
                let outcome = self.suite.run(seed, self.order.scale, Recording::Hash);
                let (totals, ended) = &mut *shared.lock().unwrap_or_else(PoisonError::into_inner);
                totals.add(&outcome);
                if ended(&outcome).is_break() {
                    stopping.store(true, Ordering::Relaxed);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.order.threads.max(1) {
                scope.spawn(work);
            }
        });
        let (mut totals, _) = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
        totals.failed.sort_by_key(|outcome| outcome.seed);
        totals
    }
}
