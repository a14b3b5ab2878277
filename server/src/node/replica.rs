//! [`Replica`]: a group on this node, whatever its state machine is.

use std::sync::Arc;
use std::time::Duration;

use raft_core::node::{ChangeError, Group, GroupEnd, GroupStatus, HandoverError, watch};
use raft_core::{
    Address, BoxFuture, LogIndex, MemberProgress, NodeId, RoleChange, Service, StateMachine, Target,
};
use tokio::task::JoinSet;

use super::describe::Local;

/// What an operator does with a group.
pub(super) trait Operated: Send + Sync {
    fn status(&self) -> GroupStatus;
    fn changes(&self) -> watch::Receiver<RoleChange>;
    fn progress(&self) -> BoxFuture<'_, Vec<MemberProgress>>;
    fn change(
        &self,
        target: Target,
        expected: LogIndex,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<LogIndex, ChangeError>>;
    fn transfer(&self, to: NodeId) -> BoxFuture<'static, Result<(), HandoverError>>;
    fn ended(&self) -> BoxFuture<'_, GroupEnd>;
}

impl<S: StateMachine> Operated for Group<S> {
    fn status(&self) -> GroupStatus {
        Group::status(self)
    }

    fn changes(&self) -> watch::Receiver<RoleChange> {
        Group::changes(self)
    }

    fn progress(&self) -> BoxFuture<'_, Vec<MemberProgress>> {
        Box::pin(Group::progress(self))
    }

    fn change(
        &self,
        target: Target,
        expected: LogIndex,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<LogIndex, ChangeError>> {
        Box::pin(self.change_membership(target, Some(expected), deadline))
    }

    fn transfer(&self, to: NodeId) -> BoxFuture<'static, Result<(), HandoverError>> {
        Box::pin(self.transfer_leadership(to))
    }

    fn ended(&self) -> BoxFuture<'_, GroupEnd> {
        Box::pin(Group::ended(self))
    }
}

/// Tells a service where clients reach the group's nodes, for hints at the leader.
pub(super) type SetAddresses = Box<dyn Fn(Vec<(NodeId, Address)>) + Send + Sync>;

/// A replica that runs, with its service.
pub(super) struct Replica {
    pub(super) operated: Arc<dyn Operated>,
    pub(super) service: Arc<dyn Service>,
    pub(super) set_addresses: SetAddresses,
    pub(super) local: Local,
    /// Ends with it.
    pub(super) tasks: JoinSet<()>,
}
