//! Why the core refuses: one enum per operation.

use core::fmt;

use crate::NodeId;

/// Why a proposal was not appended. It certainly had no effect: it may be tried again, here or elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ProposeError {
    /// Another node leads, or none.
    NotLeader {
        /// The leader, if it is known.
        leader: Option<NodeId>,
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
            Self::NotLeader { leader: Some(leader) } => write!(f, "not the leader; {leader} is"),
            Self::NotLeader { leader: None } => {
                f.write_str("not the leader, and no leader is known")
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
            Self::NotLeader { leader: Some(leader) } => write!(f, "not the leader; {leader} is"),
            Self::NotLeader { leader: None } => {
                f.write_str("not the leader, and no leader is known")
            }
            Self::Overloaded { reads_max } => {
                write!(f, "overloaded: {reads_max} reads are waiting")
            }
        }
    }
}

impl core::error::Error for ReadError {}
