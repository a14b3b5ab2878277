//! [`minimise`]: what of an illegal history is enough to make it illegal.
//!
//! Leaving operations out of a history can make a good one bad: without the write, the read of its value
//! has no explanation, and that says nothing about the system. So nothing is done here but to know less:
//!
//! 1. the history is cut off after a return: what returned later did so with unknown outcome, and what was
//!    called later did not happen;
//! 2. an answer is forgotten: an operation that [observes](Model::observes) is left out, any other one may
//!    have taken effect at any time after its call, or never.
//!
//! An order that explains a history explains it all the more when less is known. So if it is still illegal
//! it was illegal for what is left, and if no more can be forgotten, everything that is left is needed. One
//! pass is enough for that: what could not be forgotten first cannot be forgotten later.

use super::{Limits, Model, Partial, Verdict, Witness, check};
use crate::history::{ClientId, History, OpId, Operation, Outcome};

/// Some operations whose answers contradict each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Core<P> {
    /// What they are about.
    pub part: P,
    /// The operations whose answers contradict each other.
    pub needed: Vec<OpId>,
    /// Operations that may have taken effect at any time after their call, or never: the contradiction is
    /// there in any case. Of unknown outcome, or with an answer that does not matter.
    pub optional: Vec<OpId>,
    /// How far an explanation gets.
    pub partial: Partial,
}

impl<P: Clone> Core<P> {
    /// All that a witness is about: nothing is left out.
    pub fn of<I, O>(history: &History<I, O>, witness: &Witness<P>) -> Self {
        let returned = |id: &OpId| history.op(*id).outcome.output().is_some();
        let (needed, optional) = witness.operations.iter().partition(|id| returned(id));
        Self { part: witness.part.clone(), needed, optional, partial: witness.partial.clone() }
    }
}

impl<P> Core<P> {
    /// The operations as a history of their own, which is illegal. Those of unknown outcome have new
    /// clients, with higher ids than any other, since theirs went on.
    pub fn history<I: Clone, O: Clone>(&self, history: &History<I, O>) -> History<I, O> {
        Knowledge { needed: self.needed.clone(), optional: self.optional.clone() }
            .history(history)
            .0
    }
}

/// Minimises an illegal history, given the checker's witness. Deterministic with a budget of steps.
///
/// Does at most `checks_max` checks, each within the limits; where one is undecided or there are no more,
/// what is left may be more than is needed. A check of what is known but partly can cost far more than that
/// of the whole, so that small limits are best: 100,000 steps and 500 checks.
pub fn minimise<M>(
    model: &M,
    history: &History<M::Input, M::Output>,
    witness: &Witness<M::Part>,
    limits: &Limits,
    checks_max: usize,
) -> Core<M::Part>
where
    M: Model,
    M::Input: Clone,
    M::Output: Clone,
{
    let mut core = Core::of(history, witness);
    let mut attempts = Attempts { model, history, limits, left: checks_max };
    attempts.cut(&mut core);
    let mut chunk = core.needed.len().div_ceil(2);
    while chunk > 0 {
        let mut end = core.needed.len();
        // From the end, so that what is forgotten does not move what is still to come.
        while end > 0 {
            let start = end.saturating_sub(chunk);
            attempts.forget(&mut core, start..end);
            end = start;
        }
        chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2) };
    }
    core
}

/// Which answers are known.
struct Knowledge {
    needed: Vec<OpId>,
    optional: Vec<OpId>,
}

impl Knowledge {
    /// The history of what is known, and which operation of the whole each one is.
    fn history<I: Clone, O: Clone>(&self, whole: &History<I, O>) -> (History<I, O>, Vec<OpId>) {
        let highest = whole.operations().iter().map(|op| op.client.0).max().unwrap_or(0);
        let needed = self.needed.iter().map(|id| (*id, whole.op(*id).clone()));
        let fresh = (1..).map(|n| ClientId(highest.saturating_add(n)));
        let optional = self.optional.iter().zip(fresh).map(|(id, client)| {
            let Operation { input, called, .. } = whole.op(*id).clone();
            (*id, Operation { client, input, called, outcome: Outcome::Unknown })
        });
        let mut operations: Vec<_> = needed.chain(optional).collect();
        // As the history will have them.
        operations.sort_by_key(|(id, op)| (op.called.position, *id));
        let (ids, operations) = operations.into_iter().unzip();
        let history = History::new(operations);
        (history.expect("a client's operations overlap less when some are left out"), ids)
    }
}

struct Attempts<'a, M: Model> {
    model: &'a M,
    history: &'a History<M::Input, M::Output>,
    limits: &'a Limits,
    /// How many checks may be done.
    left: usize,
}

impl<M: Model> Attempts<'_, M>
where
    M::Input: Clone,
    M::Output: Clone,
{
    /// Cuts the history off after the first return up to which it is illegal.
    fn cut(&mut self, core: &mut Core<M::Part>) {
        let returned = |id: &OpId| self.history.op(*id).outcome.returned().map(|at| at.position);
        let mut returns: Vec<_> = core.needed.iter().filter_map(returned).collect();
        returns.sort_unstable();
        // Illegal up to `high`, which is the whole at first; below `low` it is not.
        let (mut low, mut high) = (0, returns.len() - 1);
        let whole = core.clone();
        while low < high {
            let middle = (low + high) / 2;
            let end = returns[middle];
            let happened = |id: &&OpId| self.history.op(**id).called.position <= end;
            let known = |id: &OpId| {
                self.history.op(*id).outcome.returned().is_some_and(|at| at.position <= end)
            };
            let all = whole.needed.iter().chain(&whole.optional).filter(happened);
            let (needed, forgotten): (Vec<OpId>, Vec<OpId>) = all.partition(|id| known(id));
            match self.is_illegal(core, needed, forgotten) {
                true => high = middle,
                false => low = middle + 1,
            }
        }
    }

    /// Forgets the answers of some that are needed, if they are not.
    fn forget(&mut self, core: &mut Core<M::Part>, range: std::ops::Range<usize>) {
        let mut needed = core.needed.clone();
        let observes = |id: &OpId| {
            let op = self.history.op(*id);
            self.model.observes(&op.input, op.outcome.output())
        };
        let forgotten = needed.drain(range).filter(|id| !observes(id));
        let optional = core.optional.iter().copied().chain(forgotten).collect();
        self.is_illegal(core, needed, optional);
    }

    /// Whether so little knowledge is enough. Then it is the new core.
    fn is_illegal(
        &mut self,
        core: &mut Core<M::Part>,
        needed: Vec<OpId>,
        mut optional: Vec<OpId>,
    ) -> bool {
        if self.left == 0 || needed.is_empty() {
            return false;
        }
        self.left -= 1;
        optional.sort_unstable();
        let knowledge = Knowledge { needed, optional };
        let (history, ids) = knowledge.history(self.history);
        let Verdict::Illegal(witness) = check(self.model, &history, self.limits) else {
            return false;
        };
        let Partial { order, offending } = witness.partial;
        let order = order.into_iter().map(|id| ids[id.0]).collect();
        core.partial = Partial { order, offending: ids[offending.0] };
        (core.needed, core.optional) = (knowledge.needed, knowledge.optional);
        true
    }
}
