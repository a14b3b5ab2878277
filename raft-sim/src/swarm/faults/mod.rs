//! What goes wrong, by class. A class is drawn as a plan, a few numbers; and carried out by a nemesis, which
//! decides what happens when. Each draws from a seed of its own, so that switching one off leaves the
//! decisions of the others as they are.

mod clocks;
mod crashes;
mod disk_errors;
mod filters;
mod links;
mod outages;
mod partitions;
mod pauses;
mod slow_disks;

use std::fmt;
use std::time::Duration;

pub use self::clocks::Clocks;
pub use self::crashes::Crashes;
pub use self::disk_errors::DiskErrors;
pub use self::filters::Filters;
pub use self::links::Links;
pub use self::outages::Outages;
pub use self::partitions::{Partitions, Shape};
pub use self::pauses::Pauses;
pub use self::slow_disks::SlowDisks;

use super::absence::Minority;
use super::dice::Dice;
use super::nodes::Nodes;
use super::tally::Tally;
use super::ward::Ward;

/// Which faults there are; `None` is a class that is off.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Faults {
    pub links: Option<Links>,
    pub filters: Option<Filters>,
    pub partitions: Option<Partitions>,
    pub crashes: Option<Crashes>,
    pub outages: Option<Outages>,
    pub pauses: Option<Pauses>,
    pub clocks: Option<Clocks>,
    pub slow_disks: Option<SlowDisks>,
    pub disk_errors: Option<DiskErrors>,
    pub minority: Option<Minority>,
}

impl Faults {
    /// Each class is off with a probability of one third; a minority that takes no part afterwards, of two thirds.
    pub fn draw(seed: u64) -> Self {
        fn on<P>(seed: u64, class: &str, plan: impl FnOnce(&mut Dice) -> P) -> Option<P> {
            let mut dice = Dice::new(seed, class);
            (dice.between(1, 3) > 1).then(|| plan(&mut dice))
        }
        let mut dice = Dice::new(seed, "minority");
        let minority = dice.percent(33).then(|| Minority::draw(&mut dice));
        Self {
            minority,
            links: on(seed, "links", Links::draw),
            filters: on(seed, "filters", Filters::draw),
            partitions: on(seed, "partitions", Partitions::draw),
            crashes: on(seed, "crashes", Crashes::draw),
            outages: on(seed, "outages", Outages::draw),
            pauses: on(seed, "pauses", Pauses::draw),
            clocks: on(seed, "clocks", Clocks::draw),
            slow_disks: on(seed, "slow disks", SlowDisks::draw),
            disk_errors: on(seed, "disk errors", DiskErrors::draw),
        }
    }

    /// The same with one class less, each in turn.
    pub fn simpler(&self) -> Vec<(&'static str, Self)> {
        type Switch = fn(&mut Faults) -> bool;
        let classes: [(&str, Switch); 10] = [
            ("with everybody", |f| f.minority.take().is_some()),
            ("without disk errors", |f| f.disk_errors.take().is_some()),
            ("without slow disks", |f| f.slow_disks.take().is_some()),
            ("without clocks that drift", |f| f.clocks.take().is_some()),
            ("without pauses", |f| f.pauses.take().is_some()),
            ("without outages", |f| f.outages.take().is_some()),
            ("without crashes", |f| f.crashes.take().is_some()),
            ("without filters", |f| f.filters.take().is_some()),
            ("without bad links", |f| f.links.take().is_some()),
            ("without partitions", |f| f.partitions.take().is_some()),
        ];
        let without = classes.into_iter().map(|(what, switch)| {
            let mut faults = self.clone();
            (switch(&mut faults), what, faults)
        });
        without.filter(|(was_on, ..)| *was_on).map(|(_, what, faults)| (what, faults)).collect()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plans: [Option<&dyn fmt::Debug>; 10] = [
            self.links.as_ref().map(|plan| plan as _),
            self.filters.as_ref().map(|plan| plan as _),
            self.partitions.as_ref().map(|plan| plan as _),
            self.crashes.as_ref().map(|plan| plan as _),
            self.outages.as_ref().map(|plan| plan as _),
            self.pauses.as_ref().map(|plan| plan as _),
            self.clocks.as_ref().map(|plan| plan as _),
            self.slow_disks.as_ref().map(|plan| plan as _),
            self.disk_errors.as_ref().map(|plan| plan as _),
            self.minority.as_ref().map(|plan| plan as _),
        ];
        let mut found = plans.into_iter().flatten().peekable();
        if found.peek().is_none() {
            return f.write_str("  no faults");
        }
        for (at, plan) in found.enumerate() {
            let line = if at == 0 { "" } else { "\n" };
            write!(f, "{line}  {plan:?}")?;
        }
        Ok(())
    }
}

