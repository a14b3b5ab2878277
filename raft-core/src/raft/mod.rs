//! The consensus state machine of one node in one group.
//!
//! Verbs in ([`tick`](Raft::tick), [`step`](Raft::step), [`propose`](Raft::propose), …), completions in
//! ([`on_persisted`](Raft::on_persisted), [`on_applied`](Raft::on_applied)), one [`drain`](Raft::drain) out.
//!
//! Each idea has a file: `role` says what a node can be, `election` how it becomes a leader, `replicate`
//! what a leader sends and hears, `follow` what a follower does with it, `install` how a snapshot is
//! received, `read` how a read is confirmed, `change` how the membership changes, `join` how a new node comes by its vote, `handover` how leadership is
//! handed over, `prefer` how it goes back, `output` how work is handed out, `report` what is shown.

mod change;
mod election;
mod follow;
mod handover;
mod install;
mod join;
mod output;
mod prefer;
mod read;
mod replicate;
mod report;
mod role;

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use self::install::Incoming;
use self::join::Newcomer;
use self::output::Outbox;
use self::read::PendingRead;
use self::role::{Following, Leading, RoleState, Votes};
use crate::history::Memberships;
use crate::log::Log;
use crate::timer::ElectionTimer;
use crate::writes::Writes;
use crate::{
    Cause, Config, ConfigError, Entry, Envelope, HardState, LogId, LogIndex, Membership, Message,
    NodeId, Payload, Persisted, ProposeError, ReadId, SnapshotMeta, Term, WriteSeq,
};

/// The consensus state machine of one node in one group (paper, figure 2; thesis, chapter 3).
///
/// No clock, no I/O, no randomness but the seed: equal inputs make equal values, and a value can be
/// cloned, compared and hashed, so that a test can fork it and walk every schedule.
///
/// Invariants, asserted in every build: `snapshot <= applied <= commit <= last` (indexes), the term and
/// the commit index never go back, committed entries are never truncated.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Raft {
    config: Config,
    hard_state: HardState,
    role: RoleState,
    timer: ElectionTimer,
    log: Log,
    memberships: Memberships,
    /// This node has no vote yet.
    newcomer: Option<Newcomer>,
    /// A leader has said that this node is no member since that index, and none has said otherwise.
    removed: Option<LogIndex>,
    snapshot: Option<SnapshotMeta>,
    /// A snapshot that a leader is sending; outlives the leader's term, so that it can be resumed.
    incoming: Option<Incoming>,
    commit: LogIndex,
    /// The last entry handed out to be applied.
    applying: LogIndex,
    applied: LogIndex,
    /// Bytes of the entries after `applied`.
    unapplied_bytes: u64,
    /// Bytes of the entries in `(applied, applying]`.
    applying_bytes: u64,
    /// Bytes of the entries after the snapshot up to `applied`.
    unsnapshotted_bytes: u64,
    writes: Writes,
    out: Outbox,
    next_read: ReadId,
    dropped: Dropped,
}

/// Terms and indexes from here on are nonsense: no cluster lives that long, and numbers that far from the
/// end can be counted up without a check.
const NUMBER_MAX: u64 = 1 << 62;

/// A count that is no part of the state: two nodes that differ only in it are equal.
#[derive(Clone, Copy, Default, Debug)]
struct Dropped(u64);

