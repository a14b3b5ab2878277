//! Requests and replies between a clerk and a server.
//!
//! A request is the format (1 byte), the kind (1), how many milliseconds the client still waits (4), and
//! the body: for a write that of [`crate::command`], for a read a [`Read`] in postcard, and nothing for
//! the others. A reply is the format and an [`Answer`] in postcard.

use raft_core::LogIndex;
use serde::{Deserialize, Serialize};

use crate::codec::{self, FORMAT, Malformed, index, optional_slice, slice};
use crate::command::{SPAN_AT, Ticket, span};
use crate::limits::Refusal;
use crate::op::{CommandError, Reply};
use crate::status::WireStatus;

/// What a request asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Write,
    OpenSession,
    Read,
    Status,
}

/// A read, linearizable.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Read<'a> {
    Get {
        #[serde(borrow, with = "slice")]
        key: &'a [u8],
    },
    Scan {
        #[serde(borrow, with = "slice")]
        start: &'a [u8],
        #[serde(borrow, with = "optional_slice")]
        end: Option<&'a [u8]>,
        #[serde(borrow, with = "optional_slice")]
        after: Option<&'a [u8]>,
        entries_max: u32,
        bytes_max: u32,
    },
}

/// What a server answers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) enum Answer<'a> {
    Fault(Fault),
    Written(Reply),
    Value(#[serde(borrow)] Option<Found<'a>>),
    Page {
        #[serde(borrow)]
        entries: Vec<Listed<'a>>,
        #[serde(borrow, with = "optional_slice")]
        next: Option<&'a [u8]>,
    },
    Status(WireStatus),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Found<'a> {
    #[serde(borrow, with = "slice")]
    pub(crate) value: &'a [u8],
    #[serde(with = "index")]
    pub(crate) version: LogIndex,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Listed<'a> {
    #[serde(borrow, with = "slice")]
    pub(crate) key: &'a [u8],
    #[serde(borrow)]
    pub(crate) found: Found<'a>,
}

/// Who leads, as far as the server knows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Hint {
    pub(crate) node: u64,
    pub(crate) address: Option<String>,
}

/// Why a request was not done. Only `Unknown`, and `Command(StaleSequence)`, leave open whether it was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Fault {
    /// Another node leads, or none.
    NotLeader(Option<Hint>),
    /// The node has too much to do.
    Overloaded,
    /// It can never be done.
    Refused(Refusal),
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
}

/// Bytes before the body of a request.
pub(crate) const HEADER: usize = 6;
const BUDGET_AT: usize = 2;

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::Write => 0,
            Self::OpenSession => 1,
            Self::Read => 2,
            Self::Status => 3,
        }
    }
}

/// The beginning of a request, with room for the budget and for `room` more bytes.
pub(crate) fn request(kind: Kind, room: usize) -> Vec<u8> {
    let mut request = Vec::with_capacity(HEADER + room);
    request.extend_from_slice(&[FORMAT, kind.byte(), 0, 0, 0, 0]);
    request
}

/// Says in a request how long the client still waits.
pub(crate) fn set_budget(request: &mut [u8], budget_ms: u32) {
    patch(request, BUDGET_AT, &budget_ms.to_le_bytes());
}

/// Says in the request of a write what the client has acknowledged by now.
pub(crate) fn set_acked(request: &mut [u8], ticket: Ticket) {
    patch(request, HEADER + SPAN_AT, &span(ticket).to_le_bytes());
}

fn patch(request: &mut [u8], at: usize, field: &[u8]) {
    if let Some(to) = request.get_mut(at..at + field.len()) {
        to.copy_from_slice(field);
    }
}

/// Takes a request apart: its kind, how long the client still waits in milliseconds, and its body.
pub(crate) fn read_request(mut request: &[u8]) -> Result<(Kind, u32, &[u8]), Malformed> {
    let [format, kind] = codec::take(&mut request)?;
    let budget_ms = u32::from_le_bytes(codec::take(&mut request)?);
    let kind = match (format, kind) {
        (FORMAT, 0) => Kind::Write,
        (FORMAT, 1) => Kind::OpenSession,
        (FORMAT, 2) => Kind::Read,
        (FORMAT, 3) => Kind::Status,
        _ => return Err(Malformed),
    };
    Ok((kind, budget_ms, request))
}

/// The bytes of a reply.
pub(crate) fn reply(answer: &Answer<'_>, room: usize) -> Vec<u8> {
    let mut reply = Vec::with_capacity(32 + room);
    reply.push(FORMAT);
    codec::encode(reply, answer)
}

/// Reads a reply.
pub(crate) fn read_reply(mut reply: &[u8]) -> Result<Answer<'_>, Malformed> {
    match codec::take(&mut reply)? {
        [FORMAT] => codec::decode(reply),
        _ => Err(Malformed),
    }
}
