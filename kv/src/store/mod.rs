//! [`Store`]: the replicated state, which is the keys with their values and the sessions.
//!
//! Deterministic: what a command does depends on the state and on its own bytes alone; the only time is
//! the log's, which the leader stamps on each command and which never goes back. All of it is in
//! persistent maps, so a snapshot's view is three pointers, and only what changes while the view lives is
//! copied.

mod changes;
mod one;
mod remains;
mod restore;
mod scan;
mod sessions;
mod snapshot;
mod table;
mod transfer;

use raft_core::{Command, LogIndex, Restore, SnapshotSource, StateMachine};
use serde::{Deserialize, Serialize};

use crate::command::{self, Body, SessionId, Ticket};
use crate::digest::Hash;
use crate::limits::{Limits, Refusal};
use crate::op::{CommandError, Op, OpOutcome, Outcome, Output, Reply, Write};

pub use changes::{Changes, Touched};
pub use remains::Remains;
pub use scan::{Page, Scan};
pub use sessions::SESSION_WINDOW;
pub use table::Item;
pub use transfer::Cursor;

use sessions::{Admission, Sessions};
use table::Table;

/// What a [`Store`] is bounded by. **Every node of a group must have the same**: it decides what commands
/// do. It is part of snapshots, and a store restored from one takes it from there; it is part of the
/// digest as well, so that a difference shows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StoreConfig {
    /// Sizes of keys, values, batches and pages.
    pub limits: Limits,
    /// The most sessions; the longest unused ends when there is one more. Default 100,000.
    pub sessions_max: u32,
    /// The most bytes of kept replies, all sessions together; the longest unused session ends when there
    /// are more. Default 64 MiB.
    pub reply_bytes_max: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { limits: Limits::default(), sessions_max: 100_000, reply_bytes_max: 64 << 20 }
    }
}

/// The replicated state machine. A clone is a view, at no cost.
#[derive(Clone)]
pub struct Store {
    config: StoreConfig,
    table: Table,
    sessions: Sessions,
    /// The highest stamp of any command, in milliseconds.
    log_time: u64,
    /// What has changed, while somebody wants to know. No part of the digest, nor of snapshots.
    changes: Option<Changes>,
}

impl Default for Store {
    fn default() -> Self {
        Self::new(StoreConfig::default())
    }
}

impl AsRef<Self> for Store {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl Store {
    /// An empty store.
    pub fn new(config: StoreConfig) -> Self {
        let (table, sessions) = (Table::default(), Sessions::default());
        Self { config, table, sessions, log_time: 0, changes: None }
    }

    /// The key's value and version.
    pub fn get(&self, key: &[u8]) -> Option<&Item> {
        self.table.get(key)
    }

    /// The number of keys.
    pub fn keys(&self) -> usize {
        self.table.len()
    }

    /// Bytes of all keys and values.
    pub fn data_bytes(&self) -> u64 {
        self.table.bytes()
    }

    /// The number of sessions, with those that are due and not yet removed.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// What the kept replies of all sessions count for, in bytes.
    pub fn reply_bytes(&self) -> u64 {
        self.sessions.kept_bytes()
    }

    /// The log's time: the highest stamp of any command, in milliseconds.
    pub fn log_time(&self) -> u64 {
        self.log_time
    }

    /// What the store is bounded by.
    pub fn config(&self) -> &StoreConfig {
        &self.config
    }

    /// A digest of the whole state: data, sessions, the log's time and the configuration. Replicas that
    /// have applied the same entries have the same. Costs nothing.
    pub fn digest(&self) -> u64 {
        self.digest_of(self.table.digest(), self.sessions.digest())
    }

    /// The same digest, computed anew from every record: slow, and a check of the other.
    pub fn recomputed_digest(&self) -> u64 {
        self.digest_of(self.table.recomputed_digest(), self.sessions.recomputed_digest())
    }

    fn digest_of(&self, table: u64, sessions: u64) -> u64 {
        let config = crate::codec::encode(Vec::new(), &self.config);
        Hash::of(0).number(self.log_time).bytes(&config).number(table).number(sessions).end()
    }

