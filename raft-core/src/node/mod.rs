//! The tokio driver (interface stub; being written).
#![allow(unused_variables, missing_docs)]
extern crate std;
use alloc::string::String;
use core::future::Future;
use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use crate::*;

/// The configuration of a [`Node`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeConfig {
    /// This node.
    pub id: NodeId,
    /// One tick of all groups. Default 50 ms.
    pub tick: Duration,
}
impl NodeConfig {
    pub fn new(id: NodeId) -> Self {
        Self { id, tick: Duration::from_millis(50) }
    }
}

/// The configuration of a group on a node.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GroupConfig {
    /// The core's configuration.
    pub raft: Config,
    /// The members of a new group.
    pub initial: Membership,
    /// Take a snapshot when this many bytes of entries were applied since the last one; `None`: never.
    pub snapshot_bytes: Option<u64>,
}
impl GroupConfig {
    pub fn new(node: NodeId, group: GroupId, initial: Membership) -> Self {
        Self { raft: Config::new(node, group), initial, snapshot_bytes: Some(64 << 20) }
    }
}

/// A node: drives all its groups over one storage and one transport.
pub struct Node;
impl Node {
    /// Must be called within a tokio runtime.
    pub fn start(
        config: NodeConfig,
        storage: Arc<dyn Storage>,
        transport: Arc<dyn Transport>,
    ) -> Self {
        todo!()
    }
    /// Loads the group from the storage (snapshot restored, log replayed as it commits) and runs it.
    pub async fn add_group<S: StateMachine>(
        &self,
        config: GroupConfig,
        machine: S,
    ) -> Result<Group<S>, StartError> {
        todo!()
    }
    /// Waits until the node has stopped, and says why.
    pub async fn stopped(&self) -> StopReason {
        todo!()
    }
    /// Stops: proposals in flight are answered `Unknown`; returns when nothing runs any more.
    pub async fn shutdown(&self) {}
}

/// A handle on a group of a [`Node`]; cheap to clone.
pub struct Group<S: StateMachine>(core::marker::PhantomData<fn() -> S>);
impl<S: StateMachine> Clone for Group<S> {
    fn clone(&self) -> Self {
        todo!()
    }
}
impl<S: StateMachine> Group<S> {
    /// Proposes a command and waits until it is applied here. The command is queued before the future is
    /// polled first; dropping the future does not take it back.
    pub fn propose(
        &self,
        command: Bytes,
    ) -> impl Future<Output = Result<Applied<S::Output>, ProposalError>> + Send + 'static {
        async { todo!() }
    }
    /// Waits until a linearizable read is confirmed and applied (ReadIndex), then looks at the state.
    pub fn read<R>(
        &self,
        look: impl FnOnce(&S) -> R,
    ) -> impl Future<Output = Result<R, QueryError>> {
        async { todo!() }
    }
    /// Looks at the state as it is on this node now, however old; gives the last applied entry with it.
    pub fn peek<R>(&self, look: impl FnOnce(LogId, &S) -> R) -> R {
        todo!()
    }
    /// What the core shows of itself, as of the last turn of the loop.
    pub fn status(&self) -> GroupStatus {
        todo!()
    }
    /// Role, term and leader as they change.
    pub fn changes(&self) -> watch::Receiver<RoleChange> {
        todo!()
    }
}

/// A command that was applied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Applied<O> {
    /// The entry it stands in.
    pub id: LogId,
    /// What the state machine answered.
    pub output: O,
}

/// The fate of a proposal that was not applied here.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ProposalError {
    /// Never appended: it had no effect, and may be tried again.
    Rejected(ProposeError),
    /// Leadership was lost, or the node stopped, while it was in flight: it may yet be applied, or not.
    Unknown { leader: Option<NodeId> },
    /// The node has stopped; never appended.
    Stopped,
}

/// Why a read was not served. It may be tried again.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum QueryError {
    /// The core refused.
    Refused(ReadError),
    /// Leadership was lost while it waited.
    LeadershipLost { leader: Option<NodeId> },
    /// The node has stopped.
    Stopped,
}

/// Why a group could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    Config(ConfigError),
    Storage(StorageError),
    Restore(RestoreError),
    /// The node runs this group already.
    Running,
    /// The node has stopped.
    Stopped,
}

/// Why a node stopped.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum StopReason {
    Shutdown,
    Storage(String),
    Transport,
    Restore(String),
}

/// [`Status`], owned.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GroupStatus {
    pub role: Role,
    pub term: Term,
    pub leader: Option<NodeId>,
    pub commit: LogIndex,
    pub applied: LogIndex,
    pub last: LogId,
    pub durable: LogIndex,
    pub snapshot: Option<LogId>,
    pub log_bytes: u64,
    pub membership: Membership,
}
