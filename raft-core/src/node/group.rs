//! The handle on a group: what clients of a replicated state machine call.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::change::Wish;
use super::inbox::{Ask, NotAsked, Proposer};
use super::lock::lock;
use super::machine::Health;
use super::shared::Shared;
use super::watch;
use super::{
    Applied, ChangeError, GroupEnd, GroupStatus, HandoverError, ProposalError, QueryError,
    SnapshotError,
};
use crate::{GroupId, LogId, LogIndex, MemberProgress, NodeId, RoleChange, StateMachine, Target};

/// A command that is in the log of the leader it was given to. It is not committed yet, and another leader
/// may overwrite it. Dropping this does not take it back.
#[derive(Debug)]
pub struct Appended<O> {
    id: LogId,
    answer: oneshot::Receiver<Result<Applied<O>, ProposalError>>,
}

impl<O> Appended<O> {
    /// The entry it stands in.
    pub fn id(&self) -> LogId {
        self.id
    }

    /// Waits until it is applied here.
    ///
    /// # Errors
    ///
    /// Always [`ProposalError::Unknown`]: the command was appended, so it may yet have its effect.
    pub async fn applied(self) -> Result<Applied<O>, ProposalError> {
        outcome(self.answer).await
    }
}

/// What a proposer is told.
async fn outcome<T>(
    answer: oneshot::Receiver<Result<T, ProposalError>>,
) -> Result<T, ProposalError> {
    // Dropped without an answer only when the whole runtime is: nothing is known then.
    answer.await.unwrap_or(Err(ProposalError::Unknown { leader: None }))
}

/// A handle on a group of a [`Node`](super::Node); cheap to clone. It does not keep the node running.
pub struct Group<S: StateMachine>(Arc<Shared<S>>);

impl<S: StateMachine> Clone for Group<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: StateMachine> Group<S> {
    pub(super) fn new(shared: Arc<Shared<S>>) -> Self {
        Self(shared)
    }

    /// Which group.
    pub fn id(&self) -> GroupId {
        self.0.group
    }

    /// Proposes a command and waits until it is applied here. The command is queued before the future is
    /// polled first; dropping the future does not take it back.
    ///
    /// # Errors
    ///
    /// [`ProposalError`] says whether the command may have had its effect.
    pub fn propose(
        &self,
        command: Bytes,
    ) -> impl Future<Output = Result<Applied<S::Output>, ProposalError>> + Send + 'static + use<S>
    {
        let (reply, answer) = oneshot::channel();
        let queued = self.queue(command, Proposer { appended: None, reply });
        async move {
            queued?;
            outcome(answer).await
        }
    }

    /// Proposes a command and waits only until it is in this leader's log; [`Appended`] has the entry, and
    /// waits on. For those who keep many commands in flight and have to know where each one stands. As with
    /// [`Self::propose`], the command is queued before the future is polled first, commands are appended in
    /// the order in which they were queued, and dropping the future takes nothing back.
    ///
    /// # Errors
    ///
    /// [`ProposalError`]. [`Rejected`](ProposalError::Rejected), with the leader if it is known, and
    /// [`Stopped`](ProposalError::Stopped) are found out here, not by [`Appended::applied`].
    pub fn append(
        &self,
        command: Bytes,
    ) -> impl Future<Output = Result<Appended<S::Output>, ProposalError>> + Send + 'static + use<S>
    {
        let ((reply, answer), (told, id)) = (oneshot::channel(), oneshot::channel());
        let queued = self.queue(command, Proposer { appended: Some(told), reply });
        async move {
            queued?;
            Ok(Appended { id: outcome(id).await?, answer })
        }
    }

    fn queue(&self, command: Bytes, proposer: Proposer<S::Output>) -> Result<(), ProposalError> {
        let queued = lock(&self.0.inbox).propose(command, proposer);
        queued.map(|ring| self.0.ring(ring))
    }

    /// Waits until a linearizable read is confirmed (ReadIndex) and applied here, then looks at the state.
    /// The read is queued before the future is polled first; the state it sees has at least everything
    /// that was answered before this call. `look` runs under a lock that the applier needs too: keep it
    /// short.
    ///
    /// # Errors
    ///
    /// [`QueryError`]: the read had no effect and may be tried again, here or elsewhere.
    pub fn read<R, F>(
        &self,
        look: F,
    ) -> impl Future<Output = Result<R, QueryError>> + Send + use<S, R, F>
    where
        F: FnOnce(&S) -> R + Send,
    {
        let shared = self.0.clone();
        let (reply, answer) = oneshot::channel();
        let queued = lock(&shared.inbox).read(reply).map(|ring| shared.ring(ring));
        async move {
            if !planted!(ReadServedLocally) {
                queued?;
                answer.await.unwrap_or(Err(QueryError::Stopped))?;
            }
            let machine = lock(&shared.machine);
            match machine.health {
                Health::Whole => Ok(look(&machine.state)),
                Health::Torn => Err(QueryError::Stopped),
            }
        }
    }

