//! The checker: is a history linearizable?
//!
//! A history is linearizable (Herlihy and Wing, *Linearizability: a correctness condition for concurrent
//! objects*, 1990) if its operations can be put into one order such that
//!
//! - an operation that returned before another was called stands before it, and
//! - the [`Model`], which does one operation after the other, answers each as the client was answered.
//!
//! Operations of unknown outcome may stand anywhere after their call, or be left out.
//!
//! [`check`] searches for such an order: depth first over what may come next (Wing and Gong, *Testing and
//! verifying concurrent objects*, 1993), never entering the same configuration twice (Lowe, *Testing for
//! linearizability*, 2017), part by part (Horn and Kroening, *Faster linearizability checking via
//! P-compositionality*, 2015), in the shape that the checker Porcupine gave to it (Athalye, 2017). The
//! question is NP-complete: the cost grows with the operations that overlap on one part and the answers
//! that tell little, hardly with the length. So there are [`Limits`], and a third verdict,
//! [`Verdict::Unknown`], which a test must count as a failure.
//!
//! ```
//! use raft_sim::checker::models::{Register, RegisterInput, RegisterOutput};
//! use raft_sim::checker::{Limits, Verdict, check};
//! use raft_sim::history::Recorder;
//!
//! let recorder = Recorder::new();
//! let (mut one, mut two) = (recorder.client(), recorder.client());
//! one.call(RegisterInput::Write(1)).returned(RegisterOutput::Done);
//! two.call(RegisterInput::Read).returned(RegisterOutput::Value(None));
//! let verdict = check(&Register, &recorder.history(), &Limits::default());
//! let Verdict::Illegal(witness) = verdict else { panic!("the read is stale") };
//! assert_eq!(witness.partial.offending.0, 1);
//! ```
//!
//! A verdict of [`Verdict::Illegal`] comes with a [`Witness`]. [`minimise()`] finds the few operations that
//! contradict each other, and [`report`](crate::report) shows them to people.

mod bitset;
mod budget;
mod events;
mod memo;
mod minimise;
mod model;
pub mod models;
mod rounds;
mod search;

use std::collections::BTreeMap;
use std::fmt;

use crate::history::{History, OpId};

pub use budget::{Budget, Limits};
pub use minimise::{Core, minimise};
pub use model::{Model, Rank, RankRole};

/// What the checker found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict<P> {
    /// There is an order that explains every answer.
    Linearizable,
    /// There is none.
    Illegal(Witness<P>),
    /// Neither was found within the limits. These parts are undecided, and no other is illegal.
    Unknown(Vec<(P, Why)>),
}

impl<P> Verdict<P> {
    /// Whether the history is linearizable for certain.
    pub fn is_linearizable(&self) -> bool {
        matches!(self, Self::Linearizable)
    }

    /// Whether the history is certainly not linearizable.
    pub fn is_illegal(&self) -> bool {
        matches!(self, Self::Illegal(_))
    }
}

/// Why a part was not decided.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Why {
    /// The budget's steps were used up.
    Steps,
    /// The budget's time was over.
    Time,
    /// There was more to remember than the limits allow.
    Memory,
    /// Another part was found illegal first, so that nobody asked any more. Never in a verdict.
    Moot,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Steps => "the budget of steps was used up",
            Self::Time => "the time was over",
            Self::Memory => "the memory was used up",
            Self::Moot => "another part is illegal",
        })
    }
}

/// A part of a history that cannot be explained.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Witness<P> {
    /// What the part is about.
    pub part: P,
    /// Its operations.
    pub operations: Vec<OpId>,
    /// How far an explanation got.
    pub partial: Partial,
}

/// An order of operations that explains a history's beginning: the longest that the search came across.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Partial {
    /// The operations in that order.
    pub order: Vec<OpId>,
    /// The operation that would have had to be among them, for it returned before anything else that is
    /// left was called, and has no place.
    pub offending: OpId,
}

/// Judges a history by a model.
pub fn check<M: Model>(
    model: &M,
    history: &History<M::Input, M::Output>,
    limits: &Limits,
) -> Verdict<M::Part> {
    let (names, parts) = split(model, history);
    match rounds::run(model, history, &parts, limits) {
        rounds::End::Linearizable => Verdict::Linearizable,
        rounds::End::Illegal(part, partial) => Verdict::Illegal(Witness {
            part: names[part].clone(),
            operations: parts[part].clone(),
            partial,
        }),
        rounds::End::Undecided(parts) => Verdict::Unknown(
            parts.into_iter().map(|(part, why)| (names[part].clone(), why)).collect(),
        ),
    }
}

/// The operations of each part, the part with the fewest first.
fn split<M: Model>(
    model: &M,
    history: &History<M::Input, M::Output>,
) -> (Vec<M::Part>, Vec<Vec<OpId>>) {
    let mut parts = BTreeMap::<_, Vec<OpId>>::new();
    for (id, operation) in history.iter() {
        parts.entry(model.part(&operation.input)).or_default().push(id);
    }
    let mut parts: Vec<_> = parts.into_iter().collect();
    parts.sort_by_key(|(_, operations)| operations.len());
    parts.into_iter().unzip()
}
