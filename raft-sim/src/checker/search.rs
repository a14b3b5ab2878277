//! [`Search`]: looks for an order of one part's operations that explains it.

use super::bitset::BitSet;
use super::budget::Meter;
use super::events::{Event, Events, Interval, Place};
use super::memo::Memo;
use super::model::{Model, Rank};
use super::{Partial, Why};
use crate::history::{History, OpId};

/// What a search that came to its end found.
pub(super) enum Found {
    /// An order that explains all that returned.
    Order,
    /// There is none. This is the longest beginning of one.
    None(Partial),
}

/// One operation of the part. Those that returned come before those of unknown outcome.
struct Candidate<'a, M: Model> {
    id: OpId,
    input: &'a M::Input,
    output: Option<&'a M::Output>,
    /// It changes nothing.
    observes: bool,
    rank: Option<Rank>,
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
/// first return in the list. Some things cut it short, and change no verdict:
///
/// - an operation waits for those of lower [rank](Model::rank);
/// - a configuration in which the search has been, or a better one, is not entered again ([`Memo`], Lowe);
/// - an operation that [observes](Model::observes) and can be done now is done now: it could stand here in
///   any order that has it later;
/// - an operation of unknown outcome is done only if it changes something and one that may come next
///   [notices](Model::notices);
/// - of equal operations of unknown outcome, the one called first is done first.
///
/// Why they can be used together: of all orders that explain what is left, take one with the fewest
/// operations of unknown outcome. Leaving one of them out, or taking its equal in its place, or an observer
/// to the front, gives another such order; so the search may take its first step. If it was there before, in
/// a configuration as good, what is left to do there was as little. So a search that ends without an order
/// was never anywhere from where there is one.
///
/// Operations of unknown outcome are tried when no other leads on: whoever does them at once is mostly
/// wrong, and learns of it late. And few of them in a row at first: see [`Bounds`].
pub(super) struct Search<'a, M: Model> {
    model: &'a M,
    candidates: Vec<Candidate<'a, M>>,
    events: Events,
    /// The operations that returned and are linearized.
    done: BitSet,
    /// The operations of unknown outcome that are linearized.
    spent: BitSet,
    memo: Memo<M::State>,
    state: M::State,
    frames: Vec<Frame<M::State>>,
    /// The ranks of all operations that have one, lowest first. They are linearized in this order.
    ranks: Vec<Rank>,
    /// How many of those are linearized.
    ranked: usize,
    /// How many operations returned: the first candidates.
    returned: usize,
    /// How many of them are not linearized.
    open: usize,
    longest: Option<Partial>,
    unknown_max: usize,
    /// Something was left out that was one too many.
    cut_short: bool,
}

/// The bounds of one search.
pub(super) struct Bounds {
    /// Bytes to remember.
    pub(super) memo_bytes_max: usize,
    /// How many operations of unknown outcome are done one right after the other. A search with a small
    /// bound finds the order quickly if there is one, for in most orders they are far apart.
    pub(super) unknown_max: usize,
}

