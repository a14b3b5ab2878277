//! A few runs of a suite in which one thing alone goes wrong.

use raft_sim::swarm::{Outcome, Planned, Recording, Scale, Tally};

/// What happens in five seeds whose plan is such once `keep` has taken from it what is not to go wrong.
pub(crate) fn alone<S: Planned>(suite: S, keep: impl Fn(&mut S::Plan) -> bool) -> Tally {
    let mut seen = Tally::default();
    let plans = (1..).map(|seed| (seed, suite.draw(seed, Scale::Short)));
    let kept = plans.filter_map(|(seed, mut plan)| keep(&mut plan).then_some((seed, plan)));
    for (seed, plan) in kept.take(5) {
        let Outcome { faults, coverage, verdict, .. } = suite.run(&plan, Recording::Hash);
        verdict.unwrap_or_else(|failure| panic!("seed {seed} {failure}\n{plan}"));
        seen += &faults;
        seen += &coverage;
    }
    seen
}

#[track_caller]
pub(crate) fn happened(seen: &Tally, what: &[&str]) {
    for what in what {
        assert!(seen.count(what) > 0, "{what}: {seen}");
    }
}

#[track_caller]
pub(crate) fn did_not_happen(seen: &Tally, what: &[&str]) {
    for what in what {
        assert_eq!(seen.count(what), 0, "{what}: {seen}");
    }
}
