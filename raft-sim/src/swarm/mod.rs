//! The swarm: whole configurations drawn from seeds, run in two phases, and judged.
//!
//! A **plan** is everything that is drawn: how many nodes, how they are configured, which faults there are and how
//! bad they get, what is proposed. Each class of faults is off with a probability of one third, so that what one
//! class would hide shows in the seeds without it (Groce and others, "Swarm Testing", ISSTA 2012).
//!
//! A run has a **safety** phase, in which everything may go wrong and nothing that must hold may break; and then a
//! **liveness** phase, in which faults end for a quorum, or for all: it must elect, commit, converge and tidy up,
//! each in bounded time. [`Coverage`](crate::watch::Coverage) and the [`Tally`] of faults say what a run has shown;
//! a campaign that shows too little fails.
//!
//! A run that fails is minimised: fault classes are switched off, and the run made smaller, while it still fails by
//! the same invariant. A [`Suite`] is a kind of run; most are [`Planned`].

mod absence;
mod campaign;
pub mod core;
mod dice;
mod faults;
mod liveness;
mod minimise;
mod nodes;
mod safety;
mod setting;
mod suite;
mod tally;
mod ward;

pub use self::absence::{Absence, Minority};
pub use self::campaign::{Campaign, Order, Seeds, Totals};
pub use self::dice::{Dice, Span, millis};
pub use self::faults::{
    Clocks, Crashes, DiskErrors, Faults, Filters, Links, Nemeses, Outages, Partitions, Pauses,
    Scene, Shape, SlowDisks,
};
pub use self::liveness::Liveness;
pub use self::minimise::{Minimised, minimise};
pub use self::nodes::Nodes;
pub use self::safety::{check, safety};
pub use self::setting::{Queues, Setting};
pub use self::suite::{Failure, Floor, Outcome, Planned, Recording, Scale, Suite};
pub use self::tally::Tally;
pub use self::ward::{End, Ward};
#[cfg(feature = "shardkv")]
pub(crate) use self::{faults::Nemesis, safety::safety_with};