impl PartialEq for Dropped {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Dropped {}

impl core::hash::Hash for Dropped {
    fn hash<H: core::hash::Hasher>(&self, _: &mut H) {}
}

impl Raft {
    /// A node that resumes from what is on its disk (paper, figure 2: persistent state). The state
    /// machine must hold the state of `persisted.snapshot`, or be new when there is none. `initial` is
    /// the membership of a new group; it counts only while neither the snapshot nor the log has one. A node
    /// that joins a group which exists has to be given an empty one: it learns of the members by itself, and
    /// has no vote before it has caught up.
    ///
    /// # Errors
    /// When the configuration makes no sense.
    ///
    /// # Panics
    /// When `persisted` breaks the contract of [`Storage::load`](crate::Storage::load): a gap in the log,
    /// or a log that was compacted past the snapshot.
    pub fn new(
        config: Config,
        persisted: Persisted,
        initial: &Membership,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let newcomer = Newcomer::detect(&persisted, initial);
        let Persisted { hard_state, snapshot, compacted, log } = persisted;
        let start = snapshot.as_ref().map_or(LogId::ZERO, |meta| meta.last);
        assert!(compacted.index <= start.index, "the log is compacted only behind a snapshot");
        let base = snapshot.as_ref().map_or(initial, |meta| &meta.membership).clone();
        let mut memberships = Memberships::new(start.index, base);
        let log = Log::new(compacted, log);
        assert!(log.last_index() >= start.index, "the log reaches up to the snapshot");
        let mut unapplied_bytes = 0;
        for entry in log.range(start.index.next(), log.last_index()) {
            memberships.observe(entry);
            unapplied_bytes += entry.bytes();
        }
        let mut raft = Self {
            timer: ElectionTimer::new(&config, hard_state.term),
            role: RoleState::Follower(Following::default()),
            writes: Writes::new(log.last_index()),
            out: Outbox::new(log.last_index().next(), hard_state.term),
            config,
            hard_state,
            log,
            memberships,
            newcomer,
            removed: None,
            snapshot,
            incoming: None,
            commit: start.index,
            applying: start.index,
            applied: start.index,
            unapplied_bytes,
            applying_bytes: 0,
            unsnapshotted_bytes: 0,
            next_read: ReadId(0),
            dropped: Dropped(0),
        };
        // Kept for another node, or the crash came before they were removed; the next snapshot may be far.
        raft.forget_entries_behind(start.index);
        Ok(raft)
    }

    /// A tick of the clock has passed. Call it at a steady rate; a pause is no reason to catch up.
    pub fn tick(&mut self) {
        self.writes.tick();
        match &self.role {
            RoleState::Leader(_) => self.tick_leader(),
            _ => self.tick_election(),
        }
    }

    /// A message has arrived. What makes no sense is dropped and counted: nothing that a peer sends
    /// makes a node panic.
    pub fn step(&mut self, envelope: Envelope) {
        let Envelope { group, from, to, term, message } = envelope;
        let (node, stranger) = (self.config.node, from == NodeId::NOBODY);
        if group != self.config.group || to != node || from == node || stranger {
            return self.drop_message();
        }
        if term.0 >= NUMBER_MAX {
            return self.drop_message();
        }
        match &message {
            // Asking about a vote must not change the answer: it brings no term (thesis, section 9.6).
            Message::PreVote(request) => return self.receive_pre_vote(from, request),
            // Whoever would vote in the next term may still be in an earlier one.
            Message::PreVoteReply(reply) if term <= self.hard_state.term => {
                return self.receive_pre_vote_reply(from, reply);
            }
            _ => {}
        }
        if matches!(message, Message::RequestVote(_)) && self.newcomer.is_some() {
            // It has no vote, and a term from such a message would only disturb its leader.
            return self.drop_message();
        }
        if term > self.hard_state.term {
            if let Message::RequestVote(request) = &message
                && request.cause == Cause::Timeout
                && self.follows_a_live_leader()
            {
                self.answer_stranger(from);
                return self.drop_message();
            }
            self.become_follower(term, None);
        }
        if term < self.hard_state.term {
            return self.answer_the_past(from, &message);
        }
        match message {
            // Answered above, or a refusal that brought a new term, which is all it had to say.
            Message::PreVote(_) | Message::PreVoteReply(_) => {}
            Message::RequestVote(request) => self.receive_request_vote(from, &request),
            Message::RequestVoteReply(reply) => self.receive_request_vote_reply(from, &reply),
            Message::AppendEntries(request) => self.receive_append_entries(from, request),
            Message::AppendEntriesReply(reply) => self.receive_append_entries_reply(from, &reply),
            Message::InstallSnapshot(request) => self.receive_install_snapshot(from, request),
            Message::InstallSnapshotReply(reply) => {
                self.receive_install_snapshot_reply(from, &reply);
            }
            Message::TimeoutNow(request) => self.receive_timeout_now(from, &request),
            Message::Removed(request) => self.receive_removed(from, &request),
        }
    }

