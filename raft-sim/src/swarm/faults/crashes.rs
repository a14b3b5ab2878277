//! Single nodes crash: at any time, at an effect that is drawn, and again while they recover.

use std::time::Duration;

use super::{Nemesis, Scene};
use crate::swarm::dice::{Dice, Span, millis};
use crate::swarm::nodes::Nodes;
use crate::swarm::ward::End;

/// How often, and for how long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Crashes {
    /// Between two of them.
    pub every: Span,
    /// How long a node stays down.
    pub down: Span,
    /// Of a hundred, those after which the node crashes at some effect in its next life.
    pub at_points: u32,
}

impl Crashes {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        let most = dice.scaled(1000, 60_000);
        Self {
            every: millis(500, most),
            down: millis(0, dice.scaled(100, 30_000)),
            at_points: dice.pick(&[0, 50, 90]),
        }
    }
}

pub(super) struct Crashing {
    plan: Crashes,
    dice: Dice,
    due: Duration,
}

impl Crashing {
    pub(super) fn new(plan: Crashes, mut dice: Dice) -> Self {
        let due = dice.time(plan.every);
        Self { plan, dice, due }
    }
}

impl<C: Nodes> Nemesis<C> for Crashing {
    fn due(&self) -> Duration {
        self.due
    }

    fn act(&mut self, scene: &mut Scene<'_, C>) {
        self.due = scene.now() + self.dice.time(self.plan.every);
        let victim = scene.victim(&mut self.dice);
        let (end, down) = (End::draw(&mut self.dice), self.dice.time(self.plan.down));
        if self.dice.percent(self.plan.at_points) {
            scene.ward.arm(victim);
        }
        scene.ward.take_down(scene.cluster, scene.tally, victim, end, down);
    }

    fn stop(&mut self, _: &mut Scene<'_, C>) {}
}
