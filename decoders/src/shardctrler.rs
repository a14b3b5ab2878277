//! What clients, servers, logs and snapshots of the controller consist of.

use ::shardctrler::command::{self, Body, Command};
use ::shardctrler::{Configuration, Controller, Settings, ShardCount};
use bytes::Bytes;
use kv::CommandError;
use raft_core::{ClusterId, LogId, LogIndex, StateMachine, Term};

pub use ::shardctrler::decoders::{reply as shardctrler_reply, request as shardctrler_request};

use crate::snapshots;

/// A command of the log: read, written, and applied to a controller.
pub fn shardctrler_command(input: &[u8]) -> bool {
    let read = command::read(input);
    if let Ok(command) = &read {
        assert_eq!(command::read(&written(command)).as_ref(), Ok(command), "it is read otherwise");
    }
    let mut controller = Controller::new();
    let mut apply = |index, data: Bytes| {
        let id = LogId::new(Term(1), LogIndex(index));
        controller.apply(&[raft_core::Command { id, data }]).remove(0)
    };
    let settings = Settings::new(ClusterId(7), ShardCount::default());
    apply(1, command::found(0, &settings)).expect("a cluster");
    apply(2, command::open_session(0, u32::MAX)).expect("a session");
    let output = apply(3, Bytes::copy_from_slice(input));
    assert_eq!(read.is_err(), output == Err(CommandError::Malformed), "they disagree");
    let taken = snapshots::taken(&controller);
    let restored = snapshots::restored(&Controller::new(), &taken, 1 << 16).expect("its snapshot");
    assert_eq!(restored.digest(), controller.digest());
    read.is_ok()
}

fn written(command: &Command) -> Bytes {
    match &command.body {
        Body::Change(ticket, change) => command::change(command.stamp_ms, *ticket, change),
        Body::Session { ttl_ms } => command::open_session(command.stamp_ms, *ttl_ms),
        Body::Found(settings) => command::found(command.stamp_ms, settings),
    }
}

/// A snapshot of a controller.
pub fn shardctrler_snapshot(input: &[u8]) -> bool {
    snapshots::check(&Controller::new(), input)
}

/// A configuration means the same when it was encoded again.
pub(crate) fn configuration(bytes: &[u8]) {
    if let Ok(configuration) = Configuration::decode(bytes) {
        assert_eq!(Configuration::decode(&configuration.encode()), Ok(configuration));
    }
}
