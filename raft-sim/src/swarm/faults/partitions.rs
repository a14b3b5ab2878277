//! Partitions: of all shapes, in both directions or in one, for long or flapping.

use std::time::Duration;

use super::{Nemesis, Scene};
use crate::net::HostId;
use crate::swarm::dice::{Dice, Span, millis};
use crate::swarm::nodes::Nodes;

/// When there are partitions, and of which shapes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Partitions {
    /// How long one lasts.
    pub on: Span,
    /// How long there is none.
    pub off: Span,
    /// Any of these.
    pub shapes: Vec<Shape>,
    /// Of a hundred, those that are in one direction.
    pub one_way: u32,
}

/// Who is cut off from whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// Two sides, of any size.
    Halves,
    /// One node.
    One,
    /// The leader.
    Leader,
    /// Two sides that hear one node in common.
    Bridge,
    /// Everybody hears two neighbours only.
    Ring,
    /// The leader hears less than a quorum, and each of the others all but the leader.
    Swizzle,
}

const SHAPES: [Shape; 6] =
    [Shape::Halves, Shape::One, Shape::Leader, Shape::Bridge, Shape::Ring, Shape::Swizzle];

impl Partitions {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        let flapping = dice.percent(25);
        let (on, off) = match flapping {
            true => (millis(25, 500), millis(25, 500)),
            false => (millis(200, 10_000), millis(0, 10_000)),
        };
        let shapes = match dice.percent(50) {
            true => SHAPES.to_vec(),
            false => vec![dice.pick(&SHAPES)],
        };
        Self { on, off, shapes, one_way: dice.pick(&[0, 30, 100]) }
    }
}

pub(super) struct Partitioning {
    plan: Partitions,
    dice: Dice,
    due: Duration,
    is_on: bool,
}

impl Partitioning {
    pub(super) fn new(plan: Partitions, mut dice: Dice) -> Self {
        let due = dice.time(plan.off);
        Self { plan, dice, due, is_on: false }
    }

    /// The directed links to cut, by number of the nodes.
    fn cuts(&mut self, count: usize, leader: usize) -> Vec<(usize, usize)> {
        let order = self.dice.shuffled(count);
        let half = self.dice.between(1, count as u64 - 1) as usize;
        let shape = self.dice.pick(&self.plan.shapes);
        let apart = |a: usize, b: usize| {
            let place = |node| order.iter().position(|there| *there == node).unwrap_or_default();
            let (at, bt) = (place(a), place(b));
            match shape {
                Shape::Halves => (at < half) != (bt < half),
                Shape::One => at == 0 || bt == 0,
                Shape::Leader => a == leader || b == leader,
                // The first in the order is the bridge.
                Shape::Bridge => at > 0 && bt > 0 && (at <= count / 2) != (bt <= count / 2),
                Shape::Ring => !matches!(at.abs_diff(bt), 1) && at.abs_diff(bt) != count - 1,
                Shape::Swizzle => (a == leader || b == leader) && at.max(bt) >= count.div_ceil(2),
            }
        };
        let pairs = (0..count).flat_map(|a| (0..count).map(move |b| (a, b)));
        let mut cuts: Vec<(usize, usize)> =
            pairs.filter(|(a, b)| a != b && apart(*a, *b)).collect();
        if self.dice.percent(self.plan.one_way) {
            let forth = self.dice.percent(50);
            let place = |node| order.iter().position(|there| *there == node);
            cuts.retain(|(a, b)| (place(*a) < place(*b)) == forth);
        }
        cuts
    }
}

impl<C: Nodes> Nemesis<C> for Partitioning {
    fn due(&self) -> Duration {
        self.due
    }

    fn act(&mut self, scene: &mut Scene<'_, C>) {
        let (now, count) = (scene.now(), scene.cluster.len());
        self.is_on = !self.is_on && count > 1;
        if !self.is_on {
            scene.cluster.net().heal();
            self.due = now + self.dice.time(self.plan.off).max(Duration::from_millis(1));
            return;
        }
        self.due = now + self.dice.time(self.plan.on);
        let leader = match &scene.cluster.leading()[..] {
            [] => self.dice.index(count),
            [one] => *one,
            several => self.dice.pick(several),
        };
        let cuts = self.cuts(count, leader);
        let one_way = cuts.iter().any(|(a, b)| !cuts.contains(&(*b, *a)));
        scene.note(if one_way { "one-way partition" } else { "partition" }, None);
        let host = |at: usize| -> HostId { scene.cluster.host(at) };
        for (from, to) in cuts {
            scene.cluster.net().cut(host(from), host(to));
        }
    }

    fn stop(&mut self, scene: &mut Scene<'_, C>) {
        scene.cluster.net().heal();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts(shape: Shape, one_way: u32, count: usize) -> Vec<(usize, usize)> {
        let (on, off) = (millis(1, 1), millis(1, 1));
        let plan = Partitions { on, off, shapes: vec![shape], one_way };
        Partitioning::new(plan, Dice::new(3, "test")).cuts(count, 2)
    }

    /// How many others each node can talk to, both ways.
    fn degrees(cuts: &[(usize, usize)], count: usize) -> Vec<usize> {
        let open =
            |a: usize, b: usize| a != b && !cuts.contains(&(a, b)) && !cuts.contains(&(b, a));
        (0..count).map(|a| (0..count).filter(|b| open(a, *b)).count()).collect()
    }

    #[test]
    fn shapes_are_what_they_are_called() {
        assert_eq!(degrees(&cuts(Shape::Leader, 0, 5), 5), [3, 3, 0, 3, 3]);
        let mut one = degrees(&cuts(Shape::One, 0, 5), 5);
        one.sort_unstable();
        assert_eq!(one, [0, 3, 3, 3, 3]);
        let mut bridge = degrees(&cuts(Shape::Bridge, 0, 5), 5);
        bridge.sort_unstable();
        assert_eq!(bridge, [2, 2, 2, 2, 4]);
        assert_eq!(degrees(&cuts(Shape::Ring, 0, 5), 5), [2; 5]);
        let swizzle = degrees(&cuts(Shape::Swizzle, 0, 5), 5);
        assert!(swizzle[2] < 3, "{swizzle:?}");
        let halves = cuts(Shape::Halves, 0, 5);
        assert!(!halves.is_empty() && halves.iter().all(|(a, b)| halves.contains(&(*b, *a))));
    }

    #[test]
    fn one_way_partitions_are_in_one_direction() {
        for shape in [Shape::Halves, Shape::One, Shape::Leader, Shape::Bridge] {
            let cuts = cuts(shape, 100, 5);
            assert!(!cuts.is_empty() && cuts.iter().all(|(a, b)| !cuts.contains(&(*b, *a))));
        }
    }
}
