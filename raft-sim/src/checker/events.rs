//! [`Events`]: the calls and returns that are not linearized yet, in their order.

/// A place in the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place(u32);

/// The place before the first event, and after the last.
const HEAD: Place = Place(0);
/// The return of an operation that never returns.
const NO_RETURN: Place = HEAD;

/// What happens at a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event {
    /// The operation is called.
    Call(usize),
    /// The operation returns.
    Return(usize),
}

struct Node {
    before: Place,
    after: Place,
    event: Event,
    /// A call's return.
    returns: Place,
}

/// A doubly linked list in one allocation. Taking an operation out and putting it back costs the same
/// however long the history is; they are put back in the reverse order, so that each finds its neighbours.
pub(super) struct Events {
    nodes: Vec<Node>,
}

/// One operation's call and return, by position.
#[derive(Clone, Copy)]
pub(super) struct Interval {
    pub(super) called: u64,
    /// `None`: never.
    pub(super) returned: Option<u64>,
}

impl Events {
    /// The events of operations, which are called by their place in `intervals`.
    pub(super) fn new(intervals: &[Interval]) -> Self {
        assert!(intervals.len() < (u32::MAX / 2) as usize, "a history of two thousand million");
        let mut order = Vec::with_capacity(2 * intervals.len());
        for (op, interval) in intervals.iter().enumerate() {
            // At one position calls come before returns: such operations overlap.
            order.push((interval.called, false, op));
            order.extend(interval.returned.map(|at| (at, true, op)));
        }
        order.sort_unstable();
        let mut nodes = Vec::with_capacity(order.len() + 1);
        nodes.push(Node { before: HEAD, after: HEAD, event: Event::Call(0), returns: NO_RETURN });
        let mut calls = vec![HEAD; intervals.len()];
        for (_, returns, op) in order {
            let (here, last) = (Place(nodes.len() as u32), Place(nodes.len() as u32 - 1));
            let event = if returns { Event::Return(op) } else { Event::Call(op) };
            nodes.push(Node { before: last, after: HEAD, event, returns: NO_RETURN });
            nodes[last.0 as usize].after = here;
            match returns {
                true => nodes[calls[op].0 as usize].returns = here,
                false => calls[op] = here,
            }
        }
        nodes[0].before = Place(nodes.len() as u32 - 1);
        Self { nodes }
    }

    /// The first event's place.
    pub(super) fn first(&self) -> Place {
        self.nodes[0].after
    }

    /// The place after this one.
    pub(super) fn after(&self, place: Place) -> Place {
        self.node(place).after
    }

    /// What happens here, or `None` at the end of the list.
    pub(super) fn event(&self, place: Place) -> Option<Event> {
        (place != HEAD).then(|| self.node(place).event)
    }

    /// Takes a call and its return out.
    pub(super) fn lift(&mut self, call: Place) {
        self.unlink(call);
        match self.node(call).returns {
            NO_RETURN => {}
            returns => self.unlink(returns),
        }
    }

    /// Puts back what was lifted last and is not back yet.
    pub(super) fn unlift(&mut self, call: Place) {
        match self.node(call).returns {
            NO_RETURN => {}
            returns => self.relink(returns),
        }
        self.relink(call);
    }

    fn node(&self, place: Place) -> &Node {
        &self.nodes[place.0 as usize]
    }

    fn unlink(&mut self, place: Place) {
        let Node { before, after, .. } = *self.node(place);
        self.nodes[before.0 as usize].after = after;
        self.nodes[after.0 as usize].before = before;
    }

    fn relink(&mut self, place: Place) {
        let Node { before, after, .. } = *self.node(place);
        self.nodes[before.0 as usize].after = place;
        self.nodes[after.0 as usize].before = place;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(events: &Events) -> Vec<Event> {
        let mut place = events.first();
        let step = || {
            let event = events.event(place)?;
            place = events.after(place);
            Some(event)
        };
        std::iter::from_fn(step).collect()
    }

    #[test]
    fn calls_come_before_returns_of_the_same_position() {
        let interval = |called, returned| Interval { called, returned };
        let events = Events::new(&[interval(3, Some(5)), interval(1, Some(3)), interval(2, None)]);
        use Event::{Call, Return};
        assert_eq!(listed(&events), [Call(1), Call(2), Call(0), Return(1), Return(0)]);
    }

    #[test]
    fn what_is_lifted_comes_back_to_its_place() {
        let interval = |called| Interval { called, returned: Some(called + 3) };
        let mut events = Events::new(&[interval(0), interval(1), interval(2)]);
        let whole = listed(&events);
        let first = events.first();
        let second = events.after(first);
        events.lift(second);
        events.lift(first);
        assert_eq!(listed(&events), [Event::Call(2), Event::Return(2)]);
        events.unlift(first);
        events.unlift(second);
        assert_eq!(listed(&events), whole);
    }
}
