//! What goes wrong with groups as a whole, beside what goes wrong with nodes.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::net::HostId;
use crate::shardkv::ShardCluster;
use crate::swarm::{Dice, End, Nemesis, Nodes, Scene, Span, millis};

/// Sets of processes that cannot reach each other: the controller, a group, the clients, the operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rifts {
    /// How long one lasts.
    pub on: Span,
    /// How long there is none.
    pub off: Span,
    /// Of a hundred, those that are in one direction.
    pub one_way: u32,
}

/// All nodes of one group crash at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupOutages {
    /// Between two of them.
    pub every: Span,
    /// How long it takes until the nodes are there again, each for itself.
    pub down: Span,
}

/// Some nodes lose their disks, and are gone for ever; of each group a minority.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LostDisks {
    /// Between two of them.
    pub every: Span,
}

/// What goes wrong with groups; `None` is a class that is off.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the types say it")]
pub struct GroupFaults {
    pub rifts: Option<Rifts>,
    pub outages: Option<GroupOutages>,
    pub lost_disks: Option<LostDisks>,
}

impl GroupFaults {
    pub(super) fn draw(seed: u64) -> Self {
        fn on<P>(seed: u64, class: &str, plan: impl FnOnce(&mut Dice) -> P) -> Option<P> {
            let mut dice = Dice::new(seed, class);
            (dice.between(1, 3) > 1).then(|| plan(&mut dice))
        }
        Self {
            rifts: on(seed, "rifts", |dice| Rifts {
                on: millis(50, dice.scaled(200, 5000)),
                off: millis(100, dice.scaled(500, 10_000)),
                one_way: dice.pick(&[0, 30, 100]),
            }),
            outages: on(seed, "group outages", |dice| GroupOutages {
                every: millis(500, dice.scaled(2000, 20_000)),
                down: millis(0, dice.scaled(10, 4000)),
            }),
            lost_disks: on(seed, "lost disks", |dice| LostDisks {
                every: millis(1000, dice.scaled(5000, 60_000)),
            }),
        }
    }

    /// The same with one class less, each in turn.
    pub(super) fn simpler(&self) -> Vec<(&'static str, Self)> {
        let mut all = Vec::new();
        if self.rifts.is_some() {
            all.push(("without rifts", Self { rifts: None, ..self.clone() }));
        }
        if self.outages.is_some() {
            all.push(("without outages of groups", Self { outages: None, ..self.clone() }));
        }
        if self.lost_disks.is_some() {
            all.push(("without lost disks", Self { lost_disks: None, ..self.clone() }));
        }
        all
    }
}

/// Carries [`Rifts`] out.
pub(super) struct Rifting {
    plan: Rifts,
    dice: Dice,
    due: Duration,
    clients: Vec<HostId>,
    cut: Vec<(HostId, HostId)>,
}

impl Rifting {
    pub(super) fn new(plan: Rifts, mut dice: Dice, clients: Vec<HostId>) -> Self {
        let due = dice.time(plan.off);
        Self { plan, dice, due, clients, cut: Vec::new() }
    }

    fn mend(&mut self, scene: &Scene<'_, ShardCluster>) {
        for (from, to) in std::mem::take(&mut self.cut) {
            scene.cluster.net().mend(from, to);
        }
    }
}

impl Nemesis<ShardCluster> for Rifting {
    fn due(&self) -> Duration {
        self.due
    }

    fn act(&mut self, scene: &mut Scene<'_, ShardCluster>) {
        let now = scene.now();
        if !self.cut.is_empty() {
            self.mend(scene);
            self.due = now + self.dice.time(self.plan.off);
            return;
        }
        self.due = now + self.dice.time(self.plan.on);
        let groups = scene.cluster.groups().into_iter();
        let mut sets: Vec<Vec<HostId>> = groups
            .map(|nodes| nodes.into_iter().map(|at| scene.cluster.host(at)).collect())
            .collect();
        sets.push(self.clients.clone());
        sets.push(vec![scene.cluster.operator()]);
        let order = self.dice.shuffled(sets.len());
        let (these, those) = (&sets[order[0]], &sets[order[1]]);
        let one_way = self.dice.percent(self.plan.one_way);
        scene.note(if one_way { "one-way rift" } else { "rift" }, None);
        for (a, b) in these.iter().flat_map(|a| those.iter().map(move |b| (*a, *b))) {
            self.cut.push((a, b));
            if !one_way {
                self.cut.push((b, a));
            }
        }
        for (from, to) in &self.cut {
            scene.cluster.net().cut(*from, *to);
        }
    }

    fn stop(&mut self, scene: &mut Scene<'_, ShardCluster>) {
        self.mend(scene);
    }
}

/// Carries [`GroupOutages`] out.
pub(super) struct Darkening {
    plan: GroupOutages,
    dice: Dice,
    due: Duration,
}

impl Darkening {
    pub(super) fn new(plan: GroupOutages, mut dice: Dice) -> Self {
        let due = dice.time(plan.every);
        Self { plan, dice, due }
    }
}

impl Nemesis<ShardCluster> for Darkening {
    fn due(&self) -> Duration {
        self.due
    }

    fn act(&mut self, scene: &mut Scene<'_, ShardCluster>) {
        self.due = scene.now() + self.dice.time(self.plan.every);
        scene.note("outage of a group", None);
        let group = self.dice.pick(&scene.cluster.groups());
        for at in group {
            let (end, down) = (End::draw(&mut self.dice), self.dice.time(self.plan.down));
            scene.ward.take_down(scene.cluster, scene.tally, at, end, down);
        }
    }

    fn stop(&mut self, _: &mut Scene<'_, ShardCluster>) {}
}

/// Carries [`LostDisks`] out.
pub(super) struct Losing {
    plan: LostDisks,
    dice: Dice,
    due: Duration,
    lost: BTreeSet<usize>,
}

impl Losing {
    pub(super) fn new(plan: LostDisks, mut dice: Dice) -> Self {
        let due = dice.time(plan.every);
        Self { plan, dice, due, lost: BTreeSet::new() }
    }
}

impl Nemesis<ShardCluster> for Losing {
    fn due(&self) -> Duration {
        self.due
    }

    fn act(&mut self, scene: &mut Scene<'_, ShardCluster>) {
        self.due = scene.now() + self.dice.time(self.plan.every);
        let group = self.dice.pick(&scene.cluster.groups());
        let at = self.dice.pick(&group);
        let gone = group.iter().filter(|at| self.lost.contains(at)).count();
        if gone < (group.len() - 1) / 2 && self.lost.insert(at) {
            scene.ward.lose(scene.cluster, scene.tally, at);
        }
    }

    fn stop(&mut self, _: &mut Scene<'_, ShardCluster>) {}
}
