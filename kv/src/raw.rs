//! Single attempts of writes, with an explicit place in a session: what a [`Clerk`](crate::Clerk) is made of.
//!
//! Nothing is tried again and no leader is searched for. For tests of a server's sessions, and for clients
//! that keep their tickets elsewhere, so that they outlive the process.

use std::time::Duration;

use raft_core::{Address, CallError, Caller, NodeId};
use tokio::time::timeout;

use crate::command::{self, SessionId, Ticket, Write};
use crate::envelope;
use crate::limits::Refusal;
use crate::op::{CommandError, Op, Outcome, Reply};
use crate::wire::{self, Answer, Fault, Kind};

/// Why an attempt has no reply of the state machine.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttemptError {
    /// The request did not get there, or its reply not back; the error says which.
    #[error(transparent)]
    Call(CallError),
    /// No reply came in time: whether it was done is unknown.
    #[error("no reply in time")]
    NoReply,
    /// Another node leads, or none. Nothing was done.
    #[error("the node does not lead")]
    NotLeader(Option<NodeId>),
    /// It had no turn in the state machine.
    #[error(transparent)]
    Command(CommandError),
    /// It can never be done. Nothing was done.
    #[error(transparent)]
    Refused(Refusal),
    /// The node has too much to do, or stops. Nothing was done.
    #[error("the node takes no requests now")]
    Unavailable,
    /// The server does not know whether it was done.
    #[error("the outcome is unknown")]
    Unknown,
    /// One side does not understand the other.
    #[error("the request or the reply was not understood")]
    Protocol,
}

/// Opens a session at the node at `endpoint`, which has to lead.
///
/// # Errors
///
/// [`AttemptError`].
pub async fn open_session(
    caller: &dyn Caller,
    endpoint: &Address,
    within: Duration,
) -> Result<SessionId, AttemptError> {
    let reply = attempt(caller, endpoint, wire::request(Kind::OpenSession, 0), within).await?;
    match reply.outcome {
        Outcome::SessionOpened => Ok(SessionId(reply.index)),
        _ => Err(AttemptError::Protocol),
    }
}

/// Asks the node at `endpoint`, which has to lead, for one write. With the same ticket it may be asked for any
/// number of times: it is done once, and every reply is the same.
///
/// # Errors
///
/// [`AttemptError`].
pub async fn write(
    caller: &dyn Caller,
    endpoint: &Address,
    ticket: Ticket,
    op: Op<'_>,
    within: Duration,
) -> Result<Reply, AttemptError> {
    let write = Write::One(op);
    let head = wire::request(Kind::Write, 64 + write.bytes());
    attempt(caller, endpoint, command::write_body(head, ticket, &write), within).await
}

async fn attempt(
    caller: &dyn Caller,
    endpoint: &Address,
    mut request: Vec<u8>,
    within: Duration,
) -> Result<Reply, AttemptError> {
    let budget_ms = u32::try_from(within.as_millis()).unwrap_or(u32::MAX);
    envelope::set_budget(&mut request, budget_ms);
    let called = timeout(within, caller.call(endpoint, request.into())).await;
    let reply = called.map_err(|_| AttemptError::NoReply)?.map_err(AttemptError::Call)?;
    match wire::read_reply(&reply) {
        Ok(Answer::Written(reply)) => Ok(reply),
        Ok(Answer::Fault(fault)) => Err(fault.into()),
        Ok(_) | Err(_) => Err(AttemptError::Protocol),
    }
}

impl From<Fault> for AttemptError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NotLeader(hint) => Self::NotLeader(hint.map(|hint| NodeId(hint.node))),
            Fault::Overloaded | Fault::Stopped => Self::Unavailable,
            Fault::Refused(refusal) => Self::Refused(refusal),
            Fault::Command(error) => Self::Command(error),
            Fault::Unknown(_) | Fault::Deadline => Self::Unknown,
            Fault::Malformed | Fault::WrongGroup(_) => Self::Protocol,
        }
    }
}
