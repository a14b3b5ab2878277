//! [`Cluster`]: a group of production nodes in a simulated world, watched at every step.
//!
//! A node is the driver of `raft-core` on the log of `raft-storage` on a [`SimDisk`], over messages or over the
//! transport of `raft-transport`. Nodes are numbered from 0 here, in the order of their ids.

mod config;
mod fleet;
mod member;
mod sizes;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use raft_core::node::{Group, GroupStatus, ProposalError};
use raft_core::{GroupId, LogId, NodeId, Service, StateMachine};

pub use self::config::{ClusterConfig, Wire};
pub use self::member::{CLUSTER, GROUP, address_of};

pub(crate) use self::fleet::Fleet;
pub(crate) use self::member::Parts;
#[cfg(feature = "shardkv")]
pub(crate) use self::member::{MakeService, Watched};

use self::member::MakeService as Make;
use crate::disk::{Keep, SimDisk};
use crate::net::{HostId, SimNet};
use crate::watch::{Coverage, Violation, Watch, WatchedMachine};
use crate::world::{Process, Sim, Waited};

/// A group of nodes.
pub struct Cluster<S: StateMachine> {
    sim: Sim,
    fleet: Fleet<S>,
}

/// Why a proposal was not appended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotProposed {
    /// The node does not run.
    Down,
    /// The node refused it, or did not say.
    Refused(Option<ProposalError>),
}

impl<S: StateMachine> Cluster<S> {
    /// A cluster whose nodes run: `machine` makes a state machine in its initial state.
    pub fn start(config: ClusterConfig, machine: impl Fn() -> S + Send + Sync + 'static) -> Self {
        Self::build(config, Arc::new(machine), None)
    }

    /// The same, with nodes that answer clients at [`address_of`] with what `service` makes.
    pub fn start_serving(
        config: ClusterConfig,
        machine: impl Fn() -> S + Send + Sync + 'static,
        service: impl Fn(&Group<WatchedMachine<S>>, &Process) -> Arc<dyn Service>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let make: Make<S> = Arc::new(move |groups, process| match groups.get(&GROUP) {
            Some(group) => service(group, process),
            None => unreachable!("each node has the one group"),
        });
        Self::build(config, Arc::new(machine), Some(make))
    }

    fn build(
        config: ClusterConfig,
        machine: Arc<dyn Fn() -> S + Send + Sync>,
        service: Option<Make<S>>,
    ) -> Self {
        let mut sim = Sim::new(config.seed);
        let nodes = (1..=config.nodes).map(|n| (NodeId(n), address_of(NodeId(n)))).collect();
        let machine = Arc::new(move |_: GroupId| machine());
        let (watch, groups) = (Watch::new(), vec![GROUP]);
        let parts = Parts { config, watch, nodes, groups, machine, service };
        let fleet = Fleet::new(&mut sim, parts);
        let mut cluster = Self { sim, fleet };
        for at in 0..cluster.len() {
            cluster.restart(at);
        }
        cluster
    }

    /// `look` is given a node, counted from 0, after every step of its process, while the node runs.
    pub fn watch_nodes(
        &mut self,
        mut look: impl FnMut(usize, &Group<WatchedMachine<S>>) + 'static,
    ) {
        self.fleet.watch_nodes(&mut self.sim, move |at, _, groups| {
            groups.values().for_each(|group| look(at, group));
        });
    }

    /// How many nodes there are, whether they run or not.
    pub fn len(&self) -> usize {
        self.fleet.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fleet.len() == 0
    }

    /// The world.
    pub fn sim(&mut self) -> &mut Sim {
        &mut self.sim
    }

    /// The network.
    pub fn net(&self) -> &SimNet {
        self.sim.net()
    }

    /// What was seen.
    pub fn watch(&self) -> &Watch {
        &self.fleet.parts().watch
    }

    /// How much of everything there was.
    pub fn coverage(&self) -> Coverage {
        self.watch().coverage(GROUP)
    }

    /// The process of a node.
    pub fn host(&self, at: usize) -> HostId {
        self.fleet.host(at)
    }

    /// The processes of these nodes.
    pub fn hosts(&self, at: &[usize]) -> Vec<HostId> {
        at.iter().map(|at| self.host(*at)).collect()
    }

    /// The id of a node.
    pub fn id(&self, at: usize) -> NodeId {
        self.fleet.id(at)
    }

    /// The disk of a node.
    pub fn disk(&self, at: usize) -> &SimDisk {
        self.fleet.disk(at)
    }

    /// A handle on a node's group, while the node runs.
    pub fn group(&self, at: usize) -> Option<Group<WatchedMachine<S>>> {
        self.fleet.group(&self.sim, at, GROUP)
    }

