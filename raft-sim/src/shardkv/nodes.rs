//! The nodes of a [`ShardCluster`].

use std::collections::BTreeMap;

use raft_core::{GroupId, NodeId};
use shardkv::ShardStore;

use super::boot::CONTROLLER;
use super::cluster::ShardCluster;
use crate::cluster::{Fleet, Watched};
use crate::disk::{Keep, SimDisk};
use crate::net::{HostId, SimNet};
use crate::swarm::Nodes;
use crate::watch::{Coverage, Watch};
use crate::world::Sim;

/// Where a node is.
enum Place {
    Controller(usize),
    /// In this fleet, with this number there.
    Shards(usize, usize),
}

impl ShardCluster {
    fn place(&self, at: usize) -> Place {
        let Some(mut at) = at.checked_sub(self.controllers.len()) else {
            return Place::Controller(at);
        };
        for (number, fleet) in self.fleets.iter().enumerate() {
            match at.checked_sub(fleet.len()) {
                None => return Place::Shards(number, at),
                Some(rest) => at = rest,
            }
        }
        panic!("no node has this number");
    }

    /// The numbers of the nodes that have replicas of a group; the controller's is [`CONTROLLER`].
    ///
    /// # Panics
    /// When there is no such group.
    pub fn nodes_of(&self, group: GroupId) -> Vec<usize> {
        let mut first = self.controllers.len();
        if group == CONTROLLER {
            return (0..first).collect();
        }
        for fleet in &self.fleets {
            if fleet.parts().groups.contains(&group) {
                return (first..first + fleet.len()).collect();
            }
            first += fleet.len();
        }
        panic!("no node has a replica of {group:?}");
    }

    /// A node's replica of a group, while the node runs.
    pub fn replica(&self, at: usize, group: GroupId) -> Option<Watched<ShardStore>> {
        match self.place(at) {
            Place::Controller(_) => None,
            Place::Shards(fleet, at) => self.fleets[fleet].group(&self.sim, at, group),
        }
    }

    /// Who leads a group: the number of the node that says so in the newest term.
    pub fn leader(&self, group: GroupId) -> Option<usize> {
        let first = *self.nodes_of(group).first()?;
        let leaders = match self.place(first) {
            Place::Controller(_) => self.controllers.leaders(&self.sim, group),
            Place::Shards(fleet, _) => self.fleets[fleet].leaders(&self.sim, group),
        };
        leaders.into_iter().max_by_key(|(_, term)| *term).map(|(at, _)| first + at)
    }

    /// The state of the replica of a group that has applied most, of those that run.
    pub fn peek<T>(&self, group: GroupId, look: impl FnOnce(&ShardStore) -> T) -> Option<T> {
        let replicas = self.nodes_of(group).into_iter().filter_map(|at| self.replica(at, group));
        let newest = replicas.max_by_key(|it| it.peek(|applied, _| applied.index))?;
        Some(newest.peek(|_, machine| look(machine.inner())))
    }

    /// How much of everything a group has had.
    pub fn coverage_of(&self, group: GroupId) -> Coverage {
        self.watch().coverage(group)
    }
}

impl Nodes for ShardCluster {
    fn len(&self) -> usize {
        self.controllers.len() + self.fleets.iter().map(Fleet::len).sum::<usize>()
    }

    fn sim(&mut self) -> &mut Sim {
        &mut self.sim
    }

    fn net(&self) -> &SimNet {
        self.sim.net()
    }

    fn watch(&self) -> &Watch {
        self.watch()
    }

    fn coverage(&self) -> Coverage {
        let mut sum = self.watch().coverage(CONTROLLER);
        self.config.group_ids().for_each(|group| sum += self.watch().coverage(group));
        sum
    }

    fn host(&self, at: usize) -> HostId {
        match self.place(at) {
            Place::Controller(at) => self.controllers.host(at),
            Place::Shards(fleet, at) => self.fleets[fleet].host(at),
        }
    }

    fn id(&self, at: usize) -> NodeId {
        match self.place(at) {
            Place::Controller(at) => self.controllers.id(at),
            Place::Shards(fleet, at) => self.fleets[fleet].id(at),
        }
    }

    fn disk(&self, at: usize) -> &SimDisk {
        match self.place(at) {
            Place::Controller(at) => self.controllers.disk(at),
            Place::Shards(fleet, at) => self.fleets[fleet].disk(at),
        }
    }

    fn is_up(&self, at: usize) -> bool {
        self.sim.is_up(self.host(at))
    }

    fn stopped(&self, at: usize) -> Option<String> {
        match self.place(at) {
            Place::Controller(at) => self.controllers.stopped(at),
            Place::Shards(fleet, at) => self.fleets[fleet].stopped(at),
        }
    }

    fn kill(&mut self, at: usize) {
        match self.place(at) {
            Place::Controller(at) => self.controllers.kill(&mut self.sim, at),
            Place::Shards(fleet, at) => self.fleets[fleet].kill(&mut self.sim, at),
        }
    }

    fn power_loss(&mut self, at: usize, keep: Keep) {
        match self.place(at) {
            Place::Controller(at) => self.controllers.power_loss(&mut self.sim, at, keep),
            Place::Shards(fleet, at) => self.fleets[fleet].power_loss(&mut self.sim, at, keep),
        }
    }

    fn restart(&mut self, at: usize) {
        match self.place(at) {
            Place::Controller(at) => self.controllers.restart(&mut self.sim, at),
            Place::Shards(fleet, at) => self.fleets[fleet].restart(&mut self.sim, at),
        }
    }

    fn groups(&self) -> Vec<Vec<usize>> {
        let mut groups = vec![(0..self.controllers.len()).collect::<Vec<usize>>()];
        for fleet in &self.fleets {
            let first = groups.iter().map(Vec::len).sum::<usize>();
            groups.push((first..first + fleet.len()).collect());
        }
        groups
    }

    /// In a fleet of several groups, one that leads one of them.
    fn leader_of(&self, group: usize) -> Option<usize> {
        let Some(fleet) = group.checked_sub(1) else { return self.leader(CONTROLLER) };
        let groups = &self.fleets.get(fleet)?.parts().groups;
        groups.iter().find_map(|group| self.leader(*group))
    }
}

/// By group, for whoever reads a failure.
pub(super) fn describe(cluster: &ShardCluster) -> String {
    let mut lines = Vec::new();
    let roles: BTreeMap<_, _> =
        cluster.config.group_ids().map(|group| (group, cluster.leader(group))).collect();
    for (group, leader) in roles {
        let newest = cluster.peek(group, |store| (store.number(), store.shard_states()));
        let Some((number, states)) = newest else {
            lines.push(format!("{group:?}: no replica runs"));
            continue;
        };
        lines.push(format!("{group:?}: {number:?}, led by {leader:?}"));
        lines.extend(states.iter().map(|state| {
            let (shard, phase, peer, keys) = (state.shard, state.phase, state.peer, state.keys);
            format!("  {shard} {phase:?} {peer:?}, {keys} keys")
        }));
    }
    lines.join("\n")
}
