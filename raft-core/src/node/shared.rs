//! What a group's handles, its applier and the loop have in common, with the state machine's type; and
//! what the loop sees of it, without the type.
//!
//! Each part has a lock of its own, held for a few moves of data. Locks nest in one order only: scratch
//! (the loop's alone), then inbox or waiting.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::applier::Op;
use super::inbox::{Ask, Inbox, Proposal, ReadReply, Ring, refuse_all};
use super::lock::{Mutex, lock};
use super::machine::Machine;
use super::mailbox::Mailbox;
use super::signal::Bell;
use super::waiting::Waiting;
use super::watch;
use super::{GroupConfig, GroupStatus, ProposalError, QueryError};
use crate::{GroupId, LogIndex, Raft, ReadId, RoleChange, StateMachine, Status};

/// A group on this node.
pub(super) struct Shared<S: StateMachine> {
    pub(super) group: GroupId,
    pub(super) bell: Bell,
    pub(super) inbox: Mutex<Inbox<S::Output>>,
    pub(super) waiting: Mutex<Waiting<S::Output>>,
    pub(super) machine: Mutex<Machine<S>>,
    /// What the loop has for the applier. Bounded by the core's `applying_bytes_max`, and one view beside
    /// it.
    pub(super) ops: Mailbox<Op>,
    pub(super) progress: Progress,
    pub(super) status: Mutex<GroupStatus>,
    pub(super) changes: watch::Receiver<RoleChange>,
    scratch: Mutex<Scratch<S::Output>>,
}

/// The room into which the loop takes an inbox, kept from turn to turn.
struct Scratch<O> {
    proposals: Vec<Proposal<O>>,
    reads: Vec<ReadReply>,
}

/// How far the applier is, told without a message: the loop looks whenever it visits the group, at
/// least once a tick, and is called only when it has more work and waits for room.
pub(super) struct Progress {
    done: AtomicU64,
    loop_waits: AtomicBool,
}

impl Progress {
    /// The applier has done what it was given up to `index`; whether the loop has to be called.
    pub(super) fn advance(&self, index: LogIndex) -> bool {
        self.done.store(index.0, Ordering::SeqCst);
        self.loop_waits.swap(false, Ordering::SeqCst)
    }

    fn done(&self) -> LogIndex {
        LogIndex(self.done.load(Ordering::SeqCst))
    }

    fn wait(&self) {
        self.loop_waits.store(true, Ordering::SeqCst);
    }
}

impl<S: StateMachine> Shared<S> {
    pub(super) fn new(
        config: &GroupConfig,
        bell: Bell,
        machine: Machine<S>,
        status: GroupStatus,
        changes: watch::Receiver<RoleChange>,
    ) -> Arc<Self> {
        let applied = machine.applied;
        let reads_max = config.raft.reads_max;
        Arc::new(Self {
            group: config.raft.group,
            bell,
            inbox: Mutex::new(Inbox::new(config.inbox_bytes_max, reads_max)),
            waiting: Mutex::new(Waiting::new(applied, reads_max)),
            machine: Mutex::new(machine),
            ops: Mailbox::new(),
            progress: Progress {
                done: AtomicU64::new(applied.index.0),
                loop_waits: AtomicBool::new(false),
            },
            status: Mutex::new(status),
            changes,
            scratch: Mutex::new(Scratch { proposals: Vec::new(), reads: Vec::new() }),
        })
    }

    /// Calls the loop if it has to be.
    pub(super) fn ring(&self, ring: Ring) {
        match ring {
            Ring::Loop => self.bell.ring(),
            Ring::Nobody => {}
        }
    }

    /// Has the loop visit the group.
    pub(super) fn call(&self) {
        let ring = lock(&self.inbox).call();
        self.ring(ring);
    }
}