    /// Applies one command, at this index: for state machines that have stores in them. `index` must be higher
    /// with each call, and is what replies, versions and session ids are made of.
    pub fn apply_at(&mut self, index: LogIndex, data: &[u8]) -> Output {
        let output = self.apply_one(index, data);
        let touched = self.sessions.take_touched();
        if let Some(changes) = &mut self.changes {
            touched.into_iter().for_each(|id| changes.touch(Touched::Session(id)));
        }
        output
    }

    fn apply_one(&mut self, index: LogIndex, data: &[u8]) -> Output {
        let command = command::read(data).map_err(|_| CommandError::Malformed)?;
        self.log_time = self.log_time.max(command.stamp);
        self.sessions.expire(self.log_time);
        match command.body {
            Body::Session { ttl_ms } => {
                self.sessions.open(SessionId(index), ttl_ms, self.log_time);
                self.bound_sessions();
                Ok(Reply { index, outcome: Outcome::SessionOpened })
            }
            Body::Write(ticket, write) => self.write_once(index, ticket, &write),
        }
    }

    fn write_once(&mut self, index: LogIndex, ticket: Ticket, write: &Write<'_>) -> Output {
        if let Admission::Repeated(reply) = self.sessions.admit(ticket, self.log_time)? {
            if planted!(RepeatedWriteApplied) {
                let outcome = self.write(index, write).unwrap_or_else(Outcome::Refused);
                return Ok(Reply { index, outcome });
            }
            return Ok(reply);
        }
        let outcome = self.write(index, write).unwrap_or_else(Outcome::Refused);
        let reply = Reply { index, outcome };
        self.sessions.record(ticket, reply.clone(), self.log_time);
        self.bound_sessions();
        Ok(reply)
    }

    fn bound_sessions(&mut self) {
        self.sessions.evict(self.config.sessions_max, self.config.reply_bytes_max);
    }

    fn write(&mut self, index: LogIndex, write: &Write<'_>) -> Result<Outcome, Refusal> {
        self.config.limits.check_write(write)?;
        match write {
            Write::One(op) => self.one(index, op, &mut |_, _| ()).map(Outcome::One),
            Write::Batch(ops) => self.batch(index, ops),
        }
    }

    /// All operations, in order, each seeing what those before it did; or none.
    fn batch(&mut self, index: LogIndex, ops: &[Op<'_>]) -> Result<Outcome, Refusal> {
        let mut undo: Vec<(&[u8], Option<Item>)> = Vec::with_capacity(ops.len());
        let mut outcomes = Vec::with_capacity(ops.len());
        for op in ops {
            let result = self.one(index, op, &mut |key, old| undo.push((key, old)));
            let failure = match result {
                Ok(OpOutcome::Mismatch { current }) => {
                    // At most `batch_ops_max`, which is a `u32`.
                    Ok(Outcome::BatchMismatch { op: outcomes.len() as u32, current })
                }
                Ok(outcome) => {
                    outcomes.push(outcome);
                    continue;
                }
                Err(refusal) => Err(refusal),
            };
            self.undo(undo);
            return failure;
        }
        Ok(Outcome::Batch(outcomes.into()))
    }

    fn undo(&mut self, changes: Vec<(&[u8], Option<Item>)>) {
        for (key, old) in changes.into_iter().rev() {
            match old {
                Some(item) => self.table.put(key, item),
                None => self.table.remove(key),
            };
        }
    }

    fn one<'a>(
        &mut self,
        version: LogIndex,
        op: &Op<'a>,
        changed: &mut dyn FnMut(&'a [u8], Option<Item>),
    ) -> Result<OpOutcome, Refusal> {
        let changes = &mut self.changes;
        let mut changed = |key: &'a [u8], old| {
            if let Some(changes) = changes {
                changes.touch(Touched::Key(key.into()));
            }
            changed(key, old);
        };
        one::apply(&self.config.limits, &mut self.table, version, op, &mut changed)
    }
}

impl StateMachine for Store {
    type Output = Output;

    fn apply(&mut self, commands: &[Command]) -> Vec<Output> {
        commands.iter().map(|command| self.apply_at(command.id.index, &command.data)).collect()
    }

    fn snapshot(&self) -> Box<dyn SnapshotSource> {
        Box::new(snapshot::Source::new(self.clone()))
    }

    fn restore(&self) -> Box<dyn Restore<Self>> {
        Box::new(restore::Restoring::new())
    }
}
