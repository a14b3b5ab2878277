//! [`Search`]: looks for an order of one part's operations that explains it.

use super::bitset::BitSet;
use super::budget::Meter;
use super::events::{Event, Events, Interval, Place};
use super::memo::Memo;
use super::model::Model;
use super::{Partial, Why};
use crate::history::{History, OpId};

/// What a search that came to its end found.
pub(super) enum Found {
    /// An order that explains all that returned.
    Order,
    /// There is none. This is the longest beginning of one.
    None(Partial),
}

/// One operation of the part. Those of known outcome come first, so that the set of linearized ones has no
/// holes that never close.
struct Candidate<'a, M: Model> {
    id: OpId,
    input: &'a M::Input,
    output: Option<&'a M::Output>,
    /// It changes nothing.
    observes: bool,
    /// An operation of unknown outcome with the same input, called before this one. Each can stand for the
    /// other, so that only one of the two orders need be looked at.
    twin: Option<usize>,
}

/// An operation that was linearized, and what to put back if it was wrong.
struct Frame<S> {
    place: Place,
    op: usize,
    before: S,
    /// If it was wrong, so is what came before it.
    forced: bool,
}

/// A depth-first search (Wing and Gong) over what may come next: any operation that was called before the
/// first return in the list. Three things cut it short, and change no verdict:
///
/// - a configuration in which the search has been is not entered again ([`Memo`], Lowe);
/// - an operation that [observes](Model::observes) and can be done now is done now: it could stand here in
///   any order that has it later;
/// - of equal operations of unknown outcome, the one called first is linearized first. One that would
///   change nothing is left out.
pub(super) struct Search<'a, M: Model> {
    model: &'a M,
    candidates: Vec<Candidate<'a, M>>,
    events: Events,
    done: BitSet,
    memo: Memo<M::State>,
    state: M::State,
    frames: Vec<Frame<M::State>>,
    /// How many operations that returned are not linearized.
    open: usize,
    longest: Option<Partial>,
}

/// What became of an attempt to linearize an operation.
enum Tried {
    Linearized,
    /// Not possible here, or known to lead nowhere.
    No,
    /// It could be done, and leads nowhere; so does everything else.
    DeadEnd,
}

impl<'a, M: Model> Search<'a, M> {
    pub(super) fn new(
        model: &'a M,
        history: &'a History<M::Input, M::Output>,
        part: &[OpId],
        memo_bytes_max: usize,
    ) -> Self {
        let candidates = candidates(model, history, part);
        let interval = |candidate: &Candidate<'_, M>| {
            let op = history.op(candidate.id);
            let returned = op.outcome.returned().map(|at| at.position);
            Interval { called: op.called.position, returned }
        };
        let intervals: Vec<_> = candidates.iter().map(interval).collect();
        Self {
            model,
            events: Events::new(&intervals),
            done: BitSet::new(candidates.len()),
            memo: Memo::new(memo_bytes_max),
            state: model.init(),
            frames: Vec::new(),
            open: candidates.iter().filter(|candidate| candidate.output.is_some()).count(),
            longest: None,
            candidates,
        }
    }

    /// Looks until it is certain, or until the meter says stop.
    pub(super) fn run(mut self, meter: &mut Meter<'_>) -> Result<Found, Why> {
        let mut place = self.events.first();
        while self.open > 0 {
            let event = self.events.event(place).expect("what is open has a return in the list");
            let next = match event {
                Event::Call(op) => {
                    meter.step()?;
                    match self.linearize(op, place)? {
                        Tried::Linearized => Some(self.events.first()),
                        Tried::No => Some(self.events.after(place)),
                        Tried::DeadEnd => self.backtrack(),
                    }
                }
                Event::Return(op) => {
                    self.note(op);
                    self.backtrack()
                }
            };
            match next {
                Some(next) => place = next,
                None => return Ok(Found::None(self.longest.expect("noted at the first return"))),
            }
        }
        Ok(Found::Order)
    }

    /// Does an operation next, if it can be and the search has not been there.
    fn linearize(&mut self, op: usize, place: Place) -> Result<Tried, Why> {
        let candidate = &self.candidates[op];
        if candidate.twin.is_some_and(|twin| !self.done.contains(twin)) {
            return Ok(Tried::No);
        }
        let Some(after) = self.model.step(&self.state, candidate.input, candidate.output) else {
            return Ok(Tried::No);
        };
        let unchanged = after == self.state;
        if unchanged && candidate.output.is_none() {
            return Ok(Tried::No);
        }
        let forced = unchanged && candidate.observes;
        self.done.toggle(op);
        if !self.memo.insert(&self.done, &after, self.model.state_bytes(&after))? {
            self.done.toggle(op);
            return Ok(if forced { Tried::DeadEnd } else { Tried::No });
        }
        self.open -= usize::from(candidate.output.is_some());
        self.events.lift(place);
        let before = std::mem::replace(&mut self.state, after);
        self.frames.push(Frame { place, op, before, forced });
        Ok(Tried::Linearized)
    }

    /// Takes back the last operation that need not have been next: where to look on, or `None` if there
    /// is no such operation.
    fn backtrack(&mut self) -> Option<Place> {
        loop {
            let frame = self.frames.pop()?;
            self.events.unlift(frame.place);
            self.done.toggle(frame.op);
            self.open += usize::from(self.candidates[frame.op].output.is_some());
            self.state = frame.before;
            if !frame.forced {
                return Some(self.events.after(frame.place));
            }
        }
    }

    /// Keeps the order so far if it is the longest yet: `stuck` had to be next, and cannot be.
    fn note(&mut self, stuck: usize) {
        if self.longest.as_ref().is_none_or(|longest| longest.order.len() < self.frames.len()) {
            let order = self.frames.iter().map(|frame| self.candidates[frame.op].id).collect();
            self.longest = Some(Partial { order, offending: self.candidates[stuck].id });
        }
    }
}

/// The part's operations as the search needs them. One that observes and never returned says nothing.
fn candidates<'a, M: Model>(
    model: &M,
    history: &'a History<M::Input, M::Output>,
    part: &[OpId],
) -> Vec<Candidate<'a, M>> {
    let mut candidates: Vec<Candidate<'a, M>> = Vec::with_capacity(part.len());
    for returned in [true, false] {
        for id in part {
            let (input, output) = (&history.op(*id).input, history.op(*id).outcome.output());
            let observes = model.observes(input, output);
            if output.is_some() != returned || (observes && !returned) {
                continue;
            }
            let equal = |other: &Candidate<'_, M>| !returned && other.input == input;
            // Where all returned the twin is none; and the unknown ones come after those that returned.
            let twin = candidates.iter().rposition(|other| other.output.is_none() && equal(other));
            candidates.push(Candidate { id: *id, input, output, observes, twin });
        }
    }
    candidates
}
