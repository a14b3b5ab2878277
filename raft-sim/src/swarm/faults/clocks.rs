//! Clocks that go too fast, too slowly, or jump ahead.

use std::time::Duration;

use super::{Nemesis, Scene};
use crate::swarm::dice::{Dice, Span, millis};
use crate::swarm::nodes::Nodes;

/// How wrong clocks are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Clocks {
    /// Thousandths by which a clock is too fast or too slow at the most.
    pub drift: u64,
    /// How long until one of them changes.
    pub every: Span,
    /// How far one jumps ahead then, in one of four cases.
    pub jump: Span,
}

impl Clocks {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        let drift = dice.between(1, 200);
        Self { drift, every: millis(500, 10_000), jump: millis(1, dice.scaled(10, 5000)) }
    }
}

pub(super) struct Drifting {
    plan: Clocks,
    dice: Dice,
    due: Duration,
}

impl Drifting {
    pub(super) fn new(plan: Clocks, dice: Dice) -> Self {
        Self { plan, dice, due: Duration::ZERO }
    }
}

impl<C: Nodes> Nemesis<C> for Drifting {
    fn due(&self) -> Duration {
        self.due
    }

    fn act(&mut self, scene: &mut Scene<'_, C>) {
        self.due = scene.now() + self.dice.time(self.plan.every);
        let at = self.dice.index(scene.cluster.len());
        let host = scene.cluster.host(at);
        let rate = self.dice.between(1000 - self.plan.drift, 1000 + self.plan.drift);
        scene.cluster.sim().set_rate(host, rate as u32);
        scene.note("clock drift", Some(at));
        let jump = self.dice.time(self.plan.jump);
        if self.dice.percent(25) && !scene.cluster.sim().is_paused(host) {
            scene.cluster.sim().jump(host, jump);
            scene.note("clock jump", Some(at));
        }
    }

    fn stop(&mut self, scene: &mut Scene<'_, C>) {
        for at in 0..scene.cluster.len() {
            let host = scene.cluster.host(at);
            scene.cluster.sim().set_rate(host, 1000);
        }
    }
}
