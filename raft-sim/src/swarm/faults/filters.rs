//! Faults that pick their messages: replies that are lost or late, bytes that are mangled, streams that are reset.

use std::time::Duration;

use super::{Nemesis, Scene};
use crate::net::{Kind, Letter, Verdict};
use crate::swarm::dice::{Dice, Span, millis};
use crate::swarm::nodes::Nodes;

/// What is done to which messages; each number is of a thousand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filters {
    /// Replies that are lost.
    pub replies_lost: u16,
    /// Replies that are late.
    pub replies_late: u16,
    /// How late.
    pub late: Span,
    /// Messages, or pieces of a stream, in which a bit is flipped.
    pub mangled: u16,
    /// Pieces of a stream at which it is reset.
    pub resets: u16,
}

impl Filters {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        let some = |dice: &mut Dice, max: u64| match dice.percent(50) {
            true => dice.scaled(1, max) as u16,
            false => 0,
        };
        Self {
            replies_lost: some(dice, 700),
            replies_late: some(dice, 660),
            late: millis(200, 2200),
            mangled: some(dice, 20),
            resets: some(dice, 10),
        }
    }

    fn verdict(&self, letter: &Letter<'_>, dice: &mut Dice) -> Verdict {
        let drawn = dice.between(0, 999) as u16;
        if letter.kind.is_reply() {
            if drawn < self.replies_lost {
                return Verdict::Drop;
            }
            if drawn < self.replies_lost + self.replies_late {
                return Verdict::Delay(dice.time(self.late));
            }
        }
        // From the other end, for what is a reply too.
        let drawn = 999 - drawn;
        if drawn < self.mangled {
            Verdict::Corrupt
        } else if letter.kind == Kind::Segment && drawn < self.mangled + self.resets {
            Verdict::Reset
        } else {
            Verdict::Pass
        }
    }
}

pub(super) struct Filtering {
    plan: Filters,
    dice: Dice,
    due: Duration,
}

impl Filtering {
    pub(super) fn new(plan: Filters, dice: Dice) -> Self {
        Self { plan, dice, due: Duration::ZERO }
    }
}

impl<C: Nodes> Nemesis<C> for Filtering {
    fn due(&self) -> Duration {
        self.due
    }

    fn act(&mut self, scene: &mut Scene<'_, C>) {
        self.due = Duration::MAX;
        scene.note("filters", None);
        let (plan, mut dice) = (self.plan.clone(), self.dice.clone());
        scene.cluster.net().set_filter(move |letter| plan.verdict(letter, &mut dice));
    }

    fn stop(&mut self, scene: &mut Scene<'_, C>) {
        scene.cluster.net().clear_filter();
    }
}
