//! Processes that stand still without noticing, and go on as if nothing had been.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Nemesis, Scene};
use crate::net::HostId;
use crate::swarm::dice::{Dice, Span, millis};
use crate::swarm::nodes::Nodes;

/// How often, and for how long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pauses {
    /// Between two of them.
    pub every: Span,
    /// How long one is.
    pub length: Span,
}

impl Pauses {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        Self {
            every: millis(200, dice.scaled(1000, 20_000)),
            length: millis(100, dice.scaled(300, 10_000)),
        }
    }
}

pub(super) struct Pausing {
    plan: Pauses,
    dice: Dice,
    next: Duration,
    paused: BTreeMap<HostId, Duration>,
}

impl Pausing {
    pub(super) fn new(plan: Pauses, mut dice: Dice) -> Self {
        let next = dice.time(plan.every);
        Self { plan, dice, next, paused: BTreeMap::new() }
    }
}

impl<C: Nodes> Nemesis<C> for Pausing {
    fn due(&self) -> Duration {
        self.paused.values().copied().fold(self.next, Duration::min)
    }

    fn act(&mut self, scene: &mut Scene<'_, C>) {
        let now = scene.now();
        let over: Vec<HostId> =
            self.paused.iter().filter(|(_, until)| **until <= now).map(|(host, _)| *host).collect();
        for host in over {
            self.paused.remove(&host);
            scene.cluster.sim().resume(host);
        }
        if self.next <= now {
            self.next = now + self.dice.time(self.plan.every);
            let victim = scene.victim(&mut self.dice);
            let host = scene.cluster.host(victim);
            let until = now + self.dice.time(self.plan.length);
            if scene.cluster.is_up(victim) && !self.paused.contains_key(&host) {
                scene.note("pause of a process", Some(victim));
                scene.cluster.sim().pause(host);
                self.paused.insert(host, until);
            }
        }
    }

    fn stop(&mut self, scene: &mut Scene<'_, C>) {
        for host in std::mem::take(&mut self.paused).into_keys() {
            scene.cluster.sim().resume(host);
        }
    }
}
