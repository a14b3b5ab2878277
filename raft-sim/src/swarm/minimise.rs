//! Making a run that fails smaller.

use super::suite::{Failure, Planned, Recording};

/// The smallest run that was found to fail in the same way.
#[derive(Clone, Debug)]
pub struct Minimised {
    /// What was left out, in order.
    pub without: Vec<String>,
    /// The plan that is left.
    pub plan: String,
    /// How it fails.
    pub failure: Failure,
    /// The last lines of its trace.
    pub lines: Vec<String>,
    /// How many runs it took.
    pub tries: usize,
}

/// Greedily takes whatever smaller plan still fails by the same invariant, with so many runs at the most.
pub fn minimise<P: Planned + ?Sized>(
    suite: &P,
    mut plan: P::Plan,
    failure: &Failure,
    tries_max: usize,
) -> Minimised {
    let (mut without, mut tries) = (Vec::new(), 0);
    'smaller: loop {
        for (what, candidate) in suite.simpler(&plan) {
            if tries == tries_max {
                break 'smaller;
            }
            tries += 1;
            let outcome = suite.run(&candidate, Recording::Hash);
            if outcome.verdict.is_err_and(|other| other.by == failure.by) {
                without.push(what);
                plan = candidate;
                continue 'smaller;
            }
        }
        break;
    }
    let outcome = suite.run(&plan, Recording::Lines);
    let failure = outcome.verdict.err().unwrap_or_else(|| failure.clone());
    Minimised { without, plan: plan.to_string(), failure, lines: outcome.lines, tries }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::swarm::{Floor, Outcome, Scale, Tally};

    /// A plan is a set of numbers, and fails when 3 and 7 are in it.
    struct Numbers;

    #[derive(Clone)]
    struct Set(Vec<u32>);

    impl std::fmt::Display for Set {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{:?}", self.0)
        }
    }

    impl Planned for Numbers {
        type Plan = Set;

        fn name(&self) -> &'static str {
            "numbers"
        }

        fn draw(&self, _: u64, _: Scale) -> Set {
            Set((0..10).collect())
        }

        fn run(&self, plan: &Set, _: Recording) -> Outcome {
            let fails = |by: &str| Err(Failure::new(by, "it does"));
            let verdict = match (plan.0.contains(&3) && plan.0.contains(&7), plan.0.contains(&0)) {
                (true, _) => fails("three-and-seven"),
                (false, true) => Ok(()),
                (false, false) => fails("another"),
            };
            let (faults, coverage) = (Tally::default(), Tally::default());
            let (simulated, lines) = (Duration::ZERO, Vec::new());
            Outcome { seed: 0, simulated, hash: 0, events: 0, faults, coverage, verdict, lines }
        }

        fn simpler(&self, plan: &Set) -> Vec<(String, Set)> {
            let without = |number: &u32| {
                let rest = plan.0.iter().copied().filter(|other| other != number).collect();
                (format!("without {number}"), Set(rest))
            };
            plan.0.iter().map(without).collect()
        }

        fn floors(&self) -> Vec<Floor> {
            Vec::new()
        }

        fn calm(&self) -> Set {
            Set(vec![0])
        }
    }

    #[test]
    fn what_does_not_matter_is_left_out() {
        let failure = Failure::new("three-and-seven", "");
        let minimised = minimise(&Numbers, Numbers.draw(0, Scale::Short), &failure, 1000);
        assert_eq!(minimised.plan, "[3, 7]");
        assert_eq!(
            (minimised.failure.by.as_str(), minimised.without.len()),
            ("three-and-seven", 8)
        );
    }

    #[test]
    fn tries_are_bounded() {
        let failure = Failure::new("three-and-seven", "");
        let minimised = minimise(&Numbers, Numbers.draw(0, Scale::Short), &failure, 4);
        assert_eq!((minimised.tries, minimised.without.len()), (4, 3));
    }
}
