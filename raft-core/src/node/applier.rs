//! The applier of a group: applies what is committed, beside the loop, so that a slow state machine
//! delays no heartbeat.
//!
//! It takes everything that is queued and gives it to the state machine in batches, of bounded size, so
//! that readers get the lock between two of them and, on a runtime with one thread, sockets and the loop
//! get their turn.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::poll_fn;

use super::StopReason;
use super::inbox::Ask;
use super::lock::lock;
use super::machine::{LoadError, load_snapshot};
use super::shared::{GroupPort, Shared};
use crate::{Command, Entry, LogId, LogIndex, Payload, SnapshotMeta, StateMachine, Storage};

/// What an applier is given.
pub(super) enum Op {
    /// Apply these.
    Entries(Vec<Entry>),
    /// Replace the state by the durable snapshot, which has at least this.
    Restore(SnapshotMeta),
    /// Show the state as it is after everything before this.
    View,
}

/// The most commands in one call of the state machine, and between two yields.
const BATCH_COMMANDS_MAX: usize = 256;
/// The same in bytes; one command may exceed it.
const BATCH_BYTES_MAX: u64 = 1 << 20;

/// Runs until it is aborted, its group ends, or it fails and stops the node.
pub(super) async fn run<S: StateMachine>(shared: Arc<Shared<S>>, storage: Arc<dyn Storage>) {
    let applied = lock(&shared.machine).applied;
    let mut applier = Applier {
        shared: &shared,
        storage: &*storage,
        applied,
        last: applied,
        given: applied.index,
        reported: applied.index,
        commands: Vec::new(),
        bytes: 0,
    };
    let mut ops = Vec::new();
    loop {
        poll_fn(|cx| shared.ops.poll_take(cx, &mut ops)).await;
        if ops.is_empty() {
            // The group does not run here any more.
            return;
        }
        for op in ops.drain(..) {
            if let Err(reason) = applier.perform(op).await {
                shared.bell.stop(reason);
                return;
            }
        }
        applier.apply();
    }
}

struct Applier<'a, S: StateMachine> {
    shared: &'a Shared<S>,
    storage: &'a dyn Storage,
    /// The last entry whose effect is in the state machine.
    applied: LogId,
    /// The last entry that was taken: `commands` and entries without an effect reach up to it.
    last: LogId,
    /// The index up to which the core gave work. Behind `last` when the snapshot that was restored is
    /// newer than the one asked for: the core must not hear of entries it does not know to be committed.
    given: LogIndex,
    /// What the loop was told.
    reported: LogIndex,
    /// The batch that is being made.
    commands: Vec<Command>,
    bytes: u64,
}

impl<S: StateMachine> Applier<'_, S> {
    async fn perform(&mut self, op: Op) -> Result<(), StopReason> {
        match op {
            Op::Entries(entries) => self.entries(entries).await,
            Op::Restore(meta) => {
                self.apply();
                self.restore(meta).await?;
            }
            Op::View => {
                let before = self.applied;
                self.apply();
                let machine = lock(&self.shared.machine);
                let (mut applied, source) = (machine.applied, machine.state.snapshot());
                drop(machine);
                if planted!(AppliedTwice) {
                    applied = before;
                }
                self.shared.tell(Ask::Viewed { applied, source });
            }
        }
        Ok(())
    }

    async fn entries(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            self.given = entry.id.index;
            // A snapshot that was newer than asked for brought these already.
            if entry.id.index <= self.last.index {
                continue;
            }
            assert_eq!(entry.id.index, self.last.index.next(), "committed entries have no gaps");
            self.last = entry.id;
            self.bytes += entry.bytes();
            if let Payload::Command(data) = entry.payload {
                self.commands.push(Command { id: entry.id, data });
            }
            if self.commands.len() >= BATCH_COMMANDS_MAX || self.bytes >= BATCH_BYTES_MAX {
                self.apply();
                tokio::task::yield_now().await;
            }
        }
    }

    /// Applies the batch, answers whoever waited for it, and says how far the state is.
    fn apply(&mut self) {
        if self.last != self.applied {
            self.apply_batch();
        }
        if self.given != self.reported {
            self.reported = self.given;
            if self.shared.progress.advance(self.given) {
                self.shared.call();
            }
        }
    }

    fn apply_batch(&mut self) {
        let outputs = lock(&self.shared.machine).apply(&self.commands, self.last);
        let mut waiting = lock(&self.shared.waiting);
        for (command, output) in self.commands.drain(..).zip(outputs) {
            waiting.applied_one(command.id, output);
        }
        waiting.caught_up(self.last);
        drop(waiting);
        self.bytes = 0;
        self.applied = self.last;
    }

    async fn restore(&mut self, meta: SnapshotMeta) -> Result<(), StopReason> {
        let shared = self.shared;
        if self.applied.index < meta.last.index {
            let restore = || lock(&shared.machine).state.restore();
            let loaded = load_snapshot(self.storage, shared.group, restore).await;
            let (state, last) = match loaded {
                Ok(Some((state, last))) if last.index >= meta.last.index => (state, last),
                Ok(_) => return Err(StopReason::Restore(missing(&meta))),
                Err(LoadError::Storage(error)) => {
                    return Err(StopReason::Storage(error.to_string()));
                }
                Err(LoadError::Restore(error)) => {
                    return Err(StopReason::Restore(error.to_string()));
                }
            };
            lock(&shared.machine).replace(state, last);
            lock(&shared.waiting).caught_up(last);
            (self.applied, self.last) = (last, last);
        }
        self.given = meta.last.index;
        self.apply();
        shared.call();
        Ok(())
    }
}

fn missing(meta: &SnapshotMeta) -> String {
    format!("the store does not have the snapshot up to {} that was just installed", meta.last)
}
