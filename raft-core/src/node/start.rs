//! How a group comes to run on a node.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;

use tokio::sync::oneshot;

use super::compact;
use super::lock::{Mutex, lock};
use super::machine::{LoadError, Machine, load_snapshot};
use super::shared::Shared;
use super::signal::{Bell, Signal, Token};
use super::slot::{Join, Slot, SnapshotOptions};
use super::watch;
use super::{Group, GroupConfig, GroupStatus, Inner, StartError, applier};
use crate::{ConfigError, GroupId, LogId, Raft, RoleChange, StateMachine};

/// Which groups are being started, so that none is loaded twice, and the next token.
#[derive(Default)]
pub(super) struct Registry {
    taken: BTreeSet<GroupId>,
    tokens: usize,
}

/// A group's place in the registry; given back when it is dropped, unless it is kept.
struct Reservation<'a> {
    /// `None` once it is kept.
    registry: Option<&'a Mutex<Registry>>,
    group: GroupId,
    token: Token,
}

impl<'a> Reservation<'a> {
    fn new(registry: &'a Mutex<Registry>, group: GroupId) -> Result<Self, StartError> {
        let mut state = lock(registry);
        if !state.taken.insert(group) {
            return Err(StartError::Running);
        }
        let token = Token(state.tokens);
        state.tokens += 1;
        drop(state);
        Ok(Self { registry: Some(registry), group, token })
    }

    /// The group runs.
    fn keep(mut self) {
        self.registry = None;
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if let Some(registry) = self.registry {
            lock(registry).taken.remove(&self.group);
        }
    }
}

/// See [`Node::add_group`](super::Node::add_group). Dropped halfway, the group either does not run, or
/// runs without a handle; the loop knows which, and refuses a second one.
pub(super) async fn add_group<S: StateMachine>(
    node: &Inner,
    config: GroupConfig,
    machine: S,
) -> Result<Group<S>, StartError> {
    check(node, &config)?;
    let place = Reservation::new(&node.registry, config.raft.group)?;
    let persisted = node.storage.load(place.group).await.map_err(StartError::Storage)?;
    let machine = restore(node, place.group, machine).await?;
    let raft =
        Raft::new(config.raft.clone(), persisted, &config.initial).map_err(StartError::Config)?;

    let status = GroupStatus::new(&raft.status());
    let change = RoleChange {
        group: place.group,
        term: status.term,
        role: status.role,
        leader: status.leader,
    };
    let (changes, watch) = watch::channel(change);
    let bell = Bell { token: place.token, signals: node.signals.clone() };
    let shared = Shared::new(&config, bell, machine, status, watch);
    let members = raft.status().membership;
    let earlier = |bytes| compact::earlier(bytes, place.group, config.raft.node, members);
    let snapshots = SnapshotOptions {
        bytes: config.snapshot_bytes,
        earlier: config.snapshot_bytes.map_or(0, earlier),
        piece_bytes: config.snapshot_piece_bytes,
        release: config.release,
    };
    let (reply, answer) = oneshot::channel();
    let join = Join {
        slot: Slot::new(place.token, raft, shared.clone(), changes, snapshots),
        applier: Box::pin(applier::run(shared.clone(), node.storage.clone())),
        reply,
    };
    node.signals.push(Signal::Join(Box::new(join))).map_err(|_| StartError::Stopped)?;
    answer.await.unwrap_or(Err(StartError::Stopped))?;
    place.keep();
    Ok(Group::new(shared))
}

fn check(node: &Inner, config: &GroupConfig) -> Result<(), StartError> {
    config.raft.check().map_err(StartError::Config)?;
    if config.raft.node != node.config.id {
        let reason = "must be the node that runs the group";
        return Err(StartError::Config(ConfigError { field: "node", reason }));
    }
    Ok(())
}

/// The state as of the durable snapshot.
async fn restore<S: StateMachine>(
    node: &Inner,
    group: GroupId,
    machine: S,
) -> Result<Machine<S>, StartError> {
    match load_snapshot(&*node.storage, group, || machine.restore()).await {
        Ok(Some((state, last))) => Ok(Machine::new(state, last)),
        Ok(None) => Ok(Machine::new(machine, LogId::ZERO)),
        Err(LoadError::Storage(error)) => Err(StartError::Storage(error)),
        Err(LoadError::Restore(error)) => Err(StartError::Restore(error)),
    }
}