    /// Appends a command to the log, on the leader. It is committed when it comes out of
    /// [`drain`](Self::drain) to be applied, or it never is.
    ///
    /// # Errors
    /// It was not appended, and may be proposed again.
    pub fn propose(&mut self, command: Bytes) -> Result<LogId, ProposeError> {
        let RoleState::Leader(leading) = &self.role else {
            return Err(ProposeError::NotLeader { leader: self.leader() });
        };
        if let Some(handover) = &leading.handover
            && !planted!(ProposedDuringTransfer)
        {
            return Err(ProposeError::TransferInProgress { to: handover.to });
        }
        let (bytes, bytes_max) = (command.len() as u64, self.config.command_bytes_max);
        if bytes > bytes_max {
            return Err(ProposeError::TooLarge { bytes, bytes_max });
        }
        let in_flight_bytes_max = self.config.in_flight_bytes_max;
        let in_flight_bytes = self.unapplied_bytes.max(self.writes.pending_bytes());
        if in_flight_bytes + bytes + Entry::OVERHEAD_BYTES > in_flight_bytes_max {
            return Err(ProposeError::Overloaded { in_flight_bytes, in_flight_bytes_max });
        }
        Ok(self.append(Payload::Command(command)))
    }

    /// Begins an election now, without waiting for the timeout: PreVote first, as always. Does nothing
    /// on a leader, on a node that has no vote, and while the disk is stalled.
    pub fn campaign(&mut self) {
        if !matches!(self.role, RoleState::Leader(_)) {
            self.begin_pre_vote();
        }
    }

    /// What a snapshot of the state at `index` is of; `None` when `index` is not applied, or so old that
    /// it is not known any more, or not on this node's disk yet: a snapshot must not become durable before
    /// the log that it is of, for a crash would leave a log that ends before it or says otherwise. Ask
    /// again after the next [`on_persisted`](Self::on_persisted).
    pub fn snapshot_meta(&self, index: LogIndex) -> Option<SnapshotMeta> {
        if index > self.applied || index > self.writes.durable() {
            return None;
        }
        let term = self.log.term_at(index)?;
        // Who joins does not know who the members were before the first entry that says so.
        let known = self.memberships.at(index).filter(|known| !known.voters.is_empty());
        let mut membership = known?.clone();
        if planted!(SnapshotWithoutMembership) {
            membership = Membership::default();
        }
        Some(SnapshotMeta { last: LogId::new(term, index), membership })
    }

    /// A snapshot that this node took is durable in the store: what is before it may go (paper, section
    /// 7). A part of the log is kept for slow followers. A snapshot older than the newest is ignored.
    /// Returns the entries that are forgotten: to drop many of them takes a while.
    ///
    /// # Panics
    /// When the snapshot is of a state that was never applied here.
    pub fn compact(&mut self, snapshot: SnapshotMeta) -> Vec<Entry> {
        let last = snapshot.last;
        assert!(last.index <= self.applied, "a snapshot is of applied entries only");
        if self.snapshot.as_ref().is_some_and(|newest| newest.last.index >= last.index) {
            return Vec::new();
        }
        assert!(self.log.contains(last), "a snapshot is of this log");
        self.unsnapshotted_bytes =
            self.log.range(last.index.next(), self.applied).map(Entry::bytes).sum();
        self.snapshot = Some(snapshot);
        self.forget_entries_behind(last.index)
    }

    /// This write of this node and all before it are durable.
    ///
    /// # Panics
    /// When the write was never handed out.
    pub fn on_persisted(&mut self, seq: WriteSeq) {
        self.writes.persist(seq);
        self.release_messages();
        match &mut self.role {
            RoleState::Leader(_) => self.advance_commit(),
            RoleState::Candidate(_) => self.count_own_vote(),
            RoleState::Follower(_) => self.acknowledge(),
            RoleState::PreCandidate(_) => {}
        }
    }

