//! The safety phase: everything goes wrong that the plan has, and nothing breaks.

use std::time::Duration;

use raft_core::StateMachine;

use super::faults::{Faults, Nemeses, Scene};
use super::suite::Failure;
use super::tally::Tally;
use super::ward::Ward;
use crate::cluster::Cluster;

/// How often the load is asked for more, and what must hold is looked at, at the least.
const STEP: Duration = Duration::from_millis(20);
/// More events than any run has that comes to an end.
const EVENTS_MAX: u64 = 50_000_000;

/// Nothing that must hold was broken, and the run is not endless.
///
/// # Errors
/// What was.
pub fn check<S: StateMachine>(cluster: &mut Cluster<S>) -> Result<(), Failure> {
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
pub fn safety<S: StateMachine>(
    cluster: &mut Cluster<S>,
    faults: &Faults,
    seed: u64,
    length: Duration,
    tally: &mut Tally,
    mut load: impl FnMut(&mut Cluster<S>, Duration),
) -> Result<Ward, Failure> {
    let (mut nemeses, mut ward) = (Nemeses::new(faults, seed), Ward::new(seed));
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
        cluster.run_for(step);
        check(cluster)?;
    }
    nemeses.stop(&mut Scene { cluster, ward: &mut ward, tally });
    ward.visit(cluster, tally)?;
    check(cluster)?;
    Ok(ward)
}
