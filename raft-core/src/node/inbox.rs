//! What waits for the loop's next turn: proposals, reads, and the rarer requests of one group.
//!
//! Clients and the group's own tasks put things in; the loop takes all of it at once. The group is in the
//! loop's mailbox exactly while its inbox is [`Called`](Call::Called), so that only the first of many
//! proposals pays for calling the loop.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::change::Wish;
use super::handing::HandoverReply;
use super::{Applied, ChangeError, HandoverError, ProposalError, QueryError, SnapshotError};
use crate::{
    Entry, LogId, MemberProgress, NodeId, ProposeError, ReadError, SnapshotMeta, SnapshotSource,
    StorageError,
};

/// Where the answer to a proposal goes.
pub(super) type ProposalReply<O> = oneshot::Sender<Result<Applied<O>, ProposalError>>;
/// Where the answer to a read goes: that the state may be looked at now.
pub(super) type ReadReply = oneshot::Sender<Result<(), QueryError>>;
/// Where the answer to a wish for a snapshot goes: the last entry of a durable one.
pub(super) type SnapshotReply = oneshot::Sender<Result<LogId, SnapshotError>>;
/// Where the answer to an append goes: the entry, once it is in the log.
pub(super) type AppendReply = oneshot::Sender<Result<LogId, ProposalError>>;
/// A command and its proposer.
pub(super) type Proposal<O> = (Bytes, Proposer<O>);

/// Who waits for what becomes of a command.
pub(super) struct Proposer<O> {
    /// There for whoever waits for the entry before its output.
    pub(super) appended: Option<AppendReply>,
    pub(super) reply: ProposalReply<O>,
}

impl<O> Proposer<O> {
    /// The command was never appended.
    pub(super) fn refuse(self, error: ProposalError) {
        match self.appended {
            Some(appended) => drop(appended.send(Err(error))),
            None => drop(self.reply.send(Err(error))),
        }
    }
}

/// The rarer things a group's loop is asked for.
pub(super) enum Ask {
    /// Begin an election.
    Campaign,
    /// Make the members others.
    Change(Wish),
    /// Hand leadership over.
    Transfer { to: NodeId, reply: HandoverReply },
    /// Say how far the members are.
    Progress(oneshot::Sender<Vec<MemberProgress>>),
    /// Take a snapshot that has at least what is applied now.
    Snapshot(SnapshotReply),
    /// The applier's answer to the loop's wish for a view: the state just after `applied`.
    Viewed { applied: LogId, source: Box<dyn SnapshotSource> },
    /// A snapshot was written, or was not.
    Written(Result<SnapshotMeta, StorageError>),
}

/// Whether the loop was called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Quiet,
    Called,
    /// The loop has ended: nothing is taken any more.
    Closed,
}

/// What whoever put something in has to do then.
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Ring {
    /// Call the loop, after letting go of the inbox.
    Loop,
    /// Nothing: it was called already.
    Nobody,
}

/// Why a request was not queued.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum NotAsked {
    /// Too many wait.
    Busy,
    /// The loop has ended.
    Stopped,
}

macro_rules! not_asked {
    ($($error:ident),+) => {
        $(impl From<NotAsked> for $error {
            fn from(reason: NotAsked) -> Self {
                match reason {
                    NotAsked::Busy => Self::Busy,
                    NotAsked::Stopped => Self::Stopped,
                }
            }
        })+
    };
}

not_asked!(SnapshotError, ChangeError, HandoverError);

/// The inbox of a group.
pub(super) struct Inbox<O> {
    call: Call,
    proposals: Vec<Proposal<O>>,
    proposal_bytes: u64,
    proposal_bytes_max: u64,
    reads: Vec<ReadReply>,
    reads_max: usize,
    asks: Vec<Ask>,
}

/// Requests of [`Ask`] that may wait at once; the tasks' own answers are not refused, there is one of each.
const ASKS_MAX: usize = 64;

impl<O> Inbox<O> {
    pub(super) fn new(proposal_bytes_max: u64, reads_max: usize) -> Self {
        Self {
            call: Call::Quiet,
            proposals: Vec::new(),
            proposal_bytes: 0,
            proposal_bytes_max,
            reads: Vec::new(),
            reads_max,
            asks: Vec::new(),
        }
    }