/// A group as the loop sees it.
pub(super) trait GroupPort: Send + Sync {
    /// Moves what is in the inbox into `raft`; what is not for the core is returned.
    fn feed(&self, raft: &mut Raft) -> Vec<Ask>;
    /// Queues work for the applier.
    fn apply(&self, op: Op);
    /// The index up to which the applier has done what it was given.
    fn done(&self) -> LogIndex;
    /// The core holds work back: the applier calls when it is further than it was at the last look.
    fn wait_for_room(&self);
    /// The read `id`, and those before it, may be served at `index`.
    fn confirmed(&self, id: ReadId, index: LogIndex);
    /// Answers whoever depended on an earlier leadership.
    fn role_changed(&self, change: &RoleChange, commit: LogIndex);
    /// What one of the group's tasks tells the loop.
    fn tell(&self, ask: Ask);
    /// Shows what the core shows of itself.
    fn publish(&self, status: &Status<'_>, snapshot_failures: u64);
    /// The loop has ended: answers everybody.
    fn close(&self);
}

impl<S: StateMachine> GroupPort for Shared<S> {
    fn feed(&self, raft: &mut Raft) -> Vec<Ask> {
        let mut scratch = lock(&self.scratch);
        let Scratch { proposals, reads } = &mut *scratch;
        let asks = lock(&self.inbox).take(proposals, reads);
        if proposals.is_empty() && reads.is_empty() {
            return asks;
        }
        let mut waiting = lock(&self.waiting);
        for (command, proposer) in proposals.drain(..) {
            match raft.propose(command) {
                Ok(id) => {
                    if let Some(appended) = proposer.appended {
                        let _ = appended.send(Ok(id));
                    }
                    waiting.appended(id, proposer.reply);
                }
                Err(reason) => proposer.refuse(ProposalError::Rejected(reason)),
            }
        }
        ask_all(raft, &mut waiting, reads);
        asks
    }

    fn apply(&self, op: Op) {
        // Refused only when the node stops.
        let _ = self.ops.push(op);
    }

    fn done(&self) -> LogIndex {
        self.progress.done()
    }

    fn wait_for_room(&self) {
        self.progress.wait();
    }

    fn confirmed(&self, id: ReadId, index: LogIndex) {
        lock(&self.waiting).confirmed(id, index);
    }

    fn role_changed(&self, change: &RoleChange, commit: LogIndex) {
        lock(&self.waiting).role_changed(change, commit);
    }

    fn tell(&self, ask: Ask) {
        let ring = lock(&self.inbox).tell(ask);
        self.ring(ring);
    }

    fn publish(&self, status: &Status<'_>, snapshot_failures: u64) {
        lock(&self.status).update(status, snapshot_failures);
    }

    fn close(&self) {
        let (mut proposals, mut reads) = (Vec::new(), Vec::new());
        let asks = {
            let mut inbox = lock(&self.inbox);
            inbox.close();
            inbox.take(&mut proposals, &mut reads)
        };
        refuse_all(proposals, reads, asks);
        // A visit that was cut short by a panic: the loop had taken these and not yet looked at them.
        let scratch = mem::replace(
            &mut *lock(&self.scratch),
            Scratch { proposals: Vec::new(), reads: Vec::new() },
        );
        refuse_all(scratch.proposals, scratch.reads, Vec::new());
        let leader = lock(&self.status).leader;
        lock(&self.waiting).stop(leader);
        self.ops.close();
    }
}

/// One question to the core answers all the reads of a turn (thesis, section 6.4).
fn ask_all<O>(raft: &mut Raft, waiting: &mut Waiting<O>, reads: &mut Vec<ReadReply>) {
    if reads.is_empty() {
        return;
    }
    match raft.read_index() {
        Ok(id) => {
            let term = raft.status().term;
            for reply in reads.drain(..) {
                waiting.asked(id, term, reply);
            }
        }
        Err(reason) => {
            for reply in reads.drain(..) {
                let _ = reply.send(Err(QueryError::Refused(reason)));
            }
        }
    }
}
