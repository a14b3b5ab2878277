//! The nodes of a demonstration: started, stopped and started again.

use std::path::Path;
use std::sync::Arc;

use raft_core::node::watch;
use raft_core::{ClusterId, NodeId, RoleChange};
use raft_transport::CredentialFiles;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::super::certs::for_the_occasion;
use crate::config::{Config, HostPort};
use crate::exit::Failure;
use crate::node::{OpenNode, RunningNode};

const CLUSTER: u64 = 1;
/// The controller, and the groups that own shards.
const GROUPS: [u64; 3] = [0, 1, 2];
/// How much is told and not heard yet.
const TOLD_MAX: usize = 64;

/// All nodes.
pub(super) struct Nodes {
    client: CredentialFiles,
    slots: Vec<Slot>,
    told: Told,
    heard: Heard,
}

/// A place for a node.
struct Slot {
    config: Config,
    open: Option<OpenNode>,
    running: Option<Running>,
}

struct Running {
    node: Arc<RunningNode>,
    /// What listens to it.
    listeners: Vec<AbortHandle>,
}

#[derive(Clone)]
struct Told {
    failures: mpsc::Sender<Failure>,
    changes: mpsc::Sender<RoleChange>,
}

/// The other ends of [`Told`], until somebody takes them.
struct Heard {
    failures: Option<mpsc::Receiver<Failure>>,
    changes: Option<mpsc::Receiver<RoleChange>>,
}

impl Nodes {
    /// Opens the directories, and listens.
    pub(super) async fn open(count: u64, root: &Path) -> Result<Self, Failure> {
        let ids: Vec<NodeId> = (1..=count).map(NodeId).collect();
        let certs = root.join("certs");
        let (own, client) = for_the_occasion(&certs, ClusterId(CLUSTER), &ids)?;
        let mut slots = Vec::new();
        for (id, files) in ids.iter().zip(&own) {
            let mut config = Config::for_demo(CLUSTER, id.0, root.join(format!("node-{}", id.0)));
            config.set_groups(GROUPS, &ids);
            config.set_security(files);
            let open = OpenNode::open(config.clone()).await?;
            // Started again, it is where it was.
            config.listen.value = HostPort(open.address().0.clone());
            slots.push(Slot { config, open: Some(open), running: None });
        }
        let addresses: Vec<_> =
            slots.iter().map(|slot: &Slot| slot.config.listen.value.address()).collect();
        for slot in slots.iter().filter_map(|slot| slot.open.as_ref()) {
            ids.iter().zip(&addresses).for_each(|(id, at)| slot.hint(*id, at.clone()));
        }
        let (failures, failed) = mpsc::channel(TOLD_MAX);
        let (changes, changed) = mpsc::channel(TOLD_MAX);
        let heard = Heard { failures: Some(failed), changes: Some(changed) };
        Ok(Self { client, slots, told: Told { failures, changes }, heard })
    }

    pub(super) fn count(&self) -> usize {
        self.slots.len()
    }

    /// The credentials of a client.
    pub(super) fn client(&self) -> &CredentialFiles {
        &self.client
    }

    pub(super) fn endpoints(&self) -> Vec<HostPort> {
        self.slots.iter().map(|slot| slot.config.listen.value.clone()).collect()
    }

    /// Why nodes have failed. For one caller.
    pub(super) fn failures(&mut self) -> Option<mpsc::Receiver<Failure>> {
        self.heard.failures.take()
    }

    /// How roles change. For one caller.
    pub(super) fn changes(&mut self) -> Option<mpsc::Receiver<RoleChange>> {
        self.heard.changes.take()
    }

    /// Starts all.
    pub(super) async fn start(&mut self) -> Result<(), Failure> {
        for slot in &mut self.slots {
            slot.start(&self.told).await?;
        }
        Ok(())
    }

    /// Starts one that was stopped.
    pub(super) async fn start_one(&mut self, node: NodeId) -> Result<(), Failure> {
        for slot in self.slots.iter_mut().filter(|slot| slot.config.node_id.value == node.0) {
            slot.start(&self.told).await?;
        }
        Ok(())
    }

    /// Stops one; nobody is told that it failed.
    pub(super) async fn stop_one(&mut self, node: NodeId) {
        for slot in self.slots.iter_mut().filter(|slot| slot.config.node_id.value == node.0) {
            slot.stop().await;
        }
    }

    pub(super) async fn stop(&mut self) {
        for slot in &mut self.slots {
            slot.stop().await;
        }
    }

    /// The node that leads a group, as some node knows.
    pub(super) fn leader(&self, group: u64) -> Option<NodeId> {
        let running = self.slots.iter().filter_map(|slot| slot.running.as_ref());
        let roles = running.flat_map(|running| running.node.roles()).map(|role| *role.borrow());
        let of = roles.filter(|change| change.group.0 == group && change.leader.is_some());
        of.max_by_key(|change| change.term).and_then(|change| change.leader)
    }
}

impl Slot {
    async fn start(&mut self, told: &Told) -> Result<(), Failure> {
        let open = match self.open.take() {
            Some(open) => open,
            None => OpenNode::open(self.config.clone()).await?,
        };
        let node = Arc::new(open.start().await?);
        let (watched, failures) = (node.clone(), told.failures.clone());
        let failing = tokio::spawn(async move {
            // Nobody listens any more when the demonstration ends.
            let _ = failures.send(watched.failed().await).await;
        });
        let changing = node.roles().into_iter().map(|role| forward(role, told.changes.clone()));
        let mut listeners: Vec<_> =
            changing.map(|forwarding| tokio::spawn(forwarding).abort_handle()).collect();
        listeners.push(failing.abort_handle());
        self.running = Some(Running { node, listeners });
        Ok(())
    }

    async fn stop(&mut self) {
        let Some(Running { node, listeners }) = self.running.take() else { return };
        listeners.iter().for_each(AbortHandle::abort);
        node.stop().await;
    }
}

/// Passes a replica's changes on until nobody wants them.
async fn forward(mut changes: watch::Receiver<RoleChange>, told: mpsc::Sender<RoleChange>) {
    loop {
        let change = *changes.borrow_and_update();
        if told.send(change).await.is_err() || changes.changed().await.is_err() {
            return;
        }
    }
}

/// The first failure.
pub(super) async fn first(failures: Option<mpsc::Receiver<Failure>>) -> Failure {
    match failures {
        Some(mut failures) => match failures.recv().await {
            Some(failure) => failure,
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}
