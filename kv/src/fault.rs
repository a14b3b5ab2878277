//! [`Fault`]: why a request was not done, as servers tell it.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use raft_core::node::{ProposalError, QueryError};
use raft_core::{Address, NodeId, ProposeError, ReadError};
use serde::{Deserialize, Serialize};

use crate::limits::Refusal;
use crate::op::CommandError;

/// Who leads, as far as the server knows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hint {
    /// The id of the leader.
    pub node: u64,
    /// Where clients reach it, if the server knows.
    pub address: Option<String>,
}

/// Who serves a key instead, as far as the server knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Elsewhere {
    /// The number of the configuration that the server has reached.
    pub number: u64,
    /// The group that serves the key, or is about to.
    pub group: Option<u64>,
}

/// Why a request was not done. Only `Unknown`, and `Command(StaleSequence)`, leave open whether it was.
/// `R` is why the service can refuse one for ever.
///
/// The order of the variants is the wire format.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Fault<R = Refusal> {
    /// Another node leads, or none.
    NotLeader(Option<Hint>),
    /// The node has too much to do.
    Overloaded,
    /// It can never be done.
    Refused(R),
    /// It had no turn in the state machine.
    Command(CommandError),
    /// It may yet be applied, or may have been.
    Unknown(Option<Hint>),
    /// A read was not confirmed in time.
    Deadline,
    /// The node stops.
    Stopped,
    /// The server cannot read the request.
    Malformed,
    /// Another group serves the key. Never said by a service of one group.
    WrongGroup(Elsewhere),
}

/// Where clients reach the nodes of a group.
#[derive(Debug, Default)]
pub struct Directory(RwLock<BTreeMap<NodeId, Address>>);

impl Directory {
    /// The nodes that are at these addresses.
    pub fn new(addresses: impl IntoIterator<Item = (NodeId, Address)>) -> Self {
        Self(RwLock::new(addresses.into_iter().collect()))
    }

    /// Replaces all addresses.
    pub fn replace(&self, addresses: impl IntoIterator<Item = (NodeId, Address)>) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *held = addresses.into_iter().collect();
    }

    /// Tells a client who leads.
    pub fn hint(&self, leader: Option<NodeId>) -> Option<Hint> {
        let node = leader?;
        let addresses = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let address = addresses.get(&node).map(|address| address.0.clone());
        Some(Hint { node: node.0, address })
    }

    /// What the client of a write is told. `too_large` makes the refusal of a command that has so many
    /// bytes and may have so many.
    pub fn proposal_fault<R>(
        &self,
        error: ProposalError,
        too_large: impl FnOnce(u64, u64) -> R,
    ) -> Fault<R> {
        match error {
            ProposalError::Rejected(ProposeError::NotLeader { leader }) => {
                Fault::NotLeader(self.hint(leader))
            }
            ProposalError::Rejected(ProposeError::TransferInProgress { to }) => {
                Fault::NotLeader(self.hint(Some(to)))
            }
            ProposalError::Rejected(ProposeError::Overloaded { .. }) => Fault::Overloaded,
            ProposalError::Rejected(ProposeError::TooLarge { bytes, bytes_max }) => {
                Fault::Refused(too_large(bytes, bytes_max))
            }
            ProposalError::Stopped => Fault::Stopped,
            ProposalError::Unknown { leader } => Fault::Unknown(self.hint(leader)),
            // What is not known to have had no effect may have had one.
            _ => Fault::Unknown(None),
        }
    }

    /// What the client of a read is told.
    pub fn query_fault<R>(&self, error: QueryError) -> Fault<R> {
        match error {
            QueryError::Refused(ReadError::NotLeader { leader })
            | QueryError::LeadershipLost { leader } => Fault::NotLeader(self.hint(leader)),
            QueryError::Refused(ReadError::Overloaded { .. }) => Fault::Overloaded,
            QueryError::Stopped => Fault::Stopped,
            _ => Fault::Deadline,
        }
    }
}
