//! [`Changes`]: what has changed since somebody began to ask, in the order of the last change.

use imbl::OrdMap;

use crate::blob::Blob;
use crate::command::SessionId;

/// Something that has changed, or is gone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Touched {
    /// A key.
    Key(Blob),
    /// A session.
    Session(SessionId),
}

/// What was touched, each with the number of its last change. Changes are numbered from one, equally on all
/// replicas that began at the same command. A clone is a view, at no cost.
///
/// Invariants: `numbers` and `order` are inverse to each other; the highest number is among them.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Changes {
    numbers: OrdMap<Touched, u64>,
    order: OrdMap<u64, Touched>,
}

impl Changes {
    /// The number of the last change; zero if there was none.
    pub fn last(&self) -> u64 {
        self.order.get_max().map_or(0, |(number, _)| *number)
    }

    /// How many things have changed.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether nothing has.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// What has changed last after the change of this number, in order.
    pub fn after(&self, number: u64) -> impl Iterator<Item = (u64, &Touched)> {
        let from = number.saturating_add(1);
        self.order.range(from..).map(|(number, touched)| (*number, touched))
    }

    /// What was touched by its name, and by its number.
    pub(crate) fn into_parts(self) -> (OrdMap<Touched, u64>, OrdMap<u64, Touched>) {
        (self.numbers, self.order)
    }

    pub(crate) fn touch(&mut self, touched: Touched) {
        let number = self.last().saturating_add(1);
        if let Some(before) = self.numbers.insert(touched.clone(), number) {
            self.order.remove(&before);
        }
        self.order.insert(number, touched);
    }

    /// Adds what a snapshot has: a change with a higher number than all others, of something that is not
    /// there yet. Says whether it was that.
    pub fn push(&mut self, number: u64, touched: Touched) -> bool {
        let fits = number > self.last() && !self.numbers.contains_key(&touched);
        if fits {
            self.numbers.insert(touched.clone(), number);
            self.order.insert(number, touched);
        }
        fits
    }
}
