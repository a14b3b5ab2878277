//! A group as the loop keeps it: its core, its port, and what the loop remembers of both.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use tokio::sync::oneshot;

use super::applier::Op;
use super::change::Change;
use super::compact::{self, Compaction};
use super::handing::Handing;
use super::inbox::Ask;
use super::shared::GroupPort;
use super::signal::Token;
use super::tasks::Tasks;
use super::turns::Turns;
use super::watch;
use super::writer::Mark;
use super::{StartError, StopReason};
use crate::{
    ApplyOp, BoxFuture, Effects, Envelope, GroupId, LogId, LogIndex, Raft, Role, RoleChange,
    SnapshotMeta, SnapshotSource, Storage, StorageError, WriteSeq,
};

/// A group that wants to run: made by [`Node::add_group`](super::Node::add_group).
pub(super) struct Join {
    pub(super) slot: Slot,
    pub(super) applier: BoxFuture<'static, ()>,
    pub(super) reply: oneshot::Sender<Result<(), StartError>>,
}

/// A group of the loop.
pub(super) struct Slot {
    pub(super) token: Token,
    pub(super) group: GroupId,
    raft: Raft,
    port: Arc<dyn GroupPort>,
    changes: watch::Sender<RoleChange>,
    compaction: Compaction,
    change: Change,
    handing: Handing,
    snapshots: SnapshotOptions,
    mark: Visit,
    ended: bool,
    /// The index up to which the core knows the state machine to be.
    done: LogIndex,
    /// The index up to which the applier was given work.
    given: LogIndex,
}

/// Whether the loop will visit a group in this turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    None,
    Due,
}

/// How a group's snapshots are taken.
#[derive(Clone, Copy)]
pub(super) struct SnapshotOptions {
    pub(super) bytes: Option<u64>,
    /// See [`compact::earlier`].
    pub(super) earlier: u64,
    pub(super) piece_bytes: usize,
    pub(super) release: fn(Box<dyn Send>),
}

impl Slot {
    pub(super) fn new(
        token: Token,
        raft: Raft,
        port: Arc<dyn GroupPort>,
        changes: watch::Sender<RoleChange>,
        snapshots: SnapshotOptions,
    ) -> Self {
        let done = port.done();
        let group = changes.borrow().group;
        Self {
            token,
            group,
            raft,
            port,
            changes,
            compaction: Compaction::new(token, snapshots.bytes, snapshots.earlier),
            change: Change::default(),
            handing: Handing::default(),
            snapshots,
            mark: Visit::None,
            ended: false,
            done,
            given: done,
        }
    }

    /// Puts the group among those to visit, once.
    pub(super) fn touch(&mut self, dirty: &mut Vec<Token>) {
        if self.mark == Visit::None {
            self.mark = Visit::Due;
            dirty.push(self.token);
        }
    }

    pub(super) fn tick(&mut self) {
        self.raft.tick();
        self.compaction.tick();
        self.handing.tick();
    }

    pub(super) fn step(&mut self, envelope: Envelope) {
        self.raft.step(envelope);
    }

    pub(super) fn on_persisted(&mut self, seq: WriteSeq) {
        self.raft.on_persisted(seq);
    }

    /// Takes what is in the inbox.
    pub(super) fn feed(
        &mut self,
        storage: &Arc<dyn Storage>,
        tasks: &Tasks,
        turns: &mut Turns,
    ) -> Result<(), StopReason> {
        // First, so that the room that was made is there for the proposals.
        self.catch_up();
        for ask in self.port.feed(&mut self.raft) {
            match ask {
                Ask::Campaign => self.raft.campaign(),
                Ask::Change(wish) => self.change.ask(wish, &mut self.raft),
                Ask::Transfer { to, reply } => self.handing.ask(to, reply, &mut self.raft),
                Ask::Progress(reply) => drop(reply.send(self.raft.progress().collect())),
                Ask::Snapshot(reply) => self.compaction.ask(reply),
                Ask::Viewed { applied, source } => {
                    if let Some(job) = self.viewed(applied, source, storage, turns) {
                        tasks.spawn(compact::write(job));
                    }
                }
                Ask::Written(outcome) => self.written(outcome, turns)?,
            }
        }
        Ok(())
    }

