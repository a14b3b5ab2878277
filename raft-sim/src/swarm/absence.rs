//! [`Absence`] of a [`Minority`]: nodes that take no part, while a quorum has nothing to complain of.

use std::collections::BTreeSet;

use super::dice::Dice;
use super::faults::note;
use super::nodes::Nodes;
use super::tally::Tally;
use super::ward::Ward;
use crate::net::HostId;

/// How a minority takes no part when the other faults have ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Minority {
    /// They are down.
    Down,
    /// They hear no other node, and are heard.
    Deaf,
    /// No other node hears them, and they hear.
    Mute,
}

impl Minority {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        dice.pick(&[Self::Down, Self::Deaf, Self::Mute])
    }
}

/// Which nodes take no part. A quorum of the others serves all the same.
pub struct Absence {
    how: Minority,
    nodes: BTreeSet<usize>,
}

impl Absence {
    /// Some minority of each group, with its leader in it as often as not; or nobody. Those that are gone for ever are
    /// a part of the minority already.
    pub fn draw<C: Nodes>(
        minority: Option<Minority>,
        dice: &mut Dice,
        cluster: &C,
        ward: &Ward,
    ) -> Self {
        let Some(how) = minority else {
            return Self { how: Minority::Down, nodes: BTreeSet::new() };
        };
        let mut absent = BTreeSet::new();
        for (number, group) in cluster.groups().iter().enumerate() {
            let is_there = |at: &usize| !ward.has_lost(*at);
            let there = group.iter().filter(|at| is_there(at)).count();
            let most = ((group.len() - 1) / 2).saturating_sub(group.len() - there);
            if most == 0 {
                continue;
            }
            let count = 1 + dice.index(most);
            let leader = cluster.leader_of(number).filter(|_| dice.percent(50));
            let order = dice.shuffled(group.len()).into_iter().map(|at| group[at]).filter(is_there);
            let nodes = leader.into_iter().chain(order.filter(|at| Some(*at) != leader));
            absent.extend(nodes.take(count));
        }
        Self { how, nodes: absent }
    }

    /// Whether anybody is absent.
    pub fn is_any(&self) -> bool {
        !self.nodes.is_empty()
    }

    /// Whether this node is.
    pub fn has(&self, at: usize) -> bool {
        self.nodes.contains(&at)
    }

    /// Starts every node that is to run, and cuts the links of those that are deaf or mute.
    pub fn begin<C: Nodes>(&self, cluster: &mut C, ward: &mut Ward, tally: &mut Tally) {
        let down = if self.how == Minority::Down { self.nodes.clone() } else { BTreeSet::new() };
        ward.discharge(cluster, tally, &down);
        if !self.is_any() {
            return;
        }
        let what = match self.how {
            Minority::Down => "quorum only",
            Minority::Deaf => "deaf minority",
            Minority::Mute => "mute minority",
        };
        note(cluster, tally, what, None);
        let hosts: Vec<HostId> = (0..cluster.len()).map(|at| cluster.host(at)).collect();
        for at in &self.nodes {
            for other in hosts.iter().filter(|other| **other != hosts[*at]) {
                match self.how {
                    Minority::Down => {}
                    Minority::Deaf => cluster.net().cut(*other, hosts[*at]),
                    Minority::Mute => cluster.net().cut(hosts[*at], *other),
                }
            }
        }
    }

    /// Everybody takes part again.
    pub fn end<C: Nodes>(&self, cluster: &mut C, ward: &mut Ward, tally: &mut Tally) {
        cluster.net().heal();
        ward.discharge(cluster, tally, &BTreeSet::new());
    }
}
