//! Groups driven by hand.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::collections::BTreeMap;

use bytes::Bytes;
use kv::command::{SessionId, Ticket};
use kv::{Cursor, Op, Reply};
use raft_core::{
    Address, ClusterId, Command, GroupId, LogId, LogIndex, NodeId, StateMachine, Term,
};
use shardctrler::{
    Change, ConfigNumber, Configuration, Group as Servers, Limits, ShardCount, ShardId,
};
use shardkv::{
    Chunk, Install, Move, Output, Phase, Position, Settings, ShardStore, TransferReply, command,
};

pub const CLUSTER: ClusterId = ClusterId(7);
pub const ONE: GroupId = GroupId(1);
pub const TWO: GroupId = GroupId(2);
const HOUR: u32 = 3_600_000;

/// The configurations of a cluster with four shards.
pub struct History(pub Vec<Configuration>);

impl Default for History {
    fn default() -> Self {
        let count = ShardCount::new(4).expect("a number of shards");
        Self(vec![Configuration::empty(CLUSTER, count)])
    }
}

impl History {
    pub fn newest(&self) -> &Configuration {
        self.0.last().expect("there is one")
    }

    fn change(&mut self, change: &Change) -> &Configuration {
        let next = change.apply(self.newest(), &Limits::default()).expect("a change");
        self.0.push(next);
        self.newest()
    }

    pub fn join(&mut self, group: GroupId) -> &Configuration {
        let servers: BTreeMap<NodeId, Address> = [(NodeId(group.0), "n:1".into())].into();
        self.change(&Change::Join([(group, Servers::new(servers))].into()))
    }

    pub fn leave(&mut self, group: GroupId) -> &Configuration {
        self.change(&Change::Leave([group].into()))
    }

    pub fn moved(&mut self, shard: ShardId, to: GroupId) -> &Configuration {
        self.change(&Change::Move { shard, to })
    }
}

/// One replica of a group.
pub struct Group {
    pub store: ShardStore,
    index: u64,
    pub now: u64,
}

impl Group {
    pub fn new(group: GroupId) -> Self {
        Self { store: ShardStore::new(Settings::new(CLUSTER, group)), index: 0, now: 0 }
    }

    pub fn apply(&mut self, data: Bytes) -> Output {
        self.index += 1;
        let id = LogId::new(Term(1), LogIndex(self.index));
        self.store.apply(&[Command { id, data }]).remove(0)
    }

    pub fn adopt(&mut self, config: &Configuration) {
        let output = self.apply(command::adopt(config));
        assert_eq!(output, Output::Adopted(Ok(config.number())));
    }

    pub fn client(&mut self, shard: ShardId, data: &[u8]) -> Output {
        self.apply(command::client(shard, data))
    }

    pub fn open(&mut self, shard: ShardId) -> SessionId {
        match self.client(shard, &kv::command::open_session(self.now, HOUR)) {
            Output::Store(Ok(reply)) => SessionId(reply.index),
            other => panic!("{other:?}"),
        }
    }

    pub fn append(&mut self, shard: ShardId, ticket: Ticket, key: &str, value: &str) -> Output {
        let op = Op::Append { key: key.as_bytes(), value: value.as_bytes() };
        self.client(shard, &kv::command::write(self.now, ticket, op))
    }

    pub fn phase(&self, shard: ShardId) -> Option<Phase> {
        self.store.shard_state(shard).map(|state| state.phase)
    }

    pub fn value(&self, shard: ShardId, key: &str) -> Option<String> {
        let item = self.store.serving(shard).ok()?.get(key.as_bytes())?;
        Some(String::from_utf8_lossy(item.value.as_slice()).into_owned())
    }

    /// The next chunk of a shard that leaves, or its install.
    pub fn next(&self, of: Move, at: &Position, bytes_max: usize) -> Result<Chunk, Install> {
        let (store, revision) = self.store.contents(of.shard()).expect("it is here");
        let (piece, next) = if at.cursor == Cursor::End {
            let (piece, watermark) = store.export_changes(at.watermark, bytes_max);
            (piece, Position { watermark, ..at.clone() })
        } else {
            let (piece, cursor) = store.export(&at.cursor, bytes_max);
            (piece, Position { cursor, ..at.clone() })
        };
        match next == *at {
            false => Ok(Chunk::new(of, at.clone(), next, piece)),
            true => Err(Install {
                of,
                at: next,
                keys: store.keys() as u64,
                sessions: store.sessions() as u64,
                revision,
                log_time: store.log_time(),
                digest: store.digest(),
            }),
        }
    }

    pub fn transfer(&mut self, data: Bytes) -> TransferReply {
        match self.apply(data) {
            Output::Transfer(reply) => reply,
            other => panic!("{other:?}"),
        }
    }
}

pub fn done(output: Output) -> Reply {
    match output {
        Output::Store(Ok(reply)) => reply,
        other => panic!("{other:?}"),
    }
}

/// Group one has all shards, and then shard 0 is to be group two's: both have adopted that.
pub fn moving(fill: impl FnOnce(&mut Group)) -> (Group, Group, History, Move) {
    let mut history = History::default();
    history.join(ONE);
    let (mut one, mut two) = (Group::new(ONE), Group::new(TWO));
    for config in &history.0 {
        one.adopt(config);
        two.adopt(config);
    }
    fill(&mut one);
    // Two of four shards go; those are the last, so this one is moved by hand.
    history.join(TWO);
    for shard in history.newest().shards_of(TWO).collect::<Vec<_>>() {
        let config = history.newest().clone();
        if shard.0 > 1 {
            one.adopt(&config);
            two.adopt(&config);
            let of = Move::new(CLUSTER, config.number(), shard, ONE, TWO);
            carry(&mut one, &mut two, of, 50);
        }
    }
    let config = history.moved(ShardId(0), TWO).clone();
    one.adopt(&config);
    two.adopt(&config);
    let of = Move::new(CLUSTER, config.number(), ShardId(0), ONE, TWO);
    assert_eq!(one.phase(ShardId(0)), Some(Phase::Leaving));
    assert_eq!(two.phase(ShardId(0)), Some(Phase::Arriving));
    (one, two, history, of)
}

/// Sends chunks until there is nothing more, and returns where the copy is.
pub fn copy(one: &Group, two: &mut Group, of: Move, mut at: Position, bytes: usize) -> Position {
    while let Ok(chunk) = one.next(of, &at, bytes) {
        assert_eq!(two.transfer(command::stage(&chunk)), TransferReply::At(chunk.next.clone()));
        at = chunk.next;
    }
    at
}

/// A whole move.
pub fn carry(one: &mut Group, two: &mut Group, of: Move, bytes: usize) {
    let at = copy(one, two, of, Position::default(), bytes);
    one.apply(command::freeze(of));
    let at = copy(one, two, of, at, bytes);
    let install = one.next(of, &at, bytes).expect_err("nothing more");
    assert_eq!(two.transfer(command::install(&install)), TransferReply::Installed);
    one.apply(command::delete(of));
    assert_eq!(one.phase(of.shard()), None);
    assert_eq!(two.phase(of.shard()), Some(Phase::Serving));
}

/// A key of the shard.
pub fn key_of(history: &History, shard: ShardId, nth: usize) -> String {
    let of = |key: &String| history.newest().shard_of(key.as_bytes()) == shard;
    (0..).map(|n| format!("key{n}")).filter(of).nth(nth).expect("endless")
}

/// The number of the move before.
pub fn older(of: Move) -> Move {
    let number = ConfigNumber(of.number().0 - 1);
    Move::new(of.cluster(), number, of.shard(), of.from(), of.to())
}
