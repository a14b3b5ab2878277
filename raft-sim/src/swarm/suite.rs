//! [`Suite`]: a kind of run that a seed stands for.

use std::fmt;
use std::time::Duration;

use super::minimise::{Minimised, minimise};
use super::nodes::Nodes;
use super::tally::Tally;
use crate::watch::Violation;

/// How long runs are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scale {
    /// For many seeds.
    Short,
    /// For hours.
    Long,
}

/// Whether a run keeps the lines of its trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recording {
    /// Only the hash.
    Hash,
    /// The last lines as well.
    Lines,
}

/// What is wrong with a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The invariant, or whatever else did not hold, in kebab-case.
    pub by: String,
    /// In a sentence.
    pub what: String,
}

impl Failure {
    /// By this name, with this to say.
    pub fn new(by: &str, what: impl Into<String>) -> Self {
        Self { by: by.to_owned(), what: what.into() }
    }
}

impl From<Violation> for Failure {
    fn from(violation: Violation) -> Self {
        let Violation { invariant, group, node, what } = violation;
        Self { by: invariant, what: format!("{what} (seen at {node:?} in {group:?})") }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "by={}: {}", self.by, self.what)
    }
}

/// What became of a seed.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// How much time passed in the simulated world.
    pub simulated: Duration,
    /// The hash of its trace.
    pub hash: u64,
    /// How many events the trace had.
    pub events: u64,
    /// What was done to it.
    pub faults: Tally,
    /// What happened in it.
    pub coverage: Tally,
    /// Whether everything held.
    pub verdict: Result<(), Failure>,
    /// The last lines of the trace, if they were kept.
    pub lines: Vec<String>,
}

impl Outcome {
    /// What a run comes to, with the faults that were counted while it ran; those that links and
    /// disks count themselves are added.
    pub fn of<C: Nodes>(
        seed: u64,
        cluster: &mut C,
        mut faults: Tally,
        verdict: Result<(), Failure>,
    ) -> Self {
        let traffic = cluster.net().traffic().total();
        faults.add("messages lost", traffic.lost);
        faults.add("messages doubled", traffic.doubled);
        faults.add("messages on detours", traffic.detours);
        for at in 0..cluster.len() {
            let losses = cluster.disk(at).losses();
            faults.add("torn writes", losses.torn_writes);
            faults.add("sectors lost", losses.sectors);
            faults.add("names lost", losses.names);
        }
        let mut coverage = Tally::default();
        for (what, count) in cluster.coverage().named() {
            coverage.add(what, count);
        }
        let (simulated, trace) = (cluster.sim().now(), cluster.sim().trace().clone());
        let (hash, events, lines) = (trace.hash(), trace.events(), trace.lines());
        Self { seed, simulated, hash, events, faults, coverage, verdict, lines }
    }
}

/// What must have happened so often in a campaign.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Floor {
    /// The name of a fault, or of something that is covered.
    pub what: &'static str,
    /// In a thousand seeds.
    pub per_thousand: u64,
}

impl Floor {
    /// Floors from a table of what, and how often in a thousand seeds.
    pub(crate) fn table(rows: &[(&'static str, u64)]) -> Vec<Self> {
        rows.iter().map(|(what, per_thousand)| Self { what, per_thousand: *per_thousand }).collect()
    }
}

/// A kind of run. Everything in one comes from its seed.
pub trait Suite: Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Runs a seed.
    fn run(&self, seed: u64, scale: Scale, recording: Recording) -> Outcome;

    /// Looks for the smallest run that fails as this seed does, with so many tries at the most.
    fn minimise(&self, seed: u64, scale: Scale, failure: &Failure, tries: usize) -> Minimised;

    /// What a campaign must cover.
    fn floors(&self) -> Vec<Floor>;

    /// A run under load and without faults, to tell the speed by.
    fn calm(&self) -> Outcome;
}

/// A suite whose runs are plans. Implement this one; [`Suite`] comes with it.
pub trait Planned: Sync {
    /// Everything that is drawn. Displayed in several lines, for whoever reads a failure.
    type Plan: Clone + fmt::Display;

    /// Its name.
    fn name(&self) -> &'static str;

    /// The plan of a seed.
    fn draw(&self, seed: u64, scale: Scale) -> Self::Plan;

    /// Carries a plan out. Equal plans make equal outcomes.
    fn run(&self, plan: &Self::Plan, recording: Recording) -> Outcome;

    /// Plans that are a little smaller, with what is smaller; the most promising first.
    fn simpler(&self, plan: &Self::Plan) -> Vec<(String, Self::Plan)>;

    /// What a campaign must cover.
    fn floors(&self) -> Vec<Floor>;

    /// A plan without faults and with load: three nodes for a minute.
    fn calm(&self) -> Self::Plan;
}

impl<P: Planned> Suite for P {
    fn name(&self) -> &'static str {
        Planned::name(self)
    }

    fn run(&self, seed: u64, scale: Scale, recording: Recording) -> Outcome {
        Planned::run(self, &self.draw(seed, scale), recording)
    }

    fn minimise(&self, seed: u64, scale: Scale, failure: &Failure, tries: usize) -> Minimised {
        minimise(self, self.draw(seed, scale), failure, tries)
    }

    fn floors(&self) -> Vec<Floor> {
        Planned::floors(self)
    }

    fn calm(&self) -> Outcome {
        Planned::run(self, &Planned::calm(self), Recording::Hash)
    }
}
