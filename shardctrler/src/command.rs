//! Commands: what stands in the log.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format |
//! | 1 | kind: 0 a change, 1 a new session, 2 the founding of the cluster |
//! | 8 | the leader's stamp: the log's time in milliseconds (little endian, as all fixed-width fields) |
//! | … | the body |
//!
//! The body of a change is the body of the client's request as it came: its ticket
//! ([`kv::rpc::push_ticket`]), and the change in postcard. The body of a new session is its time to live in
//! milliseconds (4), that of a founding the settings in postcard.

use bytes::Bytes;
use kv::command::Ticket;
use kv::rpc::{Malformed, decode, encode, push_ticket, take, take_ticket};

use crate::change::Change;
use crate::codec::FORMAT;
use crate::raw::{RawChange, RawSettings};
use crate::settings::Settings;

const KIND_CHANGE: u8 = 0;
const KIND_SESSION: u8 = 1;
const KIND_FOUND: u8 = 2;
/// Bytes before the body.
const HEADER: usize = 10;

/// A command, read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// The leader's stamp: the log's time in milliseconds.
    pub stamp_ms: u64,
    /// What it asks for.
    pub body: Body,
}

/// What a [`Command`] asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// A change, in a session.
    Change(Ticket, Change),
    /// A new session.
    Session {
        /// It expires when it is not used for so long, in milliseconds of the log's time.
        ttl_ms: u32,
    },
    /// The cluster is made like this, unless it was made before.
    Found(Settings),
}

/// A command that does a change once. `stamp_ms` is the log's time.
pub fn change(stamp_ms: u64, ticket: Ticket, change: &Change) -> Bytes {
    from_body(stamp_ms, &change_body(Vec::new(), ticket, change))
}

/// A command that opens a session, which expires when it is not used for `ttl_ms` of the log's time.
pub fn open_session(stamp_ms: u64, ttl_ms: u32) -> Bytes {
    let mut command = header(KIND_SESSION, stamp_ms, 4);
    command.extend_from_slice(&ttl_ms.to_le_bytes());
    command.into()
}

/// A command that makes the cluster, with the settings of whoever comes first.
pub fn found(stamp_ms: u64, settings: &Settings) -> Bytes {
    encode(header(KIND_FOUND, stamp_ms, 32), &RawSettings::from(settings)).into()
}

/// The command for the body of a client's change.
pub(crate) fn from_body(stamp_ms: u64, body: &[u8]) -> Bytes {
    let mut command = header(KIND_CHANGE, stamp_ms, body.len());
    command.extend_from_slice(body);
    command.into()
}

fn header(kind: u8, stamp_ms: u64, room: usize) -> Vec<u8> {
    let mut command = Vec::with_capacity(HEADER + room);
    command.extend_from_slice(&[FORMAT, kind]);
    command.extend_from_slice(&stamp_ms.to_le_bytes());
    command
}

/// Appends the body of a change to `to`.
pub(crate) fn change_body(mut to: Vec<u8>, ticket: Ticket, change: &Change) -> Vec<u8> {
    push_ticket(&mut to, ticket);
    encode(to, &RawChange::from(change))
}

/// Reads the body of a change.
pub(crate) fn read_change(mut body: &[u8]) -> Result<(Ticket, Change), Malformed> {
    let ticket = take_ticket(&mut body)?;
    Ok((ticket, decode::<RawChange>(body)?.try_into()?))
}

/// Reads a command, as it stands in the log.
///
/// # Errors
///
/// When the bytes are no command of a version that is known here.
pub fn read(mut data: &[u8]) -> Result<Command, Malformed> {
    let [format, kind] = take(&mut data)?;
    let stamp_ms = u64::from_le_bytes(take(&mut data)?);
    let body = match (format, kind) {
        (FORMAT, KIND_CHANGE) => {
            let (ticket, change) = read_change(data)?;
            Body::Change(ticket, change)
        }
        (FORMAT, KIND_SESSION) => {
            let ttl_ms = u32::from_le_bytes(data.try_into().map_err(|_| Malformed)?);
            Body::Session { ttl_ms }
        }
        (FORMAT, KIND_FOUND) => Body::Found(decode::<RawSettings>(data)?.try_into()?),
        _ => return Err(Malformed),
    };
    Ok(Command { stamp_ms, body })
}
