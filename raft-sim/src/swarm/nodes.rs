//! [`Nodes`]: what faults happen to, whatever it is that the nodes serve.

use raft_core::{NodeId, StateMachine};

use crate::cluster::Cluster;
use crate::disk::{Keep, SimDisk};
use crate::net::{HostId, SimNet};
use crate::watch::{Coverage, Watch};
use crate::world::Sim;

/// Nodes in a world, numbered from 0. Implement it for what is made of nodes, and the classes of
/// [`Faults`](super::Faults) work on it.
#[allow(clippy::len_without_is_empty, reason = "there is always one")]
pub trait Nodes {
    /// How many there are, whether they run or not.
    fn len(&self) -> usize;

    /// The world.
    fn sim(&mut self) -> &mut Sim;

    /// The network.
    fn net(&self) -> &SimNet;

    /// What was seen.
    fn watch(&self) -> &Watch;

    /// How much of everything there was.
    fn coverage(&self) -> Coverage;

    /// The process of a node.
    fn host(&self, at: usize) -> HostId;

    /// The id of a node.
    fn id(&self, at: usize) -> NodeId;

    /// The disk of a node.
    fn disk(&self, at: usize) -> &SimDisk;

    /// Whether the node's process runs; it may be starting yet.
    fn is_up(&self, at: usize) -> bool;

    /// Why a node gave up by itself, if it did.
    fn stopped(&self, at: usize) -> Option<String>;

    /// Ends a node's process as kill -9 does.
    fn kill(&mut self, at: usize);

    /// Cuts the power of a node: of what was not synced, `keep` is left.
    fn power_loss(&mut self, at: usize, keep: Keep);

    /// Starts a node that does not run.
    fn restart(&mut self, at: usize);

    /// The nodes of each group: a minority of each may be missing. No node is in two.
    fn groups(&self) -> Vec<Vec<usize>>;

    /// Who leads a group of [`Self::groups`], as far as somebody says so.
    fn leader_of(&self, group: usize) -> Option<usize>;

    /// All who lead.
    fn leading(&self) -> Vec<usize> {
        (0..self.groups().len()).filter_map(|group| self.leader_of(group)).collect()
    }
}

impl<S: StateMachine> Nodes for Cluster<S> {
    fn len(&self) -> usize {
        self.len()
    }

    fn sim(&mut self) -> &mut Sim {
        self.sim()
    }

    fn net(&self) -> &SimNet {
        self.net()
    }

    fn watch(&self) -> &Watch {
        self.watch()
    }

    fn coverage(&self) -> Coverage {
        self.coverage()
    }

    fn host(&self, at: usize) -> HostId {
        self.host(at)
    }

    fn id(&self, at: usize) -> NodeId {
        self.id(at)
    }

    fn disk(&self, at: usize) -> &SimDisk {
        self.disk(at)
    }

    fn is_up(&self, at: usize) -> bool {
        self.is_up(at)
    }

    fn stopped(&self, at: usize) -> Option<String> {
        self.stopped(at)
    }

    fn kill(&mut self, at: usize) {
        self.kill(at);
    }

    fn power_loss(&mut self, at: usize, keep: Keep) {
        self.power_loss(at, keep);
    }

    fn restart(&mut self, at: usize) {
        self.restart(at);
    }

    fn groups(&self) -> Vec<Vec<usize>> {
        vec![(0..self.len()).collect()]
    }

    fn leader_of(&self, _: usize) -> Option<usize> {
        self.leader()
    }
}
