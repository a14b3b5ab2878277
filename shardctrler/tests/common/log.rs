//! A state machine driven by hand.

use bytes::Bytes;
use kv::command::{SessionId, Ticket};
use raft_core::{Command, LogId, LogIndex, Restore, RestoreError, StateMachine, Term};
use shardctrler::{
    Change, ConfigNumber, Configuration, Controller, Limits, Outcome, Output, Settings, command,
};

use super::{CLUSTER, shards};

pub const HOUR: u32 = 3_600_000;

/// A controller, and the log that it applies.
pub struct Log {
    pub controller: Controller,
    pub commands: Vec<Command>,
    /// The stamp of the next commands.
    pub now: u64,
}

pub fn settings(count: u16, limits: Limits) -> Settings {
    let mut settings = Settings::new(CLUSTER, shards(count));
    settings.limits = limits;
    settings
}

impl Log {
    /// Nothing was applied.
    pub fn unfounded() -> Self {
        Self { controller: Controller::new(), commands: Vec::new(), now: 0 }
    }

    /// The cluster is made.
    pub fn new(count: u16, limits: Limits) -> Self {
        let mut log = Self::unfounded();
        log.apply(command::found(0, &settings(count, limits))).expect("a turn");
        log
    }

    pub fn apply(&mut self, data: Bytes) -> Output {
        let index = LogIndex(self.commands.len() as u64 + 1);
        let command = Command { id: LogId::new(Term(1), index), data };
        self.commands.push(command.clone());
        self.controller.apply(&[command]).remove(0)
    }

    pub fn open(&mut self, ttl_ms: u32) -> SessionId {
        SessionId(self.apply(command::open_session(self.now, ttl_ms)).expect("opened").index)
    }

    pub fn change(&mut self, session: SessionId, seq: u64, acked: u64, change: &Change) -> Output {
        self.apply(command::change(self.now, Ticket { session, seq, acked }, change))
    }

    /// Does a change in a session of its own.
    pub fn once(&mut self, change: &Change) -> Outcome {
        let session = self.open(HOUR);
        self.change(session, 1, 1, change).expect("a turn").outcome
    }

    pub fn newest(&self) -> Configuration {
        self.controller.newest().expect("founded").clone()
    }

    pub fn at(&self, number: u64) -> Configuration {
        let found = self.controller.configuration(ConfigNumber(number));
        found.expect("kept").expect("there is one")
    }
}

/// The bytes of a snapshot, taken in pieces of at most `max`.
pub fn snapshot(controller: &Controller, max: usize) -> Vec<u8> {
    let mut source = controller.snapshot();
    let mut bytes = Vec::new();
    while let Some(chunk) = source.next_chunk(max) {
        assert!(chunk.len() <= max.max(1) && !chunk.is_empty());
        bytes.extend_from_slice(&chunk);
    }
    bytes
}

/// A controller from a snapshot's bytes, pushed in pieces of `max`.
pub fn restore(bytes: &[u8], max: usize) -> Result<Controller, RestoreError> {
    let mut restoring: Box<dyn Restore<Controller>> = Controller::new().restore();
    for piece in bytes.chunks(max) {
        restoring.push(piece)?;
    }
    restoring.finish()
}
