//! All nodes crash at once.

use std::time::Duration;

use super::{Nemesis, Scene};
use crate::swarm::dice::{Dice, Span, millis};
use crate::swarm::nodes::Nodes;
use crate::swarm::ward::End;

/// How often, and for how long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outages {
    /// Between two of them.
    pub every: Span,
    /// How long it takes until the nodes are there again, each for itself.
    pub down: Span,
}

impl Outages {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        Self {
            every: millis(2000, dice.scaled(5000, 30_000)),
            down: millis(0, dice.scaled(10, 5000)),
        }
    }
}

pub(super) struct Blackouts {
    plan: Outages,
    dice: Dice,
    due: Duration,
}

impl Blackouts {
    pub(super) fn new(plan: Outages, mut dice: Dice) -> Self {
        let due = dice.time(plan.every);
        Self { plan, dice, due }
    }
}

impl<C: Nodes> Nemesis<C> for Blackouts {
    fn due(&self) -> Duration {
        self.due
    }

    fn act(&mut self, scene: &mut Scene<'_, C>) {
        self.due = scene.now() + self.dice.time(self.plan.every);
        scene.note("outage of all nodes", None);
        for at in 0..scene.cluster.len() {
            let (end, down) = (End::draw(&mut self.dice), self.dice.time(self.plan.down));
            scene.ward.take_down(scene.cluster, scene.tally, at, end, down);
        }
    }

    fn stop(&mut self, _: &mut Scene<'_, C>) {}
}