    /// What a node shows of itself, while it runs.
    pub fn status(&self, at: usize) -> Option<GroupStatus> {
        self.group(at).map(|group| group.status())
    }

    /// Whether the node's process runs; it may be starting yet.
    pub fn is_up(&self, at: usize) -> bool {
        self.sim.is_up(self.host(at))
    }

    /// Why a node gave up by itself, if it did.
    pub fn stopped(&self, at: usize) -> Option<String> {
        self.fleet.stopped(at)
    }

    /// The state machine of a node, looked at.
    pub fn peek<R>(&self, at: usize, look: impl FnOnce(&S) -> R) -> Option<R> {
        self.group(at).map(|group| group.peek(|_, machine| look(machine.inner())))
    }

    /// Ends a node's process as kill -9 does: what it has written stays, synced or not.
    pub fn kill(&mut self, at: usize) {
        self.fleet.kill(&mut self.sim, at);
    }

    /// Cuts the power of a node: of what was not synced, `keep` is left.
    pub fn power_loss(&mut self, at: usize, keep: Keep) {
        self.fleet.power_loss(&mut self.sim, at, keep);
    }

    /// Stops a node as an operator does, and its process when nothing of the node runs any more: whoever waits
    /// for it has an answer by then. Waits at most `limit`, and kills it then.
    pub fn shutdown(&mut self, at: usize, limit: Duration) -> Waited {
        self.fleet.stop(at);
        let waited =
            self.run_until(limit, |cluster| !cluster.is_up(at) || cluster.stopped(at).is_some());
        self.kill(at);
        waited
    }

    /// Starts a node that does not run.
    ///
    /// # Panics
    /// When it runs.
    pub fn restart(&mut self, at: usize) {
        self.fleet.restart(&mut self.sim, at);
    }

    /// Restarts a node whether it runs or not.
    pub fn reboot(&mut self, at: usize) {
        self.kill(at);
        self.restart(at);
    }

    /// Cuts a node off from everybody.
    pub fn isolate(&mut self, at: usize) {
        self.net().isolate(self.host(at));
    }

    /// Mends all links of a node.
    pub fn rejoin(&mut self, at: usize) {
        self.net().rejoin(self.host(at));
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) {
        self.sim.run_for(time);
    }

    /// Lets time pass until `condition` holds, which is looked at after every event, but not longer than
    /// `limit`.
    pub fn run_until(&mut self, limit: Duration, condition: impl Fn(&Self) -> bool) -> Waited {
        let until = self.sim.now() + limit;
        loop {
            if condition(self) {
                return Waited::Reached;
            }
            if self.sim.now() >= until {
                return Waited::TimedOut;
            }
            self.sim.advance(until);
        }
    }

    /// Those who say that they lead, with their terms.
    pub fn leaders(&self) -> Vec<(usize, raft_core::Term)> {
        self.fleet.leaders(&self.sim, GROUP)
    }

    /// Who leads the newest term in which somebody says so.
    pub fn leader(&self) -> Option<usize> {
        self.leaders().into_iter().max_by_key(|(_, term)| *term).map(|(at, _)| at)
    }

    /// Proposes at a node, and does not wait for the command to be committed.
    ///
    /// # Errors
    /// When the node does not run, does not lead, or does not answer at once.
    pub fn propose(&mut self, at: usize, command: impl Into<Bytes>) -> Result<LogId, NotProposed> {
        let group = self.group(at).ok_or(NotProposed::Down)?;
        let answer = Arc::new(Mutex::new(None));
        let (tell, command) = (Arc::clone(&answer), command.into());
        let host = self.host(at);
        self.sim.within(host, || {
            tokio::spawn(async move {
                let outcome = group.append(command).await.map(|appended| appended.id());
                *tell.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(outcome);
            })
        });
        let outcome = answer.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        match outcome {
            Some(Ok(id)) => Ok(id),
            Some(Err(error)) => Err(NotProposed::Refused(Some(error))),
            None => Err(NotProposed::Refused(None)),
        }
    }

    /// Proposes at a node, and does not ask what becomes of it. The node sees it when it runs next.
    pub fn offer(&self, at: usize, command: impl Into<Bytes>) {
        if let Some(group) = self.group(at) {
            // It is queued by now.
            drop(group.propose(command.into()));
        }
    }

    /// Nothing that must hold was broken, and no node gave up by itself.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), Violation> {
        self.watch().verdict()?;
        for at in 0..self.len() {
            if let Some(reason) = self.stopped(at) {
                let (invariant, group) = ("no-node-stops".to_owned(), GROUP);
                return Err(Violation { invariant, group, node: self.id(at), what: reason });
            }
        }
        Ok(())
    }

    /// The hash of everything that happened.
    pub fn trace_hash(&self) -> u64 {
        self.sim.trace().hash()
    }
}
