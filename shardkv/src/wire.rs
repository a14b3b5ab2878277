//! Requests and replies.
//!
//! A request has the envelope of all services ([`kv::rpc::request`]). The body of a write is that of
//! [`kv::rpc::write_body`]; of the opening of a session the shard (2 bytes, little endian); of a read the shard
//! and a [`kv::rpc::Read`] in postcard; of a transfer a [`TransferRequest`] in postcard. The reply to a transfer is
//! the format and a [`TransferAnswer`], to a status the format and a [`WireStatus`], and to all others a
//! [`kv::rpc::Answer`].

use std::time::Duration;

use kv::rpc::{self, Malformed, decode, encode, take};
use serde::Serialize;
use serde::de::DeserializeOwned;
use shardctrler::ShardId;

use crate::command::FORMAT;
use crate::refusal::Refusal;

pub(crate) type Fault = rpc::Fault<Refusal>;
pub(crate) type Answer<'a> = rpc::Answer<'a, Refusal>;

/// What a request asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Write,
    OpenSession,
    Read,
    Status,
    Transfer,
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::Write => 0,
            Self::OpenSession => 1,
            Self::Read => 2,
            Self::Status => 3,
            Self::Transfer => 4,
        }
    }
}

/// The beginning of a request, with room for so many bytes.
pub(crate) fn request(kind: Kind, room: usize) -> Vec<u8> {
    rpc::request(FORMAT, kind.byte(), room)
}

/// The beginning of a request about a shard.
pub(crate) fn shard_request(kind: Kind, shard: ShardId, room: usize) -> Vec<u8> {
    let mut request = request(kind, 2 + room);
    request.extend_from_slice(&shard.0.to_le_bytes());
    request
}

/// Takes a request apart: its kind, how long the client still waits, and its body.
pub(crate) fn read_request(request: &[u8]) -> Result<(Kind, Duration, &[u8]), Malformed> {
    let (kind, budget, body) = rpc::read_request(FORMAT, request)?;
    let kind = match kind {
        0 => Kind::Write,
        1 => Kind::OpenSession,
        2 => Kind::Read,
        3 => Kind::Status,
        4 => Kind::Transfer,
        _ => return Err(Malformed),
    };
    Ok((kind, budget, body))
}

/// Takes the shard off the front of a body.
pub(crate) fn take_shard(body: &mut &[u8]) -> Result<ShardId, Malformed> {
    Ok(ShardId(u16::from_le_bytes(take(body)?)))
}

/// A reply that is no [`Answer`].
pub(crate) fn other_reply<T: Serialize>(reply: &T) -> Vec<u8> {
    encode(vec![FORMAT], reply)
}

/// Reads what [`other_reply`] has written.
pub(crate) fn read_other_reply<T: DeserializeOwned>(mut reply: &[u8]) -> Result<T, Malformed> {
    match take(&mut reply)? {
        [FORMAT] => decode(reply),
        _ => Err(Malformed),
    }
}