    /// Looks at the state as it is on this node now, however old; `look` gets the last applied entry with
    /// it, and runs under a lock that the applier needs too. After a panic of the state machine the state
    /// is whatever the panic left.
    pub fn peek<R>(&self, look: impl FnOnce(LogId, &S) -> R) -> R {
        let machine = lock(&self.0.machine);
        look(machine.applied, &machine.state)
    }

    /// Takes a snapshot that has at least what is applied here now, and waits until it is durable; gives
    /// its last entry. Nothing is taken when the newest snapshot has that already.
    ///
    /// # Errors
    ///
    /// When the disk is full, too many callers wait, or the node stops.
    pub fn snapshot(
        &self,
    ) -> impl Future<Output = Result<LogId, SnapshotError>> + Send + 'static + use<S> {
        let (reply, answer) = oneshot::channel();
        let queued = self.ask(Ask::Snapshot(reply));
        async move {
            queued?;
            answer.await.unwrap_or(Err(SnapshotError::Stopped))
        }
    }

    /// Makes the members of the group those of `target`, and waits until they are: adds new voters as learners,
    /// waits until they have caught up, has the group go over by joint consensus, and gives the index from which on
    /// it is so. Done at once when it is so already; so that whoever does not know what came of a call may repeat
    /// it, here or at another leader. With `expected`, an index, only the membership is changed that is in effect
    /// from there on ([`GroupStatus::membership_since`]): who looked at another one is refused.
    ///
    /// This leader may be among those that go; it hands over then. A node that goes is told, and its group ends
    /// ([`Self::ended`]). The request is queued before the future is polled first, and the time counts from then.
    /// Dropping the future takes nothing back, and begins no further step.
    ///
    /// # Errors
    ///
    /// [`ChangeError`]; what was done of it stays.
    pub fn change_membership(
        &self,
        target: Target,
        expected: Option<LogIndex>,
        deadline: Duration,
    ) -> impl Future<Output = Result<LogIndex, ChangeError>> + Send + 'static + use<S> {
        let (reply, answer) = oneshot::channel();
        let queued = self.ask(Ask::Change(Wish { target, expected, reply }));
        let deadline = Instant::now() + deadline;
        async move {
            queued?;
            match timeout_at(deadline, answer).await {
                Ok(outcome) => outcome.unwrap_or(Err(ChangeError::Stopped)),
                Err(_) => Err(ChangeError::Deadline),
            }
        }
    }

    fn ask(&self, ask: Ask) -> Result<(), NotAsked> {
        let queued = lock(&self.0.inbox).ask(ask);
        queued.map(|ring| self.0.ring(ring))
    }

    /// Hands leadership over to `to` and waits until it leads. Meanwhile proposals are refused; those before are
    /// not lost. Given up after an election timeout.
    ///
    /// # Errors
    ///
    /// [`HandoverError`]; who leads is up to the group.
    pub fn transfer_leadership(
        &self,
        to: NodeId,
    ) -> impl Future<Output = Result<(), HandoverError>> + Send + 'static + use<S> {
        let (reply, answer) = oneshot::channel();
        let queued = self.ask(Ask::Transfer { to, reply });
        async move {
            queued?;
            answer.await.unwrap_or(Err(HandoverError::Stopped))
        }
    }

    /// How far the other members are, as this leader knows; nothing on a node that does not lead or has stopped.
    pub async fn progress(&self) -> Vec<MemberProgress> {
        let (reply, answer) = oneshot::channel();
        match self.ask(Ask::Progress(reply)) {
            Ok(()) => answer.await.unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    /// Waits until the group does not run on this node any more, and says why. The group of a node that was removed
    /// ends as soon as the node knows; the node goes on with its other groups.
    pub async fn ended(&self) -> GroupEnd {
        let mut changes = self.0.changes.clone();
        while changes.changed().await.is_ok() {}
        let removed = lock(&self.0.status).removed;
        removed.map_or(GroupEnd::NodeStopped, |since| GroupEnd::Removed { since })
    }

    /// Begins an election now, unless this node leads already; for operators who prefer another leader,
    /// and for tests. Nothing happens when the node has stopped or many such requests wait.
    pub fn campaign(&self) {
        let _ = self.ask(Ask::Campaign);
    }

    /// What the core shows of itself, as of the loop's last visit.
    pub fn status(&self) -> GroupStatus {
        let mut status = lock(&self.0.status).clone();
        status.inbox_bytes = lock(&self.0.inbox).bytes();
        let waiting = lock(&self.0.waiting);
        status.applied = waiting.applied().index;
        status.proposals = waiting.proposals();
        status
    }

    /// Role, term and leader as they change. The channel closes when the node stops.
    pub fn changes(&self) -> watch::Receiver<RoleChange> {
        self.0.changes.clone()
    }
}
