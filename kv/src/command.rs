//! Commands: what stands in the log.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format |
//! | 1 | kind: 0 a write, 1 a new session |
//! | 8 | the leader's stamp: the log's time in milliseconds (little endian, as all fixed-width fields) |
//! | … | the body |
//!
//! The body of a write is the body of the client's request as it came, so the server
//! copies it behind the stamp and encodes nothing: session (8), sequence number (8), how far that is
//! ahead of the first unacknowledged one (2), and the operation in postcard. The body of a new session
//! is its time to live in milliseconds (4).

use bytes::Bytes;
use raft_core::LogIndex;

pub use crate::codec::Malformed;
use crate::codec::{self, FORMAT};
use crate::envelope;
use crate::op::Op;
pub use crate::op::Write;

/// A session: the log index of the command that opened it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SessionId(pub LogIndex);

/// Which request of which session a write is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket {
    /// The session.
    pub session: SessionId,
    /// The request's number. A repetition has the same number and the same operation.
    pub seq: u64,
    /// The client needs no reply to any request below this one any more: it has it, or has given up.
    /// At most `seq`.
    pub acked: u64,
}

const KIND_WRITE: u8 = 0;
const KIND_SESSION: u8 = 1;
/// Bytes before the body.
const HEADER: usize = 10;

/// A command, read. Borrows from the log entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command<'a> {
    /// The leader's stamp: the log's time in milliseconds.
    pub stamp: u64,
    /// What it asks for.
    pub body: Body<'a>,
}

/// What a [`Command`] asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body<'a> {
    /// A write, in a session.
    Write(Ticket, Write<'a>),
    /// A new session.
    Session {
        /// It expires when it is not used for so long, in milliseconds of the log's time.
        ttl_ms: u32,
    },
}

/// A command that does one operation. `stamp_ms` is the log's time.
pub fn write(stamp_ms: u64, ticket: Ticket, op: Op<'_>) -> Bytes {
    from_body(stamp_ms, &write_body(Vec::new(), ticket, &Write::One(op)))
}

/// A command that does all the operations, or none.
pub fn batch(stamp_ms: u64, ticket: Ticket, ops: &[Op<'_>]) -> Bytes {
    from_body(stamp_ms, &write_body(Vec::new(), ticket, &Write::Batch(ops.to_vec())))
}

/// A command that opens a session, which expires when it is not used for `ttl_ms` of the log's time.
pub fn open_session(stamp_ms: u64, ttl_ms: u32) -> Bytes {
    let mut command = header(KIND_SESSION, stamp_ms, 4);
    command.extend_from_slice(&ttl_ms.to_le_bytes());
    command.into()
}

/// The command for the body of a client's write.
pub fn from_body(stamp_ms: u64, body: &[u8]) -> Bytes {
    let mut command = header(KIND_WRITE, stamp_ms, body.len());
    command.extend_from_slice(body);
    command.into()
}

fn header(kind: u8, stamp_ms: u64, room: usize) -> Vec<u8> {
    let mut command = Vec::with_capacity(HEADER + room);
    command.extend_from_slice(&[FORMAT, kind]);
    command.extend_from_slice(&stamp_ms.to_le_bytes());
    command
}

/// Appends the body of a write to `to`.
pub fn write_body(mut to: Vec<u8>, ticket: Ticket, write: &Write<'_>) -> Vec<u8> {
    envelope::push_ticket(&mut to, ticket);
    codec::encode(to, write)
}

/// Reads the body of a write.
///
/// # Errors
///
/// When it is none.
pub fn read_write(mut body: &[u8]) -> Result<(Ticket, Write<'_>), Malformed> {
    let ticket = envelope::take_ticket(&mut body)?;
    Ok((ticket, codec::decode(body)?))
}

/// Reads a command, as it stands in the log: for tools that look into one.
///
/// # Errors
///
/// When the bytes are no command of a version that is known here.
pub fn read(mut data: &[u8]) -> Result<Command<'_>, Malformed> {
    let [format, kind] = codec::take(&mut data)?;
    let stamp = u64::from_le_bytes(codec::take(&mut data)?);
    let body = match (format, kind) {
        (FORMAT, KIND_WRITE) => {
            let (ticket, write) = read_write(data)?;
            Body::Write(ticket, write)
        }
        (FORMAT, KIND_SESSION) => {
            let ttl_ms = u32::from_le_bytes(data.try_into().map_err(|_| Malformed)?);
            Body::Session { ttl_ms }
        }
        _ => return Err(Malformed),
    };
    Ok(Command { stamp, body })
}
