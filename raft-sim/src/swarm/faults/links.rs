//! Links that lose, double, delay and reorder, and some that are slow.

use std::time::Duration;

use super::{Nemesis, Scene};
use crate::net::{Link, PerMille};
use crate::swarm::dice::{Dice, Span, millis};
use crate::swarm::nodes::Nodes;

/// How bad links are. One in two plans is of links that are all alike; in the others each direction has its
/// own part of everything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Links {
    /// Of a thousand messages.
    pub loss: u16,
    /// Of a thousand messages.
    pub duplicates: u16,
    /// The latency of a message is drawn from this.
    pub latency: Span,
    /// Messages, of a thousand, that arrive much later.
    pub detours: u16,
    /// How much later at most: long enough to be of another term, and of another life of the sender.
    pub detour: Duration,
    /// Bytes per second.
    pub bandwidth: Option<u64>,
    /// Whether all links are alike.
    pub alike: bool,
}

impl Links {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        let some =
            |dice: &mut Dice, max: u64| if dice.percent(50) { dice.between(1, max) } else { 0 };
        let least = dice.between(0, 30);
        let mean = dice.scaled(1, 100);
        Self {
            loss: some(dice, 300) as u16,
            duplicates: some(dice, 200) as u16,
            latency: (
                Duration::from_micros(least * 1000 + 100),
                Duration::from_millis(least + 2 * mean),
            ),
            detours: some(dice, 50) as u16,
            detour: dice.time(millis(100, 30_000)),
            bandwidth: dice.percent(20).then(|| dice.scaled(30_000, 2_000_000)),
            alike: dice.percent(50),
        }
    }

    fn link(&self, part: u64) -> Link {
        let of = |whole: u64| whole * part / 100;
        let (low, high) = self.latency;
        let mut link = Link::with_latency(low, low + (high - low) * part as u32 / 100);
        link.loss = PerMille(of(u64::from(self.loss)) as u16);
        link.duplicates = PerMille(of(u64::from(self.duplicates)) as u16);
        link.detours = PerMille(of(u64::from(self.detours)) as u16);
        link.detour = self.detour;
        link.bandwidth = self.bandwidth;
        link
    }
}

pub(super) struct BadLinks {
    plan: Links,
    dice: Dice,
    due: Duration,
}

impl BadLinks {
    pub(super) fn new(plan: Links, dice: Dice) -> Self {
        Self { plan, dice, due: Duration::ZERO }
    }
}

impl<C: Nodes> Nemesis<C> for BadLinks {
    fn due(&self) -> Duration {
        self.due
    }

    fn act(&mut self, scene: &mut Scene<'_, C>) {
        self.due = Duration::MAX;
        scene.note("bad links", None);
        let hosts: Vec<_> = (0..scene.cluster.len()).map(|at| scene.cluster.host(at)).collect();
        for from in &hosts {
            for to in hosts.iter().filter(|to| *to != from) {
                let part = if self.plan.alike { 100 } else { self.dice.between(0, 100) };
                let link = self.plan.link(part);
                scene.cluster.net().change_link(*from, *to, |old| {
                    let cut = std::mem::replace(old, link.clone()).cut;
                    old.cut = cut;
                });
            }
        }
    }

    fn stop(&mut self, scene: &mut Scene<'_, C>) {
        scene.cluster.net().change_links(|link| {
            let cut = std::mem::take(link).cut;
            link.cut = cut;
        });
    }
}
