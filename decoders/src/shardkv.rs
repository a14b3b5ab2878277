//! What clients, servers, logs and snapshots of a group of shards consist of.

use std::sync::OnceLock;

use ::shardctrler::{Change, Configuration, Group, Limits, ShardCount, ShardId};
use ::shardkv::command::{self, Command};
use ::shardkv::{Output, Settings, ShardStore};
use bytes::Bytes;
use kv::Op;
use kv::command::{SessionId, Ticket};
use raft_core::{Address, ClusterId, GroupId, LogId, LogIndex, NodeId, StateMachine, Term};

pub use ::shardkv::decoders::{reply as shardkv_reply, request as shardkv_request};

use crate::snapshots;

const CLUSTER: ClusterId = ClusterId(7);

fn empty() -> ShardStore {
    ShardStore::new(Settings::new(CLUSTER, GroupId(1)))
}

/// The log of a group that serves a shard with a key, while others leave.
pub(crate) fn commands() -> Vec<Bytes> {
    let shard = ShardId(0);
    let mut configuration = Configuration::empty(CLUSTER, ShardCount::new(4).expect("a count"));
    let mut commands = vec![command::adopt(&configuration)];
    let mut join = |group: u64| {
        let servers = [(NodeId(group), Address::from("n:1"))];
        let change = Change::Join([(GroupId(group), Group::new(servers))].into());
        let next = change.apply(&configuration, &Limits::default()).expect("a change");
        configuration = next;
        command::adopt(&configuration)
    };
    commands.push(join(1));
    let ticket = Ticket { session: SessionId(LogIndex(1)), seq: 1, acked: 1 };
    let put = Op::Put { key: b"k", value: b"v" };
    commands.push(command::client(shard, &kv::command::open_session(0, u32::MAX)));
    commands.push(command::client(shard, &kv::command::write(1, ticket, put)));
    commands.push(join(2));
    commands
}

fn apply(store: &mut ShardStore, index: u64, data: Bytes) -> Output {
    let id = LogId::new(Term(1), LogIndex(index));
    store.apply(&[raft_core::Command { id, data }]).remove(0)
}

/// The group with this log.
fn filled() -> (ShardStore, u64) {
    static FILLED: OnceLock<(ShardStore, u64)> = OnceLock::new();
    let filled = FILLED.get_or_init(|| {
        let (mut store, mut last) = (empty(), 0);
        for command in commands() {
            last += 1;
            let output = apply(&mut store, last, command);
            assert!(matches!(output, Output::Adopted(Ok(_)) | Output::Store(Ok(_))), "{output:?}");
        }
        (store, last)
    });
    filled.clone()
}

/// A command of the log: read, written, and applied to a group that has shards.
pub fn shardkv_command(input: &[u8]) -> bool {
    let read = command::read(input);
    if let Ok(command) = &read {
        assert_eq!(command::read(&written(command)).as_ref(), Ok(command), "it is read otherwise");
    }
    let (mut store, last) = filled();
    let output = apply(&mut store, last + 1, Bytes::copy_from_slice(input));
    // What a shard's store gets is read by that store, if the group has the shard.
    let malformed = matches!(output, Output::Malformed);
    assert_eq!(read.is_err(), malformed, "log and store disagree");
    let taken = snapshots::taken(&store);
    let restored = snapshots::restored(&empty(), &taken, 1 << 16).expect("its snapshot");
    assert_eq!(restored.digest(), store.digest());
    !malformed
}

fn written(command: &Command<'_>) -> Bytes {
    match command {
        Command::Client(shard, data) => command::client(*shard, data),
        Command::Adopt(configuration) => {
            crate::shardctrler::configuration(&configuration.encode());
            command::adopt(configuration)
        }
        Command::Freeze(of) => command::freeze(*of),
        Command::Stage(chunk) => command::stage(chunk),
        Command::Install(install) => command::install(install),
        Command::Delete(of) => command::delete(*of),
    }
}

/// A snapshot of a group.
pub fn shardkv_snapshot(input: &[u8]) -> bool {
    snapshots::check(&empty(), input)
}
