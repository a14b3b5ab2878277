//! [`Replica`]: what a server needs of the group that it serves.

use std::future::Future;

use bytes::Bytes;
use raft_core::node::watch;
use raft_core::node::{Group, GroupStatus, ProposalError, QueryError};
use raft_core::{LogId, RoleChange, StateMachine};

use crate::refusal::Output;
use crate::store::ShardStore;

/// A replicated [`ShardStore`], on one node. A [`Group`] is one, also of a state machine that has a
/// [`ShardStore`] in it and answers as that does; a test may bring another.
pub trait Replica: Clone + Send + Sync + 'static {
    /// Proposes a command and waits until it is applied here.
    fn propose(
        &self,
        command: Bytes,
    ) -> impl Future<Output = Result<Output, ProposalError>> + Send + 'static;

    /// Waits until a linearizable read is confirmed, then looks at the store.
    fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&ShardStore) -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, QueryError>> + Send;

    /// Looks at the store as it is on this node now, after the last entry that is applied.
    fn peek<T>(&self, look: impl FnOnce(LogId, &ShardStore) -> T) -> T;

    /// Role, term and leader as they change.
    fn changes(&self) -> watch::Receiver<RoleChange>;

    /// What the group says of itself.
    fn status(&self) -> GroupStatus;
}

impl<S: StateMachine<Output = Output> + AsRef<ShardStore>> Replica for Group<S> {
    fn propose(
        &self,
        command: Bytes,
    ) -> impl Future<Output = Result<Output, ProposalError>> + Send + 'static {
        let applied = Group::propose(self, command);
        async move { applied.await.map(|applied| applied.output) }
    }

    fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&ShardStore) -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, QueryError>> + Send {
        Group::read(self, |machine: &S| look(machine.as_ref()))
    }

    fn peek<T>(&self, look: impl FnOnce(LogId, &ShardStore) -> T) -> T {
        Group::peek(self, |applied, machine| look(applied, machine.as_ref()))
    }

    fn changes(&self) -> watch::Receiver<RoleChange> {
        Group::changes(self)
    }

    fn status(&self) -> GroupStatus {
        Group::status(self)
    }
}
