//! Requests and replies between a clerk and a server.
//!
//! A request has the envelope of all services ([`kv::rpc::request`]); its body is for a change that of
//! [`crate::command`], for a query or a watch a [`Read`] in postcard, and nothing for the others. A reply is
//! the format and an [`Answer`] in postcard.

use std::time::Duration;

use kv::rpc::{self, Malformed};
use serde::{Deserialize, Serialize};

use crate::codec::{FORMAT, config_number};
use crate::config::ConfigNumber;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::status::WireStatus;

pub(crate) type Fault = rpc::Fault<Refusal>;

/// What a request asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Change,
    OpenSession,
    Read,
    Status,
}

/// What is read. The order of the variants and of their fields is the wire format.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Read {
    /// The newest configuration, linearizable.
    Newest,
    /// The configuration of this number, or the newest when it is not there yet; linearizable.
    Number(#[serde(with = "config_number")] ConfigNumber),
    /// The configuration after this one, as soon as there is one, but not longer than this.
    After {
        #[serde(with = "config_number")]
        number: ConfigNumber,
        wait_ms: u32,
    },
}

/// What a server answers. The order of the variants is the wire format.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) enum Answer<'a> {
    Fault(Fault),
    Done(Reply),
    /// A configuration, encoded.
    Configuration(#[serde(borrow)] &'a [u8]),
    /// There is no newer one yet.
    Unchanged,
    Status(WireStatus),
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::Change => 0,
            Self::OpenSession => 1,
            Self::Read => 2,
            Self::Status => 3,
        }
    }
}

/// The beginning of a request, with room for `room` more bytes.
pub(crate) fn request(kind: Kind, room: usize) -> Vec<u8> {
    rpc::request(FORMAT, kind.byte(), room)
}

/// Takes a request apart: its kind, how long the client still waits, and its body.
pub(crate) fn read_request(request: &[u8]) -> Result<(Kind, Duration, &[u8]), Malformed> {
    let (kind, budget, body) = rpc::read_request(FORMAT, request)?;
    let kind = match kind {
        0 => Kind::Change,
        1 => Kind::OpenSession,
        2 => Kind::Read,
        3 => Kind::Status,
        _ => return Err(Malformed),
    };
    Ok((kind, budget, body))
}

/// The bytes of a reply.
pub(crate) fn reply(answer: &Answer<'_>) -> Vec<u8> {
    rpc::encode(vec![FORMAT], answer)
}

/// Reads a reply.
pub(crate) fn read_reply(mut reply: &[u8]) -> Result<Answer<'_>, Malformed> {
    match rpc::take(&mut reply)? {
        [FORMAT] => rpc::decode(reply),
        _ => Err(Malformed),
    }
}
