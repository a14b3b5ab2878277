//! [`StoreModel`]: the store written a second time, plainly, and given every command that any node applies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use kv::command::{self, Body, SessionId, Write};
use kv::{Expect, Op, OpOutcome, StoreConfig};
use raft_core::{Command, LogIndex};

use super::calls::Part;
use super::effects::{input_of, output_of};
use super::sessions::{Sessions, Turn};
use crate::checker::models::{KvInput, KvOutput};
use crate::invariants::Invariant;
use crate::watch::{At, Event, View};
use crate::world::digest;

/// What a value was: whether there was one, and its length and hash.
pub(crate) type Print = Option<(u64, u64)>;

pub(crate) fn print(value: &[u8]) -> Print {
    Some((value.len() as u64, digest(value)))
}

/// A value and the index of the write that made it so.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Item {
    pub(crate) value: Vec<u8>,
    pub(crate) version: LogIndex,
}

#[derive(Default)]
pub(crate) struct StoreModel {
    config: StoreConfig,
    /// The last command.
    pub(crate) last: LogIndex,
    log_time: u64,
    pub(crate) items: BTreeMap<Bytes, Item>,
    sessions: Sessions,
    /// What was decided at each index: the operations, as their client was told of them.
    pub(crate) effects: BTreeMap<LogIndex, Vec<(KvInput, KvOutput)>>,
    /// What each key was from an index on.
    pub(crate) changes: BTreeMap<Bytes, BTreeMap<LogIndex, Print>>,
    /// The keys that changed since somebody looked.
    pub(crate) touched: BTreeSet<Bytes>,
}

impl StoreModel {
    pub(crate) fn new(config: StoreConfig) -> Self {
        Self { config, ..Self::default() }
    }

    pub(crate) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Sessions that were opened, and those of them that ended.
    pub(crate) fn sessions_so_far(&self) -> (u64, u64) {
        let opened = self.sessions.opened();
        (opened, opened - self.sessions.len() as u64)
    }

    /// Does what a store does; a command that it was given before, on another node, changes nothing.
    fn apply(&mut self, command: &Command) -> Result<(), String> {
        let index = command.id.index;
        if index <= self.last { Ok(()) } else { self.apply_at(index, &command.data) }
    }

    /// Does what a store does with its next command.
    pub(crate) fn apply_at(&mut self, index: LogIndex, data: &[u8]) -> Result<(), String> {
        self.last = index;
        // What is no command at all is answered, and changes nothing.
        let Ok(command) = command::read(data) else { return Ok(()) };
        self.log_time = self.log_time.max(command.stamp);
        self.sessions.expire(self.log_time);
        match command.body {
            Body::Session { ttl_ms } => {
                self.sessions.open(SessionId(index), ttl_ms, self.log_time);
                self.sessions.bound(self.config.sessions_max);
            }
            Body::Write(ticket, write) => {
                if self.sessions.take_turn(ticket, self.log_time)? == Turn::Now {
                    self.write(index, &write);
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, index: LogIndex, write: &Write<'_>) {
        let ops = match write {
            Write::One(op) => std::slice::from_ref(op),
            Write::Batch(ops) => ops,
        };
        let keys = ops.iter().map(|op| Bytes::copy_from_slice(op.key()));
        let before: BTreeMap<Bytes, Option<Item>> =
            keys.map(|key| (key.clone(), self.items.get(&key).cloned())).collect();
        if let Some(told) = self.all(index, write, ops) {
            self.effects.insert(index, told);
        } else {
            // Refused, or a batch with an expectation that does not hold: as if nothing had been asked for.
            for (key, item) in before {
                match item {
                    Some(item) => self.items.insert(key, item),
                    None => self.items.remove(&key),
                };
            }
            return;
        }
        for (key, old) in before {
            let new = self.items.get(&key);
            if new != old.as_ref() {
                let print = new.and_then(|item| print(&item.value));
                self.changes.entry(key.clone()).or_default().insert(index, print);
            }
            self.touched.insert(key);
        }
    }

    /// Does all the operations, and gives what their client is told of each; `None` if they are not done.
    fn all(
        &mut self,
        index: LogIndex,
        write: &Write<'_>,
        ops: &[Op<'_>],
    ) -> Option<Vec<(KvInput, KvOutput)>> {
        let mut told = Vec::new();
        for op in ops {
            let outcome = self.one(index, op)?;
            let this = (input_of(op), output_of(index, outcome));
            if matches!((write, outcome), (Write::Batch(_), OpOutcome::Mismatch { .. })) {
                self.effects.insert(index, vec![this]);
                return None;
            }
            told.push(this);
        }
        Some(told)
    }

    /// One operation, or `None` if it is refused.
    fn one(&mut self, version: LogIndex, op: &Op<'_>) -> Option<OpOutcome> {
        let key = Bytes::copy_from_slice(op.key());
        let fits = |value: &[u8]| value.len() <= self.config.limits.value_bytes_max as usize;
        let current = self.items.get(&key);
        match *op {
            Op::Put { value, .. } => {
                self.items.insert(key, Item { value: value.to_vec(), version });
                Some(OpOutcome::Put)
            }
            Op::Append { value, .. } => {
                let mut whole = current.map_or_else(Vec::new, |item| item.value.clone());
                whole.extend_from_slice(value);
                if !fits(&whole) {
                    return None;
                }
                let length = whole.len() as u64;
                self.items.insert(key, Item { value: whole, version });
                Some(OpOutcome::Append { length })
            }
            Op::Delete { .. } => {
                Some(OpOutcome::Delete { existed: self.items.remove(&key).is_some() })
            }
            Op::CompareAndSet { expect, then, .. } => {
                let met = match expect {
                    Expect::Absent => current.is_none(),
                    Expect::Value(value) => current.is_some_and(|item| item.value == value),
                    Expect::Version(version) => current.is_some_and(|item| item.version == version),
                };
                if !met {
                    return Some(OpOutcome::Mismatch { current: current.map(|item| item.version) });
                }
                match then {
                    Some(value) => self.items.insert(key, Item { value: value.to_vec(), version }),
                    None => self.items.remove(&key),
                };
                Some(OpOutcome::Swapped)
            }
        }
    }
}

/// What the stores of a run must be: one model for each part.
pub(crate) trait Truth {
    fn parts(&self) -> impl Iterator<Item = &StoreModel>;
    fn of_part(&self, part: Part) -> &StoreModel;
    fn of_key(&self, key: &[u8]) -> &StoreModel;
}

impl Truth for StoreModel {
    fn parts(&self) -> impl Iterator<Item = &StoreModel> {
        std::iter::once(self)
    }

    fn of_part(&self, _: Part) -> &StoreModel {
        self
    }

    fn of_key(&self, _: &[u8]) -> &StoreModel {
        self
    }
}

/// Gives a [`StoreModel`] what the nodes apply.
pub(crate) struct FeedModel(pub(crate) SharedModel);

/// The model, which the checks look at as well.
#[derive(Clone)]
pub(crate) struct SharedModel(Arc<Mutex<StoreModel>>);

impl SharedModel {
    pub(crate) fn new(config: StoreConfig) -> Self {
        Self(Arc::new(Mutex::new(StoreModel::new(config))))
    }

    pub(crate) fn look(&self) -> MutexGuard<'_, StoreModel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Invariant for FeedModel {
    fn name(&self) -> &'static str {
        "exactly-once"
    }

    fn check(&mut self, at: &At<'_>, _: &View) -> Result<(), String> {
        match &at.event {
            Event::Applied(command) => self.0.look().apply(command),
            _ => Ok(()),
        }
    }
}
