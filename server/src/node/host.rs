//! [`Host`]: what a node runs, and what it knows: its replicas and their services, its book, its groups.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use raft_core::node::watch::Receiver as RoleReceiver;
use raft_core::node::{GroupEnd, Node};
use raft_core::{
    Address, Caller, ClusterId, GroupId, Incarnation, Membership, NodeId, Role, RoleChange,
};
use raft_transport::GroupServices;
use tokio::sync::watch;

use super::book::AddressBook;
use super::describe::{Described, DescribedGroup};
use super::holds::{Hold, Holds};
use super::protocol::WireMode;
use super::replica::Replica;
use crate::config::{CONTROLLER, Config, Mode, PLAIN};
use crate::exit::Failure;

/// A node that runs. Its tasks have it, and its service has it weakly.
pub(super) struct Host {
    pub(super) config: Config,
    pub(super) cluster: ClusterId,
    pub(super) id: NodeId,
    pub(super) life: Incarnation,
    pub(super) book: Arc<AddressBook>,
    pub(super) holds: Holds,
    pub(super) node: Node,
    pub(super) caller: Arc<dyn Caller>,
    pub(super) services: Arc<GroupServices>,
    replicas: Mutex<BTreeMap<GroupId, Arc<Replica>>>,
    /// Held by whoever starts a replica.
    starting: tokio::sync::Mutex<()>,
    /// Whether it was removed from all its groups.
    removed: watch::Sender<bool>,
}

/// What a [`Host`] is made of.
pub(super) struct Parts {
    pub(super) config: Config,
    pub(super) cluster: ClusterId,
    pub(super) id: NodeId,
    pub(super) life: Incarnation,
    pub(super) book: Arc<AddressBook>,
    pub(super) holds: Holds,
    pub(super) node: Node,
    pub(super) caller: Arc<dyn Caller>,
    pub(super) services: Arc<GroupServices>,
}

impl Host {
    pub(super) fn new(parts: Parts) -> Arc<Self> {
        let Parts { config, cluster, id, life, book, holds, node, caller, services } = parts;
        let (replicas, starting, removed) =
            (Mutex::default(), tokio::sync::Mutex::default(), watch::Sender::new(false));
        Arc::new(Self {
            config,
            cluster,
            id,
            life,
            book,
            holds,
            node,
            caller,
            services,
            replicas,
            starting,
            removed,
        })
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<GroupId, Arc<Replica>>> {
        self.replicas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn replica(&self, group: GroupId) -> Option<Arc<Replica>> {
        self.held().get(&group).cloned()
    }

    pub(super) fn replicas(&self) -> Vec<(GroupId, Arc<Replica>)> {
        self.held().iter().map(|(group, replica)| (*group, replica.clone())).collect()
    }

    pub(super) fn mode(&self) -> Mode {
        self.config.mode.value
    }

    /// The group whose leader gives out the numbers of nodes.
    pub(super) fn authority(&self) -> GroupId {
        match self.mode() {
            Mode::Plain => PLAIN,
            Mode::Sharded => CONTROLLER,
        }
    }

    /// Where this node is reached.
    pub(super) fn address(&self) -> Address {
        self.book.addresses().remove(&self.id).unwrap_or(Address(String::new()))
    }

    /// Where the other nodes are that may have a replica of the group; all nodes, when none is known to.
    pub(super) fn others(&self, group: GroupId) -> Vec<Address> {
        let mut members = self.book.members(group);
        if members.iter().all(|(node, _)| *node == self.id) {
            members = self.book.addresses().into_iter().collect();
        }
        members.into_iter().filter(|(node, _)| *node != self.id).map(|(_, at)| at).collect()
    }

    /// Runs a replica, unless it does. With `initial` the group is made; without, it is as the log says, or as a leader
    /// will tell.
    pub(super) async fn start(
        self: &Arc<Self>,
        group: GroupId,
        initial: Membership,
    ) -> Result<(), Failure> {
        let _starting = self.starting.lock().await;
        if self.replica(group).is_some() {
            return Ok(());
        }
        let mut replica = match (self.mode(), group) {
            (Mode::Plain, _) => super::plain::replica(self, initial).await?,
            (Mode::Sharded, CONTROLLER) => super::sharded::controller(self, initial).await?,
            (Mode::Sharded, group) => super::sharded::shards(self, group, initial).await?,
        };
        (replica.set_addresses)(self.book.members(group));
        let (host, operated) = (Arc::downgrade(self), replica.operated.clone());
        replica.tasks.spawn(tell(operated.changes()));
        tokio::spawn(async move { ended(&host, group, operated.ended().await) });
        self.services.insert(group, replica.service.clone());
        self.held().insert(group, Arc::new(replica));
        Ok(())
    }

    /// Waits until this node is a member of no group any more, and was of one.
    pub(super) async fn removed(&self) {
        // The sender is this host's.
        let _ = self.removed.subscribe().wait_for(|removed| *removed).await;
    }

    /// What it says of itself.
    pub(super) fn describe(&self) -> Described {
        let contents = self.book.contents();
        let mut groups: Vec<GroupId> = contents.groups.keys().copied().collect();
        groups.extend(self.replicas().iter().map(|(group, _)| *group));
        groups.sort();
        groups.dedup();
        let group = |group: GroupId| DescribedGroup {
            group: group.0,
            members: self
                .book
                .members(group)
                .into_iter()
                .map(|(node, at)| (node.0, at.0))
                .collect(),
            replica: self.replica(group).map(|replica| replica.local.describe()),
        };
        let mode = match self.mode() {
            Mode::Plain => WireMode::Plain,
            Mode::Sharded => WireMode::Sharded,
        };
        let groups = groups.into_iter().map(group).collect();
        Described { cluster: self.cluster.0, node: self.id.0, mode, groups }
    }
}

/// A replica does not run any more.
fn ended(host: &Weak<Host>, group: GroupId, end: GroupEnd) {
    let (GroupEnd::Removed { since }, Some(host)) = (end, host.upgrade()) else { return };
    tracing::warn!(group = group.0, since = since.0, "this node was removed from the group");
    if let Err(failure) = host.holds.set(group, Hold::Removed) {
        // It is told again when it starts again.
        tracing::error!("{}", failure.cause);
    }
    host.services.remove(group);
    host.held().remove(&group);
    if host.held().is_empty() && host.holds.is_removed() {
        host.removed.send_replace(true);
    }
}

/// Logs every change of role and leader.
async fn tell(mut changes: RoleReceiver<RoleChange>) {
    loop {
        let change = *changes.borrow_and_update();
        let (term, group) = (change.term.0, change.group.0);
        match (change.role, change.leader) {
            (Role::Leader, _) => tracing::info!(group, term, "this node leads"),
            (_, Some(leader)) => tracing::info!(group, term, leader = leader.0, "follows"),
            (Role::Candidate, None) => tracing::info!(group, term, "stands for election"),
            (_, None) => tracing::info!(group, term, "knows of no leader"),
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}
