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

use crate::blob::Blob;
pub(crate) use crate::fault::Fault;
use crate::limits::Refusal;
use crate::store::{Page, Scan};

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
pub enum Read<'a> {
    /// One key.
    Get {
        /// The key.
        #[serde(borrow, with = "slice")]
        key: &'a [u8],
    },
    /// A page of a [`Scan`], whose fields these are.
    Scan {
        /// The first key.
        #[serde(borrow, with = "slice")]
        start: &'a [u8],
        /// The key to stop before.
        #[serde(borrow, with = "optional_slice")]
        end: Option<&'a [u8]>,
        /// The cursor of the page before.
        #[serde(borrow, with = "optional_slice")]
        after: Option<&'a [u8]>,
        /// The most entries.
        entries_max: u32,
        /// The most bytes.
        bytes_max: u32,
    },
}

/// What a server answers. `R` is why the service can refuse a request for ever.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Answer<'a, R = Refusal> {
    /// It was not done, or is not known to be.
    Fault(Fault<R>),
    /// To a write: what the state machine replied.
    Written(Reply),
    /// To a get.
    Value(#[serde(borrow)] Option<Found<'a>>),
    /// To a scan.
    Page {
        /// The entries.
        #[serde(borrow)]
        entries: Vec<Listed<'a>>,
        /// The cursor, when there are more.
        #[serde(borrow, with = "optional_slice")]
        next: Option<&'a [u8]>,
    },
    /// What a node says of itself.
    Status(WireStatus),
}

/// A value that was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Found<'a> {
    /// The value.
    #[serde(borrow, with = "slice")]
    pub value: &'a [u8],
    /// The index of the write that made it so.
    #[serde(with = "index")]
    pub version: LogIndex,
}

/// An entry of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Listed<'a> {
    /// The key.
    #[serde(borrow, with = "slice")]
    pub key: &'a [u8],
    /// Its value.
    #[serde(borrow)]
    pub found: Found<'a>,
}

impl<'a> From<&'a Scan> for Read<'a> {
    fn from(scan: &'a Scan) -> Self {
        Self::Scan {
            start: &scan.start,
            end: scan.end.as_deref(),
            after: scan.after.as_deref(),
            entries_max: scan.entries_max,
            bytes_max: scan.bytes_max,
        }
    }
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

/// The bytes of a reply, for which there should be room for so many bytes.
pub fn reply<R: Serialize>(answer: &Answer<'_, R>, room: usize) -> Vec<u8> {
    let mut reply = Vec::with_capacity(32 + room);
    reply.push(FORMAT);
    codec::encode(reply, answer)
}

/// The reply to a scan.
pub fn page_reply<R: Serialize>(page: &Page<Blob>) -> Vec<u8> {
    let entries: Vec<_> = page
        .entries
        .iter()
        .map(|(key, value, version)| Listed {
            key: key.as_slice(),
            found: Found { value: value.as_slice(), version: *version },
        })
        .collect();
    let next = page.next.as_ref().map(Blob::as_slice);
    let room = entries.iter().map(|entry| entry.key.len() + entry.found.value.len() + 24).sum();
    reply::<R>(&Answer::Page { entries, next }, room)
}

/// Reads a reply.
///
/// # Errors
///
/// When it is none.
pub fn read_reply<'a, R: Deserialize<'a>>(mut reply: &'a [u8]) -> Result<Answer<'a, R>, Malformed> {
    match codec::take(&mut reply)? {
        [FORMAT] => codec::decode(reply),
        _ => Err(Malformed),
    }
}
