//! What can become of what a client asks for: one enum per operation.

use alloc::string::String;
use core::fmt;

use crate::{
    ConfigError, LogId, LogIndex, MembershipError, NodeId, ProposeError, ReadError, RestoreError,
    StorageError, TransferError,
};

/// A command that was applied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Applied<O> {
    /// The entry it stands in.
    pub id: LogId,
    /// What the state machine answered.
    pub output: O,
}

/// The fate of a proposal that was not seen to be applied here.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ProposalError {
    /// Never appended: it had no effect, and may be tried again.
    Rejected(ProposeError),
    /// Leadership was lost, or the node stopped, while it was in flight: it may have been applied, may
    /// yet be, or never. Only a command that may be applied twice may be tried again.
    Unknown {
        /// The leader, if it is known.
        leader: Option<NodeId>,
    },
    /// The node has stopped, and it was never appended.
    Stopped,
}

impl fmt::Display for ProposalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(reason) => reason.fmt(f),
            Self::Unknown { leader } => {
                leadership_lost(f, *leader)?;
                f.write_str(": the outcome is unknown")
            }
            Self::Stopped => f.write_str("the node has stopped"),
        }
    }
}

impl core::error::Error for ProposalError {}

/// Why a read was not served. It may be tried again.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum QueryError {
    /// The core refused.
    Refused(ReadError),
    /// Leadership was lost while it waited.
    LeadershipLost {
        /// The leader, if it is known.
        leader: Option<NodeId>,
    },
    /// The node has stopped.
    Stopped,
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) => reason.fmt(f),
            Self::LeadershipLost { leader } => leadership_lost(f, *leader),
            Self::Stopped => f.write_str("the node has stopped"),
        }
    }
}

impl core::error::Error for QueryError {}

/// Why a snapshot that was asked for was not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The disk is full. The node goes on and tries again later by itself.
    Full {
        /// What the store said.
        reason: String,
    },
    /// Too many callers wait for a snapshot already.
    Busy,
    /// The node has stopped.
    Stopped,
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { reason } => f.write_str(reason),
            Self::Busy => f.write_str("too many callers wait for a snapshot already"),
            Self::Stopped => f.write_str("the node has stopped"),
        }
    }
}

impl core::error::Error for SnapshotError {}

/// Why the members of a group are not those that were asked for. What was done of it stays, and does no harm: whoever
/// asks for the same again, here or at the next leader, goes on from there.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ChangeError {
    /// The core refused.
    Refused(MembershipError),
    /// Leadership was lost meanwhile.
    LeadershipLost {
        /// The leader, if it is known.
        leader: Option<NodeId>,
    },
    /// Somebody else has changed the members meanwhile.
    Overtaken {
        /// From which index on they are others.
        since: LogIndex,
    },
    /// A node that is to vote does not keep up with what is proposed. It stays a learner.
    TooSlow {
        /// The node.
        node: NodeId,
        /// The rounds it was given.
        rounds: u32,
    },
    /// The time was up. What is under way goes on, and ends by itself.
    Deadline,
    /// This leader is making a change for somebody else, or too many requests wait.
    Busy,
    /// The group does not run here any more.
    Stopped,
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) => reason.fmt(f),
            Self::LeadershipLost { leader } => leadership_lost(f, *leader),
            Self::Overtaken { since } => {
                write!(f, "somebody else has changed the members at {since}")
            }
            Self::TooSlow { node, rounds } => {
                write!(f, "{node} has not caught up in {rounds} rounds")
            }
            Self::Deadline => f.write_str("the change was not done in time"),
            Self::Busy => f.write_str("another change is being made"),
            Self::Stopped => f.write_str("the group does not run here any more"),
        }
    }
}

impl core::error::Error for ChangeError {}

/// Why leadership was not handed over to whom it was to be.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum HandoverError {
    /// The core refused.
    Refused(TransferError),
    /// It did not come about within an election timeout: this node leads on.
    GivenUp,
    /// Somebody else leads, or nobody that is known.
    Elsewhere {
        /// The leader, if it is known.
        leader: Option<NodeId>,
    },
    /// Too many requests wait.
    Busy,
    /// The group does not run here any more.
    Stopped,
}

impl fmt::Display for HandoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) => reason.fmt(f),
            Self::GivenUp => f.write_str("the handover was given up"),
            Self::Elsewhere { leader: Some(leader) } => write!(f, "{leader} leads"),
            Self::Elsewhere { leader: None } => f.write_str("no leader is known"),
            Self::Busy => f.write_str("too many requests wait"),
            Self::Stopped => f.write_str("the group does not run here any more"),
        }
    }
}

impl core::error::Error for HandoverError {}

/// Why a group does not run on a node any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum GroupEnd {
    /// The node is no member of the group any more; what it has of it is of no use, and may be deleted.
    Removed {
        /// From which index on.
        since: LogIndex,
    },
    /// The node has stopped.
    NodeStopped,
}

/// Why a group could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration makes no sense.
    Config(ConfigError),
    /// The storage failed.
    Storage(StorageError),
    /// The group's snapshot is not one of this state machine.
    Restore(RestoreError),
    /// The node runs this group already, or is starting it.
    Running,
    /// The node has stopped.
    Stopped,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Storage(error) => error.fmt(f),
            Self::Restore(error) => error.fmt(f),
            Self::Running => f.write_str("the node runs this group already"),
            Self::Stopped => f.write_str("the node has stopped"),
        }
    }
}

impl core::error::Error for StartError {}

/// Why a node stopped.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum StopReason {
    /// Somebody asked for it.
    Shutdown,
    /// The storage failed; what it said. What is on the disk is unknown until the node starts anew.
    Storage(String),
    /// The transport was shut down.
    Transport,
    /// A snapshot in the store is not one of the group's state machine; why.
    Restore(String),
    /// The code panicked: a state machine's, or the driver's own.
    Panicked(String),
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shutdown => f.write_str("shut down"),
            Self::Storage(reason) => write!(f, "the storage failed: {reason}"),
            Self::Transport => f.write_str("the transport was shut down"),
            Self::Restore(reason) => f.write_str(reason),
            Self::Panicked(what) => write!(f, "a panic: {what}"),
        }
    }
}

fn leadership_lost(f: &mut fmt::Formatter<'_>, leader: Option<NodeId>) -> fmt::Result {
    match leader {
        Some(leader) => write!(f, "leadership was lost to {leader}"),
        None => f.write_str("leadership was lost"),
    }
}
