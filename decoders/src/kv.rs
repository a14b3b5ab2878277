//! What clients, servers, logs and snapshots of the key/value service consist of.

use ::kv::command::{self, Body, Command, SessionId, Ticket};
use ::kv::{Cursor, Op, Refusal, Store, rpc};
use bytes::Bytes;
use raft_core::{LogId, LogIndex, StateMachine, Term};

use crate::snapshots;

/// A command of the log: read, written, and applied twice to a store.
pub fn kv_command(input: &[u8]) -> bool {
    let read = command::read(input);
    if let Ok(command) = &read {
        let again = written(command);
        assert_eq!(command::read(&again).as_ref(), Ok(command), "it is read otherwise");
    }
    let mut store = Store::default();
    let mut apply = |index, data: &Bytes| {
        let id = LogId::new(Term(1), LogIndex(index));
        store.apply(&[raft_core::Command { id, data: data.clone() }]).remove(0)
    };
    let session = SessionId(LogIndex(1));
    apply(1, &command::open_session(0, u32::MAX)).expect("a session");
    let ticket = Ticket { session, seq: 1, acked: 1 };
    apply(2, &command::write(0, ticket, Op::Put { key: b"k", value: b"v" })).expect("a value");
    let data = Bytes::copy_from_slice(input);
    let first = apply(3, &data);
    let second = apply(4, &data);
    let malformed = Err(::kv::CommandError::Malformed);
    assert_eq!(read.is_err(), first == malformed, "log and store disagree");
    if let (Ok(Command { body: Body::Write(..), .. }), Ok(first)) = (&read, first) {
        assert_eq!(second, Ok(first), "it was done twice");
    }
    let taken = snapshots::taken(&store);
    let restored = snapshots::restored(&Store::default(), &taken, 1 << 16).expect("its snapshot");
    assert_eq!(restored.digest(), store.digest());
    read.is_ok()
}

fn written(command: &Command<'_>) -> Bytes {
    match &command.body {
        Body::Session { ttl_ms } => command::open_session(command.stamp, *ttl_ms),
        Body::Write(ticket, write) => {
            command::from_body(command.stamp, &command::write_body(Vec::new(), *ticket, write))
        }
    }
}

/// A request, with what stands in it.
pub fn kv_request(input: &[u8]) -> bool {
    let Ok((_, _, body)) = rpc::read_request(1, input) else { return false };
    // Whatever the kind says, a body is tried as each.
    if let Ok((ticket, write)) = rpc::read_write(body) {
        let again = rpc::write_body(Vec::new(), ticket, &write);
        assert_eq!(rpc::read_write(&again), Ok((ticket, write)));
    }
    if let Ok(read) = rpc::decode::<rpc::Read<'_>>(body) {
        assert_eq!(rpc::decode(&rpc::encode(Vec::new(), &read)), Ok(read));
    }
    true
}

/// A reply.
pub fn kv_reply(input: &[u8]) -> bool {
    let Ok(answer) = rpc::read_reply::<Refusal>(input) else { return false };
    let again = rpc::reply(&answer, 0);
    assert_eq!(rpc::read_reply::<Refusal>(&again), Ok(answer));
    true
}

/// A snapshot of a store.
pub fn kv_snapshot(input: &[u8]) -> bool {
    snapshots::check(&Store::default(), input)
}

/// A piece of a store that moves.
pub fn kv_piece(input: &[u8]) -> bool {
    let mut store = Store::default();
    // A part of it is taken even if not all is sound.
    let taken = store.import(input);
    let mut copy = Store::default();
    let mut cursor = Cursor::Start;
    while cursor != Cursor::End {
        let (piece, next) = store.export(&cursor, 64);
        assert!(next > cursor, "it does not go forward");
        copy.import(&piece).expect("a piece");
        cursor = next;
    }
    assert_eq!(snapshots::taken(&copy), snapshots::taken(&store), "the copy is not equal");
    taken.is_ok()
}
