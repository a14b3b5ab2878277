//! Histories: what clients asked, what they were told, and in which order.
//!
//! An [`Operation`] is a call and, if the client ever heard of it, a return. Both have a [`Moment`]: a
//! *position* in the sequence of all calls and returns, which is the real-time order that the checker goes
//! by, and a time, which only people look at.
//!
//! Three things can become of a call:
//!
//! - it returned: [`Outcome::Returned`], with what it answered;
//! - nobody knows: [`Outcome::Unknown`]. It may take effect at any time after the call, or never. A failed
//!   write is such an operation, and so is one whose client crashed;
//! - it certainly had no effect, and never will: then it is no part of the history.
//!
//! A client does one thing at a time. One that does not know what became of an operation is never heard of
//! again, for if it went on, its operations would overlap: it goes on under a new [`ClientId`].
//!
//! A [`Recorder`] writes a history down while it happens and makes wrong use impossible. The modules
//! [`jepsen`] and [`kv_log`] read histories from files.

mod edn;
mod error;
pub mod jepsen;
pub mod kv_log;
mod log;
mod recorder;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

pub use error::{LogError, LogProblem};
pub use recorder::{Call, Client, Recorder};

/// A client: somebody who does one operation at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientId(pub u64);

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// An operation's place in its [`History`], counted from zero in the order of the calls.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OpId(pub usize);

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// When a call or a return was seen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Moment {
    /// The place among all calls and returns. Of a call and a return at the same place, the call counts as
    /// the earlier one: the operations overlap.
    pub position: u64,
    /// The time since the history began, for people.
    pub time: Duration,
}

impl Moment {
    /// A moment of which only the order is known.
    pub fn at(position: u64) -> Self {
        Self { position, time: Duration::ZERO }
    }
}

/// What became of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome<O> {
    /// The client was answered.
    Returned {
        /// What it was told.
        output: O,
        /// When.
        at: Moment,
    },
    /// The client was never answered, or with an error that leaves open what was done.
    Unknown,
}

impl<O> Outcome<O> {
    /// What the client was told, if it was told anything.
    pub fn output(&self) -> Option<&O> {
        match self {
            Self::Returned { output, .. } => Some(output),
            Self::Unknown => None,
        }
    }

    /// When the call returned, if it did.
    pub fn returned(&self) -> Option<Moment> {
        match self {
            Self::Returned { at, .. } => Some(*at),
            Self::Unknown => None,
        }
    }
}

/// What became of an operation whose client was never told: see [`History::resolve`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate<O> {
    /// That is still not known.
    Unknown,
    /// It never took effect, and never will.
    Never,
    /// It took effect. This is what the client would have been told; when is not known.
    Done(O),
}

/// A call and what became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operation<I, O> {
    /// Who called.
    pub client: ClientId,
    /// What was asked.
    pub input: I,
    /// When.
    pub called: Moment,
    /// What came back.
    pub outcome: Outcome<O>,
}

/// Some operations, in the order of their calls.
///
/// Invariants: no operation returns before its call; a client's operations do not overlap, and the one of
/// unknown outcome, if there is one, is its last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct History<I, O> {
    operations: Vec<Operation<I, O>>,
}

/// Why some operations are no [`History`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HistoryError {
    /// An operation returns before it is called.
    #[error("operation {0} returns before its call")]
    ReturnBeforeCall(OpId),
    /// A client calls while an operation of its own is open, or its outcome unknown.
    #[error("client {client} calls operation {op} while its last one has not returned")]
    Overlap {
        /// The client.
        client: ClientId,
        /// The operation that comes too early.
        op: OpId,
    },
}

