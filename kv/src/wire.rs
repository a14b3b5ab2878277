//! Requests and replies between a clerk and a server.
//!
//! A request has the [`envelope`](crate::envelope) of all services; its body is for a write that of
//! [`crate::command`], for a read a [`Read`] in postcard, and nothing for the others. A reply is the
//! format and an [`Answer`] in postcard.

use std::time::Duration;

use raft_core::LogIndex;
use serde::{Deserialize, Serialize};

use crate::codec::{self, FORMAT, Malformed, index, optional_slice, slice};
use crate::envelope;
use crate::op::Reply;
use crate::status::WireStatus;

pub(crate) use crate::fault::Fault;

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
    envelope::request(FORMAT, kind.byte(), room)
}

/// Takes a request apart: its kind, how long the client still waits, and its body.
pub(crate) fn read_request(request: &[u8]) -> Result<(Kind, Duration, &[u8]), Malformed> {
    let (kind, budget, body) = envelope::read_request(FORMAT, request)?;
    let kind = match kind {
        0 => Kind::Write,
        1 => Kind::OpenSession,
        2 => Kind::Read,
        3 => Kind::Status,
        _ => return Err(Malformed),
    };
    Ok((kind, budget, body))
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
