//! Operations on disks that fail, and disks that are full for a while. A node may stop because of that, with an
//! error that says so; started again it must have all it had.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Nemesis, Scene};
use crate::disk::{Failure, OpKind};
use crate::swarm::dice::{Dice, Span, millis};
use crate::swarm::nodes::Nodes;

/// How often disks fail, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiskErrors {
    /// Between two of them.
    pub every: Span,
    /// Of a hundred, those that are a full disk.
    pub full: u32,
    /// How long a disk stays full.
    pub full_for: Span,
    /// The operations that fail.
    pub kinds: Vec<OpKind>,
}

const KINDS: [OpKind; 12] = OpKind::ALL;

impl DiskErrors {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        let kinds = match dice.percent(60) {
            true => KINDS.to_vec(),
            false => vec![dice.pick(&[OpKind::Write, OpKind::Sync, OpKind::Read, OpKind::Rename])],
        };
        Self {
            every: millis(500, dice.scaled(1000, 20_000)),
            full: dice.pick(&[0, 30, 100]),
            full_for: millis(500, 8000),
            kinds,
        }
    }
}

pub(super) struct Breaking {
    plan: DiskErrors,
    dice: Dice,
    next: Duration,
    full: BTreeMap<usize, Duration>,
}

impl Breaking {
    pub(super) fn new(plan: DiskErrors, mut dice: Dice) -> Self {
        let next = dice.time(plan.every);
        Self { plan, dice, next, full: BTreeMap::new() }
    }

    fn relieve<C: Nodes>(&mut self, scene: &mut Scene<'_, C>, now: Duration) {
        self.full.retain(|at, until| {
            let stays = *until > now;
            if !stays {
                scene.cluster.disk(*at).set_capacity(None);
            }
            stays
        });
    }
}

impl<C: Nodes> Nemesis<C> for Breaking {
    fn due(&self) -> Duration {
        self.full.values().copied().fold(self.next, Duration::min)
    }

    fn act(&mut self, scene: &mut Scene<'_, C>) {
        let now = scene.now();
        self.relieve(scene, now);
        if self.next > now {
            return;
        }
        self.next = now + self.dice.time(self.plan.every);
        let at = scene.victim(&mut self.dice);
        scene.ward.excuse(at);
        let room = self.dice.between(0, 64 << 10);
        let until = now + self.dice.time(self.plan.full_for);
        let disk = scene.cluster.disk(at);
        if self.dice.percent(self.plan.full) {
            disk.set_capacity(Some(disk.disk_bytes() + room));
            self.full.insert(at, until);
            scene.note("full disk", Some(at));
            return;
        }
        let (kind, nth) = (self.dice.pick(&self.plan.kinds), self.dice.scaled(1, 30));
        // Only what takes space finds none.
        let failure = match kind.is_change() && kind != OpKind::Remove && self.dice.percent(30) {
            true => Failure::Full,
            false => Failure::Io,
        };
        disk.fail(kind, nth, failure);
        scene.note("disk error appointed", Some(at));
    }

    fn stop(&mut self, scene: &mut Scene<'_, C>) {
        for at in 0..scene.cluster.len() {
            scene.cluster.disk(at).calm();
        }
    }
}