    /// Queues a proposal.
    pub(super) fn propose(
        &mut self,
        command: Bytes,
        proposer: Proposer<O>,
    ) -> Result<Ring, ProposalError> {
        if self.call == Call::Closed {
            return Err(ProposalError::Stopped);
        }
        let bytes = self.proposal_bytes + Entry::OVERHEAD_BYTES + command.len() as u64;
        if bytes > self.proposal_bytes_max && !self.proposals.is_empty() {
            return Err(ProposalError::Rejected(ProposeError::Overloaded {
                in_flight_bytes: bytes,
                in_flight_bytes_max: self.proposal_bytes_max,
            }));
        }
        self.proposal_bytes = bytes;
        self.proposals.push((command, proposer));
        Ok(self.call())
    }

    /// Queues a read.
    pub(super) fn read(&mut self, reply: ReadReply) -> Result<Ring, QueryError> {
        if self.call == Call::Closed {
            return Err(QueryError::Stopped);
        }
        if self.reads.len() >= self.reads_max {
            return Err(QueryError::Refused(ReadError::Overloaded { reads_max: self.reads_max }));
        }
        self.reads.push(reply);
        Ok(self.call())
    }

    /// Queues a request, or refuses it when too many wait.
    pub(super) fn ask(&mut self, ask: Ask) -> Result<Ring, NotAsked> {
        match self.call {
            Call::Closed => Err(NotAsked::Stopped),
            _ if self.asks.len() >= ASKS_MAX => Err(NotAsked::Busy),
            _ => Ok(self.tell(ask)),
        }
    }

    /// Queues what one of the group's tasks has to say.
    pub(super) fn tell(&mut self, ask: Ask) -> Ring {
        if self.call == Call::Closed {
            return Ring::Nobody;
        }
        self.asks.push(ask);
        self.call()
    }

    /// Has the loop visit the group although there is nothing in the inbox.
    pub(super) fn call(&mut self) -> Ring {
        match self.call {
            Call::Quiet => {
                self.call = Call::Called;
                Ring::Loop
            }
            Call::Called | Call::Closed => Ring::Nobody,
        }
    }

    /// Takes everything. `proposals` and `reads` are empty vectors whose room is used next.
    pub(super) fn take(
        &mut self,
        proposals: &mut Vec<Proposal<O>>,
        reads: &mut Vec<ReadReply>,
    ) -> Vec<Ask> {
        debug_assert!(proposals.is_empty() && reads.is_empty());
        if self.call == Call::Called {
            self.call = Call::Quiet;
        }
        self.proposal_bytes = 0;
        mem::swap(&mut self.proposals, proposals);
        mem::swap(&mut self.reads, reads);
        mem::take(&mut self.asks)
    }

    /// Takes nothing any more.
    pub(super) fn close(&mut self) {
        self.call = Call::Closed;
    }

    /// Bytes of proposals that wait.
    pub(super) fn bytes(&self) -> u64 {
        self.proposal_bytes
    }
}

/// The proposals that a stopped loop will never see: they were never appended.
pub(super) fn refuse_all<O>(proposals: Vec<Proposal<O>>, reads: Vec<ReadReply>, asks: Vec<Ask>) {
    for (_, proposer) in proposals {
        proposer.refuse(ProposalError::Stopped);
    }
    for reply in reads {
        let _ = reply.send(Err(QueryError::Stopped));
    }
    for ask in asks {
        match ask {
            Ask::Snapshot(reply) => drop(reply.send(Err(SnapshotError::Stopped))),
            Ask::Change(wish) => drop(wish.reply.send(Err(ChangeError::Stopped))),
            Ask::Transfer { reply, .. } => drop(reply.send(Err(HandoverError::Stopped))),
            // Nobody waits, or whoever does sees that the reply is gone.
            Ask::Campaign | Ask::Progress(_) | Ask::Viewed { .. } | Ask::Written(_) => {}
        }
    }
}
