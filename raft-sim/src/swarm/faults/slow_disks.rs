//! Disks on which syncs take long, or no end.

use std::time::Duration;

use super::{Nemesis, Scene};
use crate::disk::{OpKind, SyncGate};
use crate::swarm::dice::{Dice, Span, millis};
use crate::swarm::nodes::Nodes;

/// How slow disks are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlowDisks {
    /// The longest a sync takes; each disk draws its own below that.
    pub sync: Duration,
    /// How long until something changes.
    pub every: Span,
    /// Of a hundred, the changes after which the syncs of a disk stall.
    pub stalls: u32,
    /// For how long.
    pub stalled: Span,
}

impl SlowDisks {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        Self {
            sync: Duration::from_millis(dice.scaled(1, 500)),
            every: millis(500, 10_000),
            stalls: dice.pick(&[0, 30, 100]),
            stalled: millis(200, 5000),
        }
    }
}

pub(super) struct Slowing {
    plan: SlowDisks,
    dice: Dice,
    next: Duration,
    stalled: Option<(usize, Duration)>,
}

impl Slowing {
    pub(super) fn new(plan: SlowDisks, dice: Dice) -> Self {
        Self { plan, dice, next: Duration::ZERO, stalled: None }
    }
}

impl<C: Nodes> Nemesis<C> for Slowing {
    fn due(&self) -> Duration {
        self.stalled.map_or(self.next, |(_, until)| until.min(self.next))
    }

    fn act(&mut self, scene: &mut Scene<'_, C>) {
        let now = scene.now();
        if let Some((at, _)) = self.stalled.take_if(|(_, until)| *until <= now) {
            scene.cluster.disk(at).set_sync_gate(SyncGate::Open);
        }
        if self.next > now {
            return;
        }
        self.next = now + self.dice.time(self.plan.every);
        let at = scene.victim(&mut self.dice);
        let longest = self.dice.time((Duration::ZERO, self.plan.sync));
        for kind in [OpKind::Sync, OpKind::SyncDir] {
            scene.cluster.disk(at).set_latency(kind, Duration::ZERO..=longest);
        }
        scene.note("slow disk", Some(at));
        let until = now + self.dice.time(self.plan.stalled);
        if self.dice.percent(self.plan.stalls) && self.stalled.is_none() {
            scene.cluster.disk(at).set_sync_gate(SyncGate::Stalled);
            self.stalled = Some((at, until));
            scene.note("stalled disk", Some(at));
        }
    }

    fn stop(&mut self, scene: &mut Scene<'_, C>) {
        for at in 0..scene.cluster.len() {
            let disk = scene.cluster.disk(at);
            disk.set_sync_gate(SyncGate::Open);
            for kind in [OpKind::Sync, OpKind::SyncDir] {
                disk.set_latency(kind, Duration::ZERO..=Duration::ZERO);
            }
        }
    }
}