/// What a nemesis acts on.
pub struct Scene<'a, C: Nodes> {
    /// The nodes.
    pub cluster: &'a mut C,
    /// Those that are down.
    pub ward: &'a mut Ward,
    /// What was done.
    pub tally: &'a mut Tally,
}

impl<C: Nodes> Scene<'_, C> {
    pub(crate) fn now(&mut self) -> Duration {
        self.cluster.sim().now()
    }

    /// Counts it, and puts it into the trace.
    pub(crate) fn note(&mut self, what: &'static str, at: Option<usize>) {
        note(self.cluster, self.tally, what, at);
    }

    /// Any node; one that leads in half of the cases.
    fn victim(&self, dice: &mut Dice) -> usize {
        let leading = self.cluster.leading();
        match leading.len() {
            0 => dice.index(self.cluster.len()),
            _ if !dice.percent(50) => dice.index(self.cluster.len()),
            1 => leading[0],
            _ => dice.pick(&leading),
        }
    }
}

/// Counts what is done to a node or to all, and puts it into the trace.
pub(super) fn note<C: Nodes>(
    cluster: &mut C,
    tally: &mut Tally,
    what: &'static str,
    at: Option<usize>,
) {
    tally.one(what);
    let host = at.map_or(0, |at| cluster.host(at).0);
    cluster.sim().trace().event(what, host, &[]);
}

/// Carries out the faults of one class.
pub(crate) trait Nemesis<C: Nodes> {
    /// When it wants to act next.
    fn due(&self) -> Duration;

    /// It is that time.
    fn act(&mut self, scene: &mut Scene<'_, C>);

    /// Everything is to be as it was. What was taken down comes up by itself.
    fn stop(&mut self, scene: &mut Scene<'_, C>);
}

/// All that are at work.
pub struct Nemeses<C: Nodes>(Vec<Box<dyn Nemesis<C>>>);

impl<C: Nodes> Nemeses<C> {
    /// Those of a plan, with what they draw.
    pub fn new(faults: &Faults, seed: u64) -> Self {
        let dice = |class| Dice::new(seed, class);
        let mut all: Vec<Box<dyn Nemesis<C>>> = Vec::new();
        if let Some(plan) = faults.links.clone() {
            all.push(Box::new(links::BadLinks::new(plan, dice("bad links"))));
        }
        if let Some(plan) = faults.filters.clone() {
            all.push(Box::new(filters::Filtering::new(plan, dice("filtering"))));
        }
        if let Some(plan) = faults.partitions.clone() {
            all.push(Box::new(partitions::Partitioning::new(plan, dice("partitioning"))));
        }
        if let Some(plan) = faults.crashes.clone() {
            all.push(Box::new(crashes::Crashing::new(plan, dice("crashing"))));
        }
        if let Some(plan) = faults.outages.clone() {
            all.push(Box::new(outages::Blackouts::new(plan, dice("blackouts"))));
        }
        if let Some(plan) = faults.pauses.clone() {
            all.push(Box::new(pauses::Pausing::new(plan, dice("pausing"))));
        }
        if let Some(plan) = faults.clocks.clone() {
            all.push(Box::new(clocks::Drifting::new(plan, dice("drifting"))));
        }
        if let Some(plan) = faults.slow_disks.clone() {
            all.push(Box::new(slow_disks::Slowing::new(plan, dice("slowing"))));
        }
        if let Some(plan) = faults.disk_errors.clone() {
            all.push(Box::new(disk_errors::Breaking::new(plan, dice("breaking"))));
        }
        Self(all)
    }

    /// One more.
    #[cfg(feature = "shardkv")]
    pub(crate) fn push(&mut self, nemesis: impl Nemesis<C> + 'static) {
        self.0.push(Box::new(nemesis));
    }

    /// When the first of them wants to act.
    pub fn next(&self) -> Option<Duration> {
        self.0.iter().map(|nemesis| nemesis.due()).min()
    }

    /// Has those act whose time has come.
    pub fn act(&mut self, scene: &mut Scene<'_, C>) {
        for nemesis in &mut self.0 {
            if nemesis.due() <= scene.now() {
                nemesis.act(scene);
            }
        }
    }

    /// Ends all faults, but for nodes that are down.
    pub fn stop(mut self, scene: &mut Scene<'_, C>) {
        for nemesis in &mut self.0 {
            nemesis.stop(scene);
        }
    }
}
