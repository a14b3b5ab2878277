//! The refusals of the node's service, in words.

use std::fmt;

use super::protocol::{ChangeRefusal, Elsewhere, HostRefusal, TransferRefusal};

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchGroup { group } => write!(f, "there is no group {group}"),
            Self::NotLeader { hint: Some((node, _)) } => {
                write!(f, "node {node} leads, or knows who does")
            }
            Self::NotLeader { hint: None } => f.write_str("no leader is known"),
        }
    }
}

impl fmt::Display for HostRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherLife { .. } => f.write_str("it has another data directory by now"),
            Self::NoSuchGroup => f.write_str("its cluster has no such group"),
            Self::NotStarted { reason } => f.write_str(reason),
        }
    }
}

impl fmt::Display for ChangeRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elsewhere(elsewhere) => elsewhere.fmt(f),
            Self::Stale { since } => write!(f, "the members are others, since index {since}"),
            Self::InProgress { since } => {
                write!(f, "another change is under way, since index {since}")
            }
            Self::Busy => f.write_str("the leader makes a change for somebody else"),
            Self::NotNow => f.write_str("leadership is being handed over, or was just taken"),
            Self::NoMember { node } => write!(f, "node {node} is no member"),
            Self::NoAddress { node } => write!(f, "it is not known where node {node} is"),
            Self::Unreachable { node, address } => {
                write!(f, "node {node} does not answer at {address}")
            }
            Self::OtherNode { node, address, found, cluster } => write!(
                f,
                "at {address} is node {found} of cluster {cluster}, and not node {node} of this one"
            ),
            Self::OtherLife { node } => {
                write!(f, "node {node} has another data directory than the cluster knows")
            }
            Self::NoVoter => f.write_str("nobody would vote any more"),
            Self::TooMany { members, members_max } => {
                write!(f, "there would be {members} members, and may be {members_max}")
            }
            Self::NotHosted { node, reason } => {
                write!(f, "node {node} does not take a replica: {reason}")
            }
            Self::TooSlow { node, rounds } => {
                write!(f, "node {node} has not caught up in {rounds} rounds, and stays a learner")
            }
            Self::Overtaken { since } => {
                write!(f, "somebody else has changed the members, at index {since}")
            }
            Self::LeadershipLost { .. } => f.write_str("leadership was lost meanwhile"),
            Self::Deadline => f.write_str("it is not done yet"),
        }
    }
}

impl fmt::Display for TransferRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elsewhere(elsewhere) => elsewhere.fmt(f),
            Self::InProgress { to } => {
                write!(f, "leadership is being handed over to node {to} already")
            }
            Self::NotVoter { node } => write!(f, "node {node} is no voter"),
            Self::GivenUp => f.write_str("it did not come about within an election timeout"),
            Self::Other { leader: Some(leader) } => write!(f, "node {leader} leads instead"),
            Self::Other { leader: None } => f.write_str("no leader is known"),
            Self::Busy => f.write_str("too many ask for it"),
        }
    }
}