/// Where the search looks for what comes next.
#[derive(Clone, Copy)]
struct Look {
    place: Place,
    /// Whether at operations of unknown outcome, which is the second time that it looks.
    again: bool,
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
        bounds: &Bounds,
    ) -> Self {
        let candidates = candidates(model, history, part);
        let interval = |candidate: &Candidate<'_, M>| {
            let op = history.op(candidate.id);
            let returned = op.outcome.returned().map(|at| at.position);
            Interval { called: op.called.position, returned }
        };
        let intervals: Vec<_> = candidates.iter().map(interval).collect();
        let mut ranks: Vec<_> = candidates.iter().filter_map(|candidate| candidate.rank).collect();
        ranks.sort_unstable();
        let open = candidates.iter().filter(|candidate| candidate.output.is_some()).count();
        Self {
            model,
            events: Events::new(&intervals),
            done: BitSet::new(open),
            spent: BitSet::new(candidates.len() - open),
            memo: Memo::new(bounds.memo_bytes_max),
            state: model.init(),
            frames: Vec::new(),
            ranks,
            ranked: 0,
            unknown_max: bounds.unknown_max,
            cut_short: false,
            open,
            returned: open,
            longest: None,
            candidates,
        }
    }

    /// Looks until it is certain, or until the meter says stop.
    pub(super) fn run(mut self, meter: &mut Meter<'_>) -> Result<Found, Why> {
        match self.look(meter)? {
            true => Ok(Found::Order),
            // With more steps the bound will be higher as well.
            false if self.cut_short => Err(Why::Steps),
            false => Ok(Found::None(self.longest.expect("noted at the first return"))),
        }
    }

    /// Whether there is an order.
    fn look(&mut self, meter: &mut Meter<'_>) -> Result<bool, Why> {
        let mut look = Look { place: self.events.first(), again: false };
        while self.open > 0 {
            let Look { place, again } = look;
            let event = self.events.event(place).expect("what is open has a return in the list");
            let next = match event {
                Event::Call(op) if self.candidates[op].output.is_none() != again => {
                    Some(Look { place: self.events.after(place), again })
                }
                Event::Call(op) => {
                    meter.step()?;
                    match self.linearize(op, place)? {
                        Tried::Linearized => {
                            Some(Look { place: self.events.first(), again: false })
                        }
                        Tried::No => Some(Look { place: self.events.after(place), again }),
                        Tried::DeadEnd => self.backtrack(),
                    }
                }
                Event::Return(_) if !again => {
                    Some(Look { place: self.events.first(), again: true })
                }
                Event::Return(op) => {
                    self.note(op);
                    self.backtrack()
                }
            };
            match next {
                Some(next) => look = next,
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Looks for the longest order that can be shown to people. Ranks are not asked: with them the search
    /// knows that an operation is out of place long before a reader could.
    pub(super) fn explain(mut self, meter: &mut Meter<'_>) -> Option<Partial> {
        self.ranks.clear();
        self.candidates.iter_mut().for_each(|candidate| candidate.rank = None);
        // Whether it came to an end does not matter.
        let _ = self.look(meter);
        self.longest
    }

    /// Does an operation next, if it can be and the search has not been there.
    fn linearize(&mut self, op: usize, place: Place) -> Result<Tried, Why> {
        let candidate = &self.candidates[op];
        if !self.is_ranked_next(candidate)
            || candidate.twin.is_some_and(|twin| !self.spent.contains(self.unknown(twin)))
        {
            return Ok(Tried::No);
        }
        let Some(after) = self.model.step(&self.state, candidate.input, candidate.output) else {
            return Ok(Tried::No);
        };
        let unchanged = after == self.state;
        if candidate.output.is_none() && (unchanged || !self.is_noticed(op, &after)) {
            return Ok(Tried::No);
        }
        if candidate.output.is_none() && self.unknown_in_a_row() == self.unknown_max {
            self.cut_short = true;
            return Ok(Tried::No);
        }
        let forced = unchanged && candidate.observes;
        self.mark(op);
        let bytes = self.model.state_bytes(&after);
        if !self.memo.insert(&self.done, &self.spent, &after, bytes)? {
            self.mark(op);
            return Ok(if forced { Tried::DeadEnd } else { Tried::No });
        }
        self.events.lift(place);
        let before = std::mem::replace(&mut self.state, after);
        self.frames.push(Frame { place, op, before, forced });
        Ok(Tried::Linearized)
    }

    /// Whether any operation that may come next might notice that this one of unknown outcome was done.
    /// If none does, the order is as good without it.
    fn is_noticed(&self, op: usize, after: &M::State) -> bool {
        let mut place = self.events.first();
        while let Some(Event::Call(other)) = self.events.event(place) {
            let candidate = &self.candidates[other];
            if other != op
                && self.is_ranked_next(candidate)
                && self.model.notices(after, candidate.input, candidate.output)
            {
                return true;
            }
            place = self.events.after(place);
        }
        false
    }

    /// How many operations of unknown outcome were done last.
    fn unknown_in_a_row(&self) -> usize {
        let unknown = |frame: &&Frame<M::State>| self.candidates[frame.op].output.is_none();
        self.frames.iter().rev().take(self.unknown_max).take_while(unknown).count()
    }

    /// Whether no operation of a lower rank is left.
    fn is_ranked_next(&self, candidate: &Candidate<'_, M>) -> bool {
        candidate.rank.is_none_or(|rank| self.ranks[self.ranked] == rank)
    }

    /// An operation's number among those of unknown outcome.
    fn unknown(&self, op: usize) -> usize {
        op - self.returned
    }

    /// Notes that an operation is linearized, or is no more.
    fn mark(&mut self, op: usize) {
        let Candidate { output, rank, .. } = self.candidates[op];
        if output.is_none() {
            return self.spent.toggle(self.unknown(op));
        }
        let ranked = usize::from(rank.is_some());
        if self.done.contains(op) {
            (self.open, self.ranked) = (self.open + 1, self.ranked - ranked);
        } else {
            (self.open, self.ranked) = (self.open - 1, self.ranked + ranked);
        }
        self.done.toggle(op);
    }

    /// Takes back the last operation that need not have been next: where to look on, or `None` if there
    /// is no such operation.
    fn backtrack(&mut self) -> Option<Look> {
        loop {
            let frame = self.frames.pop()?;
            self.events.unlift(frame.place);
            self.mark(frame.op);
            let again = self.candidates[frame.op].output.is_none();
            self.state = frame.before;
            if !frame.forced {
                return Some(Look { place: self.events.after(frame.place), again });
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
            let rank = output.and_then(|output| model.rank(input, output));
            candidates.push(Candidate { id: *id, input, output, observes, rank, twin });
        }
    }
    candidates
}