    /// The state machine has applied everything up to `index`.
    ///
    /// # Panics
    /// When it was not handed out, or was reported before.
    pub fn on_applied(&mut self, index: LogIndex) {
        assert!(index > self.applied && index <= self.applying, "applied as handed out, once");
        let bytes: u64 = self.log.range(self.applied.next(), index).map(Entry::bytes).sum();
        self.applied = index;
        self.unapplied_bytes -= bytes;
        self.applying_bytes -= bytes;
        self.unsnapshotted_bytes += bytes;
    }

    fn id(&self) -> NodeId {
        self.config.node
    }

    fn leader(&self) -> Option<NodeId> {
        match &self.role {
            RoleState::Leader(_) => Some(self.config.node),
            RoleState::Follower(following) => following.leader,
            RoleState::PreCandidate(_) | RoleState::Candidate(_) => None,
        }
    }

    fn drop_message(&mut self) {
        self.dropped.0 += 1;
    }

    /// Changes the role. The only place that does.
    fn transition(&mut self, role: RoleState) {
        let led = matches!(self.role, RoleState::Leader(_));
        self.role = role;
        self.timer = ElectionTimer::new(&self.config, self.hard_state.term);
        if let (true, Some(newest)) = (led, &self.snapshot) {
            // What it kept for those who were getting a snapshot; its next one may be far.
            self.forget_entries_behind(newest.last.index);
        }
    }

    /// Follows in `term`, which is the current one or a later one.
    fn become_follower(&mut self, term: Term, leader: Option<NodeId>) {
        assert!(term >= self.hard_state.term, "terms never go back");
        if planted!(TermNotPersisted) && term > self.hard_state.term {
            self.hard_state = HardState { term, voted_for: None };
        }
        if term > self.hard_state.term {
            // Within a term the vote stays: giving it up could give it twice.
            self.set_hard_state(HardState { term, voted_for: None });
        }
        if planted!(StepDownClearsVote) && self.hard_state.voted_for.is_some() {
            self.set_hard_state(HardState { term, voted_for: None });
        }
        self.transition(RoleState::Follower(Following { leader, ..Following::default() }));
    }

    fn set_hard_state(&mut self, hard_state: HardState) {
        self.hard_state = match &self.newcomer {
            Some(_) => Newcomer::withhold(hard_state),
            None => hard_state,
        };
        self.out.hard_state_changed(self.writes.upcoming());
    }

    /// Appends an entry of this leader.
    fn append(&mut self, payload: Payload) -> LogId {
        let id = LogId::new(self.hard_state.term, self.log.last_index().next());
        self.push(Entry { id, payload });
        id
    }

    fn push(&mut self, entry: Entry) {
        self.unapplied_bytes += entry.bytes();
        self.memberships.observe(&entry);
        self.log.push(entry);
    }

    /// Raises the commit index to `index` at the most.
    fn commit_to(&mut self, index: LogIndex) {
        assert!(index <= self.log.last_index(), "only what is in the log is committed");
        self.commit = self.commit.max(index);
    }

    /// Drops the entries that a snapshot at `index` covers, except for a tail.
    fn forget_entries_behind(&mut self, index: LogIndex) -> Vec<Entry> {
        let mut forgotten = Vec::new();
        let newer: u64 =
            self.log.range(index.next(), self.log.last_index()).map(Entry::bytes).sum();
        let limit = self.wanted_by_transfers().min(index);
        while self.log.compacted().index < limit
            && self.log.bytes() - newer > self.config.trailing_bytes_max
        {
            forgotten.extend(self.log.pop_front());
        }
        self.memberships.forget_before(self.log.compacted().index.min(index));
        let compacted = self.log.compacted();
        self.stage_compaction(compacted);
        forgotten
    }

    /// The first index that a peer will need after the snapshot it is getting now. Such entries are
    /// kept while the log is not larger than what may be in flight anyway.
    fn wanted_by_transfers(&self) -> LogIndex {
        match &self.role {
            RoleState::Leader(leading) if self.log.bytes() < self.config.in_flight_bytes_max => {
                leading.transfers().map(|meta| meta.last.index).min().unwrap_or(LogIndex(u64::MAX))
            }
            _ => LogIndex(u64::MAX),
        }
    }
}

/// Boxes the state of a leader: it is larger than that of the other roles.
fn leader(leading: Leading) -> RoleState {
    RoleState::Leader(Box::new(leading))
}
