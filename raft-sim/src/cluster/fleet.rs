//! [`Fleet`]: nodes that are made alike, without the world that they are in.

use std::sync::Arc;

use raft_core::{GroupId, Membership, NodeId, Role, StateMachine, Term};

use super::member::{Member, Parts, Replicas, Stage, Watched};
use crate::disk::{Keep, SimDisk};
use crate::net::HostId;
use crate::world::Sim;

/// Nodes, each with a replica of the same groups, numbered from 0 in the order of their ids.
pub(crate) struct Fleet<S: StateMachine> {
    parts: Arc<Parts<S>>,
    members: Vec<Member<S>>,
}

impl<S: StateMachine> Fleet<S> {
    /// Adds the hosts to a world. Nothing runs yet.
    pub(crate) fn new(sim: &mut Sim, parts: Parts<S>) -> Self {
        for group in &parts.groups {
            parts.watch.begin(*group, Membership::of_voters(parts.nodes.keys().copied()));
        }
        let members = parts.nodes.iter().map(|(id, address)| {
            let name = address.0.split(':').next().unwrap_or_default();
            let host = sim.add_host(name);
            Member::new(*id, host, SimDisk::new(sim.rng().u64(..)))
        });
        let fleet = Self { members: members.collect(), parts: Arc::new(parts) };
        let watch = fleet.parts.watch.clone();
        fleet.watch_nodes(sim, move |_, id, groups| {
            for (group, replica) in groups {
                watch.status(id, *group, &replica.status());
            }
        });
        fleet
    }

    /// `look` is given a node and its replicas after every step of its process, while the node runs.
    pub(crate) fn watch_nodes(
        &self,
        sim: &mut Sim,
        mut look: impl FnMut(usize, NodeId, &Replicas<S>) + 'static,
    ) {
        let members: Vec<Member<S>> = self.members.iter().map(Member::share).collect();
        sim.watch(move |_, host| {
            let found = members.iter().enumerate().find(|(_, member)| member.host == host);
            if let Some((at, member)) = found {
                look(at, member.id, &member.groups());
            }
        });
    }

    pub(crate) fn parts(&self) -> &Parts<S> {
        &self.parts
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn host(&self, at: usize) -> HostId {
        self.members[at].host
    }

    pub(crate) fn id(&self, at: usize) -> NodeId {
        self.members[at].id
    }

    pub(crate) fn disk(&self, at: usize) -> &SimDisk {
        &self.members[at].disk
    }

    /// A node's replica of a group, while the node runs.
    pub(crate) fn group(&self, sim: &Sim, at: usize, id: GroupId) -> Option<Watched<S>> {
        if sim.is_up(self.host(at)) { self.members[at].group(id) } else { None }
    }

    /// Why a node gave up by itself, if it did.
    pub(crate) fn stopped(&self, at: usize) -> Option<String> {
        self.members[at].stage(|stage| match stage {
            Stage::Stopped(reason) => Some(reason.clone()),
            _ => None,
        })
    }

    /// Those who say that they lead a group, with their terms.
    pub(crate) fn leaders(&self, sim: &Sim, id: GroupId) -> Vec<(usize, Term)> {
        (0..self.len())
            .filter_map(|at| Some((at, self.group(sim, at, id)?.status())))
            .filter(|(_, status)| status.role == Role::Leader)
            .map(|(at, status)| (at, status.term))
            .collect()
    }

    pub(crate) fn kill(&self, sim: &mut Sim, at: usize) {
        let host = self.host(at);
        if sim.is_up(host) {
            sim.kill(host);
        }
        self.ended(at);
    }

    pub(crate) fn power_loss(&self, sim: &mut Sim, at: usize, keep: Keep) {
        self.kill(sim, at);
        self.members[at].disk.power_loss(keep);
    }

    /// Has a node stop by itself.
    pub(super) fn stop(&self, at: usize) {
        self.members[at].stop.notify_one();
    }

    /// A process that has ended, by whatever way, is dealt with.
    fn ended(&self, at: usize) {
        let member = &self.members[at];
        if !member.stage(|stage| matches!(stage, Stage::Down)) {
            member.set_stage(Stage::Down);
            member.disk.unmount();
            self.parts.watch.crashed(member.id);
        }
    }

    /// Starts a node that does not run.
    pub(crate) fn restart(&mut self, sim: &mut Sim, at: usize) {
        self.ended(at);
        let member = &mut self.members[at];
        member.stop = Arc::default();
        let (host, parts, trace) = (member.host, Arc::clone(&self.parts), sim.trace().clone());
        sim.start(host, |process| member.boot(parts, process, trace));
    }
}
