//! A suite: one thing measured on both sides, at several points.

use std::path::PathBuf;
use std::time::Duration;

use crate::bar::Bar;
use crate::sample::Measured;

/// How long and how often to measure.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// A smoke run: short and seldom, and never to be quoted.
    pub(crate) quick: bool,
    /// How long a point is measured.
    pub(crate) measure: Duration,
    /// How long a point is loaded before.
    pub(crate) warm: Duration,
    /// Where data goes; on a real disk, and this run's own.
    pub(crate) dir: PathBuf,
}

impl Plan {
    /// The plan for a smoke run, or for a measurement.
    pub(crate) fn new(quick: bool, dir: PathBuf) -> Self {
        let (measure, warm) = if quick { (400, 100) } else { (3000, 700) };
        let millis = Duration::from_millis;
        Self { quick, measure: millis(measure), warm: millis(warm), dir }
    }
}

/// Which side of a suite.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Side {
    /// This project.
    Ours,
    /// What it is compared with.
    Peer,
}

/// One thing measured on both sides. Each side runs in a process of its own, so that neither inherits the
/// other's heap or threads.
pub(crate) trait Suite {
    /// A word: the name of the suite, and how the names of its bars begin.
    fn name(&self) -> &'static str;

    /// What is measured, in a sentence.
    fn about(&self) -> &'static str;

    /// What stands on the other side, if anything does.
    fn peer_name(&self) -> Option<&'static str>;

    /// What is asked of it.
    fn bars(&self) -> Vec<Bar>;

    /// How many pairs a measurement takes; at least five.
    fn pairs(&self) -> usize {
        5
    }

    /// Whether it says something about the disk: then no processor sleeps meanwhile, see [`crate::awake`].
    fn waits_for_the_disk(&self) -> bool {
        false
    }

    /// Measures this project at every point.
    fn ours(&self, plan: &Plan) -> Measured;

    /// Measures the peer at every point.
    fn peer(&self, plan: &Plan) -> Measured;
}
