//! The slow checker, and what must be true of every witness.

use std::num::NonZeroUsize;

use raft_sim::checker::{Budget, Limits, Model, Verdict, check};
use raft_sim::history::{ClientId, History, Moment, OpId, Operation, Outcome};

/// What an operation with this outcome may make of a state: nothing where it is impossible, and several
/// states where it is not said which.
pub(crate) trait Spec {
    type Input: std::fmt::Debug;
    type Output: std::fmt::Debug;
    type State: Default;

    fn after(
        &self,
        state: &Self::State,
        input: &Self::Input,
        output: Option<&Self::Output>,
    ) -> Vec<Self::State>;
}

/// An operation of known or unknown outcome that was called in one block of time and returned in another.
/// Operations overlap unless one returned in an earlier block than the other was called in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Slot {
    pub(crate) called: u64,
    pub(crate) returned: u64,
}

/// A history of these operations, each with a client of its own.
pub(crate) fn history<I, O>(ops: impl IntoIterator<Item = (Slot, I, Option<O>)>) -> History<I, O> {
    let operation = |(client, (slot, input, output)): (u64, (Slot, I, Option<O>))| Operation {
        client: ClientId(client),
        input,
        called: Moment::at(slot.called),
        outcome: match output {
            Some(output) => Outcome::Returned { output, at: Moment::at(slot.returned) },
            None => Outcome::Unknown,
        },
    };
    History::new((0..).zip(ops).map(operation).collect()).expect("a history")
}

/// Whether one operation was over when the other was called.
fn precedes<I, O>(one: &Operation<I, O>, other: &Operation<I, O>) -> bool {
    one.outcome.returned().is_some_and(|at| at.position < other.called.position)
}

/// Whether there is an order that explains the history: tries them all. Of `ops`, those with a bit in
/// `done` are in the order already.
fn explained<S: Spec>(
    spec: &S,
    ops: &[Operation<S::Input, S::Output>],
    done: u32,
    state: &S::State,
) -> bool {
    let is_done = |op: usize| done & (1 << op) != 0;
    if ops.iter().enumerate().all(|(n, op)| is_done(n) || op.outcome.output().is_none()) {
        return true;
    }
    let first = |n: usize| {
        ops.iter().enumerate().all(|(other, op)| is_done(other) || !precedes(op, &ops[n]))
    };
    (0..ops.len()).filter(|n| !is_done(*n) && first(*n)).any(|n| {
        let states = spec.after(state, &ops[n].input, ops[n].outcome.output());
        states.iter().any(|state| explained(spec, ops, done | 1 << n, state))
    })
}

/// Asks both checkers, and looks at the witness. Whether the history is linearizable.
pub(crate) fn compare<S, M>(spec: &S, model: &M, history: &History<S::Input, S::Output>) -> bool
where
    S: Spec,
    M: Model<Input = S::Input, Output = S::Output>,
{
    let limits = Limits {
        budget: Budget::Steps(1 << 20),
        memo_bytes_max: 1 << 24,
        threads: NonZeroUsize::MIN,
    };
    let expected = explained(spec, history.operations(), 0, &S::State::default());
    match check(model, history, &limits) {
        Verdict::Linearizable => assert!(expected, "illegal: {history:?}"),
        Verdict::Illegal(witness) => {
            assert!(!expected, "linearizable: {history:?}");
            let (order, offending) = (&witness.partial.order, witness.partial.offending);
            assert!(is_beginning(spec, history, order, offending), "{witness:?} of {history:?}");
        }
        Verdict::Unknown(parts) => panic!("{} parts undecided of {history:?}", parts.len()),
    }
    expected
}

/// Whether an order can be the beginning of one that explains the history, but for `offending`, which
/// returned and is left out though nothing else that is left could come before its end.
fn is_beginning<S: Spec>(
    spec: &S,
    history: &History<S::Input, S::Output>,
    order: &[OpId],
    offending: OpId,
) -> bool {
    let mut states = vec![S::State::default()];
    for (place, id) in order.iter().enumerate() {
        let op = history.op(*id);
        let later = &order[place + 1..];
        if later.iter().any(|later| precedes(history.op(*later), op))
            || precedes(history.op(offending), op)
            || order[..place].contains(id)
            || *id == offending
        {
            return false;
        }
        let after = |state: &S::State| spec.after(state, &op.input, op.outcome.output());
        states = states.iter().flat_map(after).collect();
    }
    !states.is_empty() && history.op(offending).outcome.output().is_some()
}
