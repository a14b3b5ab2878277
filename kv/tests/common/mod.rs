//! A state machine driven by hand, for the tests of the store.
#![allow(dead_code, unreachable_pub)]

use bytes::Bytes;
use kv::command::{self, SessionId, Ticket};
use kv::{Op, Output, Store, StoreConfig};
use raft_core::{Command, LogId, LogIndex, Restore, RestoreError, StateMachine, Term};

/// A store, and the log that it applies.
pub struct Log {
    pub store: Store,
    pub commands: Vec<Command>,
    /// The index of the last command.
    pub last: u64,
    /// The stamp of the next commands.
    pub now: u64,
}

impl Log {
    pub fn new(config: StoreConfig) -> Self {
        Self { store: Store::new(config), commands: Vec::new(), last: 0, now: 0 }
    }

    pub fn apply(&mut self, data: Bytes) -> Output {
        let output = self.apply_and_forget(data.clone());
        let id = LogId::new(Term(1), LogIndex(self.last));
        self.commands.push(Command { id, data });
        output
    }

    /// Applies a command that is not kept in `commands`.
    pub fn apply_and_forget(&mut self, data: Bytes) -> Output {
        self.last += 1;
        let id = LogId::new(Term(1), LogIndex(self.last));
        self.store.apply(&[Command { id, data }]).remove(0)
    }

    pub fn open(&mut self, ttl_ms: u32) -> SessionId {
        SessionId(self.apply(command::open_session(self.now, ttl_ms)).expect("opened").index)
    }

    pub fn write(&mut self, session: SessionId, seq: u64, acked: u64, op: Op<'_>) -> Output {
        self.apply(command::write(self.now, Ticket { session, seq, acked }, op))
    }

    pub fn value(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.store.get(key).map(|item| item.value.as_slice().to_vec())
    }
}

/// The bytes of a snapshot, taken in pieces of about `max`.
pub fn snapshot(store: &Store, max: usize) -> Vec<u8> {
    let mut source = store.snapshot();
    let mut bytes = Vec::new();
    while let Some(chunk) = source.next_chunk(max) {
        assert!(chunk.len() <= max.max(1));
        bytes.extend_from_slice(&chunk);
    }
    bytes
}

/// A store from a snapshot's bytes, pushed in pieces of `max`.
pub fn restore(bytes: &[u8], max: usize) -> Result<Store, RestoreError> {
    let mut restoring: Box<dyn Restore<Store>> = Store::default().restore();
    for piece in bytes.chunks(max) {
        restoring.push(piece)?;
    }
    restoring.finish()
}

pub const HOUR: u32 = 3_600_000;

pub fn put<'a>(key: &'a [u8], value: &'a [u8]) -> Op<'a> {
    Op::Put { key, value }
}

pub fn append<'a>(key: &'a [u8], value: &'a [u8]) -> Op<'a> {
    Op::Append { key, value }
}