    /// Tells the core how far the applier is.
    fn catch_up(&mut self) {
        let done = self.port.done();
        if done > self.done {
            self.done = done;
            self.raft.on_applied(done);
        }
    }

    /// Moves the core's work to those who do it. What the disk and the network have to do stays in
    /// `effects` and `marks`, and so do the chunks to be read.
    pub(super) fn drain(
        &mut self,
        effects: &mut Effects,
        marks: &mut Vec<Mark>,
        dirty: &mut Vec<Token>,
        turns: &mut Turns,
    ) {
        self.mark = Visit::None;
        self.catch_up();
        self.change.advance(&mut self.raft);
        self.handing.advance(&self.raft);
        let first = effects.writes.len();
        self.raft.drain(effects);
        if let Some(write) = effects.writes[first..].last() {
            marks.push((self.token, write.seq));
        }
        for apply in effects.applies.drain(..) {
            self.given = given(&apply.op);
            self.port.apply(match apply.op {
                ApplyOp::Entries(entries) => Op::Entries(entries),
                ApplyOp::Restore(meta) => Op::Restore(meta),
            });
        }
        for read in effects.reads.drain(..) {
            self.port.confirmed(read.id, read.index);
        }
        let status = self.raft.status();
        // What is committed is applied first, and answered.
        self.ended = status.removed.is_some()
            && status.role != Role::Leader
            && status.applied == status.commit;
        for change in effects.changes.drain(..) {
            self.port.role_changed(&change, status.commit);
            self.changes.send_replace(change);
        }
        self.port.publish(&status, self.compaction.failures());
        if self.compaction.begin(status.unsnapshotted_bytes, turns) {
            self.port.apply(Op::View);
        }
        if status.commit > self.given {
            self.wait_for_room(dirty);
        }
    }

    /// The core holds committed entries back until more is applied.
    fn wait_for_room(&mut self, dirty: &mut Vec<Token>) {
        self.port.wait_for_room();
        // The applier may have come to an end just before it could see that it has to call.
        if self.port.done() > self.done {
            self.touch(dirty);
        }
    }

    /// The view for a snapshot is there: what is to be written, if anything.
    fn viewed(
        &mut self,
        applied: LogId,
        source: Box<dyn SnapshotSource>,
        storage: &Arc<dyn Storage>,
        turns: &mut Turns,
    ) -> Option<compact::Job> {
        let newest = self.raft.status().snapshot.map_or(LogId::ZERO, |meta| meta.last);
        if applied.index <= newest.index {
            self.compaction.done(newest, turns);
            return None;
        }
        let meta = self.raft.snapshot_meta(applied.index);
        let Some(meta) = meta.filter(|meta| meta.last == applied) else {
            self.compaction.hold(turns);
            return None;
        };
        self.compaction.writing();
        Some(compact::Job {
            port: self.port.clone(),
            storage: storage.clone(),
            group: self.group,
            meta,
            source,
            piece_bytes: self.snapshots.piece_bytes.max(1),
            release: self.snapshots.release,
            pace: turns.pace(),
        })
    }

    /// A snapshot was written, or was not.
    fn written(
        &mut self,
        outcome: Result<SnapshotMeta, StorageError>,
        turns: &mut Turns,
    ) -> Result<(), StopReason> {
        match outcome {
            Ok(meta) => {
                self.compaction.done(meta.last, turns);
                (self.snapshots.release)(Box::new(self.raft.compact(meta)));
            }
            Err(error @ StorageError::Io { is_full: true, .. }) => {
                self.compaction.full(&error, turns);
            }
            Err(error) => return Err(StopReason::Storage(error.to_string())),
        }
        Ok(())
    }

    /// Whether this node is no member of the group any more, and has nothing left to say in it.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// The loop has ended, or the group: answers everybody.
    pub(super) fn close(&mut self, turns: &mut Turns) {
        // A leader that is voted out may have done what it was asked for.
        self.change.advance(&mut self.raft);
        self.change.stop();
        self.handing.advance(&self.raft);
        self.handing.stop();
        self.compaction.stop(turns);
        self.port.close();
    }
}

/// The index up to which `op` leads.
fn given(op: &ApplyOp) -> LogIndex {
    match op {
        ApplyOp::Entries(entries) => entries.last().map_or(LogIndex::ZERO, |last| last.id.index),
        ApplyOp::Restore(meta) => meta.last.index,
    }
}