impl<I, O> History<I, O> {
    /// A history of these operations, in any order.
    pub fn new(mut operations: Vec<Operation<I, O>>) -> Result<Self, HistoryError> {
        operations.sort_by_key(|op| op.called.position);
        // Per client, where its last operation ended.
        let mut ended = BTreeMap::new();
        for (place, operation) in operations.iter().enumerate() {
            let (op, called) = (OpId(place), operation.called.position);
            let end = operation.outcome.returned().map_or(u64::MAX, |at| at.position);
            if end < called {
                return Err(HistoryError::ReturnBeforeCall(op));
            }
            match ended.insert(operation.client, end) {
                Some(before) if before > called || before == u64::MAX => {
                    return Err(HistoryError::Overlap { client: operation.client, op });
                }
                _ => {}
            }
        }
        Ok(Self { operations })
    }

    /// The operations, in the order of their calls.
    pub fn operations(&self) -> &[Operation<I, O>] {
        &self.operations
    }

    /// The number of operations.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether nothing was asked.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// One operation. Panics unless the id is one of this history.
    pub fn op(&self, id: OpId) -> &Operation<I, O> {
        &self.operations[id.0]
    }

    /// Every operation with its id.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (OpId, &Operation<I, O>)> {
        self.operations.iter().enumerate().map(|(place, operation)| (OpId(place), operation))
    }

    /// The same history with more known about the operations of unknown outcome. Where the system's own log
    /// tells what became of them, it spares the checker the guess, which can cost it dearly; and a log that
    /// tells what never was is found out.
    pub fn resolve(self, mut fate: impl FnMut(OpId, &Operation<I, O>) -> Fate<O>) -> Self {
        let known = |(place, mut operation): (usize, Operation<I, O>)| {
            if operation.outcome.output().is_none() {
                match fate(OpId(place), &operation) {
                    Fate::Unknown => {}
                    Fate::Never => return None,
                    Fate::Done(output) => {
                        let at = Moment { position: u64::MAX, time: Duration::MAX };
                        operation.outcome = Outcome::Returned { output, at };
                    }
                }
            }
            Some(operation)
        };
        let operations = self.operations.into_iter().enumerate().filter_map(known).collect();
        Self { operations }
    }

    /// How many operations have an unknown outcome.
    pub fn unknown(&self) -> usize {
        self.operations.iter().filter(|op| op.outcome.output().is_none()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(client: u64, called: u64, returned: Option<u64>) -> Operation<u8, u8> {
        let outcome = match returned {
            Some(at) => Outcome::Returned { output: 0, at: Moment::at(at) },
            None => Outcome::Unknown,
        };
        Operation { client: ClientId(client), input: 0, called: Moment::at(called), outcome }
    }

    #[test]
    fn a_client_does_one_thing_at_a_time() {
        let history = |operations: &[_]| History::new(operations.to_vec()).map(|_| ());
        let overlap = |op| Err(HistoryError::Overlap { client: ClientId(1), op: OpId(op) });
        let (first, unknown) = (operation(1, 1, Some(3)), operation(1, 1, None));
        assert_eq!(history(&[operation(1, 3, None), first.clone()]), Ok(()));
        assert_eq!(history(&[operation(2, 2, None), first.clone()]), Ok(()));
        assert_eq!(history(&[operation(1, 2, None), first]), overlap(1));
        assert_eq!(history(&[unknown, operation(1, 9, Some(9))]), overlap(1));
        let backwards = history(&[operation(1, 5, Some(4))]);
        assert_eq!(backwards, Err(HistoryError::ReturnBeforeCall(OpId(0))));
    }

    #[test]
    fn the_fate_of_unknown_operations_can_be_told() {
        let all = (0..4).map(|n| operation(n, n, (n == 0).then_some(9))).collect();
        let history = History::new(all).expect("a history").resolve(|op, _| match op.0 {
            1 => Fate::Never,
            2 => Fate::Done(7),
            _ => Fate::Unknown,
        });
        let left: Vec<_> =
            history.iter().map(|(_, op)| (op.client.0, op.outcome.output().copied())).collect();
        assert_eq!(left, [(0, Some(0)), (2, Some(7)), (3, None)]);
    }
}
