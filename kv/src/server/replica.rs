//! [`Replica`]: what a server needs of the group that it serves.

use std::future::Future;

use bytes::Bytes;
use raft_core::node::{Group, ProposalError, QueryError};
use raft_core::{LogId, StateMachine, Term};

use crate::op::Output;
use crate::status::NodeStatus;
use crate::store::Store;

/// A replicated [`Store`], on one node. A [`Group`] is one, also of a state machine that has a [`Store`] in
/// it and answers as that does; a test of clients may bring another.
pub trait Replica: Clone + Send + Sync + 'static {
    /// Proposes a command and waits until it is applied here.
    fn propose(
        &self,
        command: Bytes,
    ) -> impl Future<Output = Result<Output, ProposalError>> + Send + 'static;

    /// Waits until a linearizable read is confirmed, then looks at the store.
    fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Store) -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, QueryError>> + Send;

    /// Waits while the node stands for election, but not for long: see [`elected`](super::elected). At once, by
    /// default.
    fn elected(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// The node's term.
    fn term(&self) -> Term;

    /// The log's time as far as it is applied here.
    fn log_time(&self) -> u64;

    /// What the node says of itself.
    fn status(&self) -> NodeStatus;
}

impl<S: StateMachine<Output = Output> + AsRef<Store>> Replica for Group<S> {
    fn propose(
        &self,
        command: Bytes,
    ) -> impl Future<Output = Result<Output, ProposalError>> + Send + 'static {
        let applied = Group::propose(self, command);
        async move { applied.await.map(|applied| applied.output) }
    }

    fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Store) -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, QueryError>> + Send {
        Group::read(self, |machine: &S| look(machine.as_ref()))
    }

    fn elected(&self) -> impl Future<Output = ()> + Send {
        super::elected(self.changes())
    }

    fn term(&self) -> Term {
        // Asked for each write: `status` would copy more than the term.
        self.changes().borrow().term
    }

    fn log_time(&self) -> u64 {
        self.peek(|_, machine| machine.as_ref().log_time())
    }

    fn status(&self) -> NodeStatus {
        let group = Group::status(self);
        let status = |applied: LogId, store: &Store| NodeStatus {
            role: group.role,
            term: group.term,
            leader: group.leader,
            commit: group.commit.max(applied.index),
            applied,
            last: group.last,
            durable: group.durable,
            snapshot: group.snapshot,
            log_bytes: group.log_bytes,
            keys: store.keys() as u64,
            sessions: store.sessions() as u64,
            log_time: store.log_time(),
            digest: store.digest(),
        };
        self.peek(|applied, machine| status(applied, machine.as_ref()))
    }
}
