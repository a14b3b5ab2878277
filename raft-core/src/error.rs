//! Why the core refuses: one enum per operation.

use core::fmt;

use crate::{LogIndex, NodeId};

/// Why a proposal was not appended. It certainly had no effect: it may be tried again, here or elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ProposeError {
    /// Another node leads, or none.
    NotLeader {
        /// The leader, if it is known.
        leader: Option<NodeId>,
    },
    /// Leadership is being handed over: try again there, or here when that has failed.
    TransferInProgress {
        /// Who is to lead.
        to: NodeId,
    },
    /// Too much is in flight: try again later.
    Overloaded {
        /// Bytes of entries that are not applied, or not durable, yet.
        in_flight_bytes: u64,
        /// The limit.
        in_flight_bytes_max: u64,
    },
    /// The command is larger than any may be.
    TooLarge {
        /// The size of the command.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
}

impl fmt::Display for ProposeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLeader { leader } => not_leader(f, *leader),
            Self::TransferInProgress { to } => {
                write!(f, "leadership is being handed over to {to}")
            }
            Self::Overloaded { in_flight_bytes, in_flight_bytes_max } => {
                write!(
                    f,
                    "overloaded: {in_flight_bytes} of {in_flight_bytes_max} bytes are in flight"
                )
            }
            Self::TooLarge { bytes, bytes_max } => {
                write!(f, "the command has {bytes} bytes and may have {bytes_max}")
            }
        }
    }
}

impl core::error::Error for ProposeError {}

/// Why a read cannot be confirmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// Another node leads, or none.
    NotLeader {
        /// The leader, if it is known.
        leader: Option<NodeId>,
    },
    /// Too many reads wait already: try again later.
    Overloaded {
        /// The limit.
        reads_max: usize,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLeader { leader } => not_leader(f, *leader),
            Self::Overloaded { reads_max } => {
                write!(f, "overloaded: {reads_max} reads are waiting")
            }
        }
    }
}

impl core::error::Error for ReadError {}

/// Why no group can have such members.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum TargetError {
    /// Nobody would vote.
    NoVoters,
    /// A node would vote and not vote.
    VoterAndLearner {
        /// The node.
        node: NodeId,
    },
    /// There would be too many members.
    TooMany {
        /// Voters and learners.
        members: usize,
        /// The limit.
        members_max: usize,
    },
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoVoters => f.write_str("a group needs a voter"),
            Self::VoterAndLearner { node } => write!(f, "{node} is to be a voter and a learner"),
            Self::TooMany { members, members_max } => {
                write!(f, "a group of {members} members; it may have {members_max}")
            }
        }
    }
}

impl core::error::Error for TargetError {}

/// Why a change of the membership was not begun. It certainly had no effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum MembershipError {
    /// Another node leads, or none.
    NotLeader {
        /// The leader, if it is known.
        leader: Option<NodeId>,
    },
    /// Leadership is being handed over.
    TransferInProgress {
        /// Who is to lead.
        to: NodeId,
    },
    /// This leader has not committed an entry of its own term yet: try again when it has.
    NotReady,
    /// A change is under way: its entry is not committed yet, or the joint configuration not left.
    InProgress {
        /// Where its newest entry stands.
        index: LogIndex,
    },
    /// The membership is not the one that was expected: look again.
    Stale {
        /// From which index on the current one is in effect.
        since: LogIndex,
    },
    /// No group can be like that.
    Target(TargetError),
    /// The group is like that already.
    Unchanged,
    /// The node is to vote, and is no learner that has caught up: with its vote the group might stand still.
    NotCaughtUp {
        /// The node.
        node: NodeId,
    },
}

impl fmt::Display for MembershipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLeader { leader } => not_leader(f, *leader),
            Self::TransferInProgress { to } => {
                write!(f, "leadership is being handed over to {to}")
            }
            Self::NotReady => f.write_str("the leader has committed nothing in its term yet"),
            Self::InProgress { index } => write!(f, "the change at {index} is under way"),
            Self::Stale { since } => write!(f, "the membership is another one since {since}"),
            Self::Target(error) => error.fmt(f),
            Self::Unchanged => f.write_str("the membership is that already"),
            Self::NotCaughtUp { node } => write!(f, "{node} is no learner that has caught up"),
        }
    }
}

impl core::error::Error for MembershipError {}

/// Why leadership is not being handed over. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum TransferError {
    /// Another node leads, or none.
    NotLeader {
        /// The leader, if it is known.
        leader: Option<NodeId>,
    },
    /// It is being handed over to somebody already.
    InProgress {
        /// Who is to lead.
        to: NodeId,
    },
    /// The node does not vote, or soon will not.
    NotVoter {
        /// The node.
        node: NodeId,
    },
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLeader { leader } => not_leader(f, *leader),
            Self::InProgress { to } => write!(f, "leadership is being handed over to {to}"),
            Self::NotVoter { node } => write!(f, "{node} does not vote"),
        }
    }
}

impl core::error::Error for TransferError {}

fn not_leader(f: &mut fmt::Formatter<'_>, leader: Option<NodeId>) -> fmt::Result {
    match leader {
        Some(leader) => write!(f, "not the leader; {leader} is"),
        None => f.write_str("not the leader, and no leader is known"),
    }
}
