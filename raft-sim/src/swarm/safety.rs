//! The safety phase: everything goes wrong that the plan has, and nothing breaks.

use std::time::Duration;

use super::faults::{Faults, Nemeses, Scene};
use super::nodes::Nodes;
use super::suite::Failure;
use super::tally::Tally;
use super::ward::Ward;

/// How often the load is asked for more, and what must hold is looked at, at the least.
const STEP: Duration = Duration::from_millis(20);
/// More events than any run has that comes to an end.
const EVENTS_MAX: u64 = 50_000_000;

/// Nothing that must hold was broken, and the run is not endless.
///
/// # Errors
/// What was.
pub fn check<C: Nodes>(cluster: &mut C) -> Result<(), Failure> {
    cluster.watch().verdict()?;
    let events = cluster.sim().trace().events();
    if events > EVENTS_MAX {
        let what = format!("{events} events by {:?}", cluster.sim().now());
        return Err(Failure::new("bounded-events", what));
    }
    Ok(())
}

/// Runs a cluster for `length` under `faults`; `load` is called every 20 ms or more often, with the time. All
/// faults have ended when it returns, but for nodes that are down, which the ward has.
///
/// # Errors
/// The first thing that is wrong.
pub fn safety<C: Nodes>(
    cluster: &mut C,
    faults: &Faults,
    seed: u64,
    length: Duration,
    tally: &mut Tally,
    load: impl FnMut(&mut C, Duration),
) -> Result<Ward, Failure> {
    safety_with(cluster, Nemeses::new(faults, seed), seed, length, tally, load)
}

/// The same, with these at work.
pub(crate) fn safety_with<C: Nodes>(
    cluster: &mut C,
    mut nemeses: Nemeses<C>,
    seed: u64,
    length: Duration,
    tally: &mut Tally,
    mut load: impl FnMut(&mut C, Duration),
) -> Result<Ward, Failure> {
    let mut ward = Ward::new(seed);
    let end = cluster.sim().now() + length;
    loop {
        let now = cluster.sim().now();
        if now >= end {
            break;
        }
        nemeses.act(&mut Scene { cluster, ward: &mut ward, tally });
        ward.visit(cluster, tally)?;
        load(cluster, now);
        let next = [nemeses.next(), ward.next()].into_iter().flatten().fold(end, Duration::min);
        let step = next.saturating_sub(now).clamp(Duration::from_millis(1), STEP);
        cluster.sim().run_for(step);
        check(cluster)?;
    }
    nemeses.stop(&mut Scene { cluster, ward: &mut ward, tally });
    ward.visit(cluster, tally)?;
    check(cluster)?;
    Ok(ward)
}
