//! [`Absence`]: a minority that takes no part, while a quorum has nothing to complain of.

use std::collections::BTreeSet;

use raft_core::StateMachine;

use super::dice::Dice;
use super::faults::note;
use super::tally::Tally;
use super::ward::Ward;
use crate::cluster::Cluster;
use crate::net::HostId;

/// How nodes take no part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum How {
    /// They are down.
    Down,
    /// They hear no other node, and are heard.
    Deaf,
    /// No other node hears them, and they hear.
    Mute,
}

/// Which nodes take no part. A quorum of the others serves all the same.
pub struct Absence {
    how: How,
    nodes: BTreeSet<usize>,
}

impl Absence {
    /// In one of three cases some minority, with the leader in it as often as not.
    pub fn draw<S: StateMachine>(dice: &mut Dice, cluster: &Cluster<S>) -> Self {
        let minority = (cluster.len() - 1) / 2;
        let how = dice.pick(&[How::Down, How::Deaf, How::Mute]);
        if minority == 0 || !dice.percent(33) {
            return Self { how, nodes: BTreeSet::new() };
        }
        let count = 1 + dice.index(minority);
        let leader = cluster.leader().filter(|_| dice.percent(50));
        let order = dice.shuffled(cluster.len());
        let nodes = leader.into_iter().chain(order.into_iter().filter(|at| Some(*at) != leader));
        Self { how, nodes: nodes.take(count).collect() }
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
    pub fn begin<S: StateMachine>(
        &self,
        cluster: &mut Cluster<S>,
        ward: &mut Ward,
        tally: &mut Tally,
    ) {
        let down = if self.how == How::Down { self.nodes.clone() } else { BTreeSet::new() };
        ward.discharge(cluster, tally, &down);
        if !self.is_any() {
            return;
        }
        let what = match self.how {
            How::Down => "quorum only",
            How::Deaf => "deaf minority",
            How::Mute => "mute minority",
        };
        note(cluster, tally, what, None);
        let hosts: Vec<HostId> = (0..cluster.len()).map(|at| cluster.host(at)).collect();
        for at in &self.nodes {
            for other in hosts.iter().filter(|other| **other != hosts[*at]) {
                match self.how {
                    How::Down => {}
                    How::Deaf => cluster.net().cut(*other, hosts[*at]),
                    How::Mute => cluster.net().cut(hosts[*at], *other),
                }
            }
        }
    }

    /// Everybody takes part again.
    pub fn end<S: StateMachine>(
        &self,
        cluster: &mut Cluster<S>,
        ward: &mut Ward,
        tally: &mut Tally,
    ) {
        cluster.net().heal();
        ward.discharge(cluster, tally, &BTreeSet::new());
    }
}
