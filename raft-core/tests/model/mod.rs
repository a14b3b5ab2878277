//! A cluster of real `Raft` values with modelled disks, and the invariants that hold after every event.
//! The exhaustive walk and the random simulation drive it; each has a network of its own.

mod disk;
mod history;

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use raft_core::{
    Apply, ApplyOp, Config, Effects, Entry, Envelope, LogIndex, Membership, Message, NodeId,
    Payload, Persisted, Raft, ReadReady, Role, SnapshotMeta, SnapshotRequest, Term, WriteSeq,
};

pub(crate) use self::disk::{Disk, Snapshot};
#[allow(unused_imports)] // The walk hashes, the simulation draws numbers.
pub(crate) use self::history::{History, Mixer, mix};

/// A state machine: how far it is, and a hash of all it has applied.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub(crate) struct App {
    pub(crate) applied: LogIndex,
    pub(crate) hash: u64,
}

/// One process with its disk.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) raft: Raft,
    pub(crate) disk: Disk,
    pub(crate) app: App,
    /// Handed out and not yet applied.
    pub(crate) applies: VecDeque<ApplyOp>,
    /// The last index handed out.
    handed: LogIndex,
    next_seq: WriteSeq,
    /// Role, term and commit index after the last event.
    pub(crate) seen: (Role, Term, LogIndex),
    /// The membership after the last event: what decides in the next one.
    decides: Membership,
    config: Config,
    initial: Membership,
}

/// What makes two nodes behave differently from here on. What was handed out is applied at once wherever
/// nodes are hashed; the rest follows from what is hashed.
impl std::hash::Hash for Node {
    fn hash<H: std::hash::Hasher>(&self, hasher: &mut H) {
        (&self.raft, &self.disk).hash(hasher);
    }
}

impl Node {
    fn new(config: Config, initial: &Membership, persisted: Persisted) -> Self {
        let raft = Raft::new(config.clone(), persisted.clone(), initial).expect("a valid config");
        let seen = (Role::Follower, raft.status().term, raft.status().commit);
        Self {
            id: config.node,
            disk: Disk::of(persisted),
            app: App::default(),
            applies: VecDeque::new(),
            handed: raft.status().applied,
            next_seq: WriteSeq(1),
            seen,
            decides: raft.status().membership.clone(),
            raft,
            config,
            initial: initial.clone(),
        }
    }

    /// Loses what is not durable, and comes back from what is.
    pub(crate) fn restart(&mut self) {
        self.disk.crash();
        let persisted = self.disk.durable.persisted();
        self.raft = Raft::new(self.config.clone(), persisted, &self.initial).expect("as before");
        self.applies.clear();
        self.next_seq = WriteSeq(1);
        let status = self.raft.status();
        assert_eq!(status.last, self.disk.durable.last(), "resumes with the log of its disk");
        assert_eq!(status.term, self.disk.durable.hard_state.term, "and its term");
        assert_eq!(status.voted_for, self.disk.durable.hard_state.voted_for, "and its vote");
        self.app = App::default();
        if let Some(snapshot) = &self.disk.durable.snapshot {
            self.app = App::restore(snapshot);
        }
        assert_eq!(status.applied, self.app.applied);
        self.handed = status.applied;
        self.seen = (status.role, status.term, status.commit);
        self.decides = status.membership.clone();
    }

    /// Comes back with an empty disk, and knows of no group.
    pub(crate) fn wipe(&mut self) {
        self.disk = Disk::default();
        self.initial = Membership::default();
        self.restart();
    }

    /// The membership that the log on the disk says, when all that is queued is written.
    fn replayed(&self) -> &Membership {
        let latest = &self.disk.latest;
        let of_entry = |entry: &'_ Entry| matches!(entry.payload, Payload::Membership(_));
        if let Some(Entry { payload: Payload::Membership(membership), .. }) =
            latest.log.iter().rev().find(|entry| of_entry(entry))
        {
            return membership;
        }
        latest.snapshot.as_ref().map_or(&self.initial, |snapshot| &snapshot.meta.membership)
    }

    /// Makes the oldest write durable and says so. The caller settles afterwards.
    pub(crate) fn persist_oldest(&mut self) {
        if let Some(seq) = self.disk.persist() {
            self.raft.on_persisted(seq);
        }
    }

    /// Makes `count` writes durable and reports only the last, as a driver with group commit does.
    pub(crate) fn persist_batch(&mut self, count: usize) {
        let done = (0..count).map_while(|_| self.disk.persist()).last();
        if let Some(seq) = done {
            self.raft.on_persisted(seq);
        }
    }

    /// Applies the oldest batch that was handed out. The caller settles afterwards.
    pub(crate) fn apply_oldest(&mut self) {
        match self.applies.pop_front() {
            None => {}
            Some(ApplyOp::Entries(entries)) => {
                let last = entries.last().expect("never empty").id.index;
                // A snapshot that became durable meanwhile may already have brought some.
                let known = self.app.applied;
                for entry in entries.iter().filter(|entry| entry.id.index > known) {
                    assert_eq!(entry.id.index, self.app.applied.next(), "applied in order");
                    self.app.apply(entry);
                }
                self.raft.on_applied(last);
            }
            Some(ApplyOp::Restore(meta)) => {
                let snapshot = self.disk.durable.snapshot.as_ref().expect("durable before");
                assert!(snapshot.meta.last.index >= meta.last.index, "the store has it");
                self.app = App::restore(snapshot);
                self.raft.on_applied(meta.last.index);
            }
        }
    }

    /// A snapshot of the state as it is, if the core allows one.
    pub(crate) fn take_snapshot(&self) -> Option<Snapshot> {
        let meta = self.raft.snapshot_meta(self.app.applied)?;
        let data = self.app.bytes(self.id);
        Some(Snapshot { meta, data })
    }
}

impl App {
    fn apply(&mut self, entry: &Entry) {
        self.applied = entry.id.index;
        self.hash = history::chain(self.hash, entry);
    }

    /// Seven chunks and more; of other bytes on every node.
    fn bytes(&self, node: NodeId) -> Bytes {
        let mut data = Vec::from(self.applied.0.to_le_bytes());
        data.extend(self.hash.to_le_bytes());
        data.extend(std::iter::repeat_n(node.0 as u8, 12 + (self.applied.0 % 3) as usize * 8));
        data.into()
    }

    fn restore(snapshot: &Snapshot) -> Self {
        let number = |at: usize| {
            let bytes = snapshot.data[at..at + 8].try_into().expect("eight bytes");
            u64::from_le_bytes(bytes)
        };
        let app = Self { applied: LogIndex(number(0)), hash: number(8) };
        let mut rest = snapshot.data[16..].windows(2);
        assert!(rest.all(|pair| pair[0] == pair[1]), "chunks of two nodes were mixed");
        assert_eq!(app.applied, snapshot.meta.last.index, "a snapshot of what it says");
        app
    }
}

/// What came out of an event that the network and the clients have to see to.
#[derive(Default)]
pub(crate) struct Output {
    pub(crate) messages: Vec<Envelope>,
    pub(crate) reads: Vec<ReadReady>,
    pub(crate) snapshots: Vec<SnapshotRequest>,
}

/// Nodes and what has happened to them. Cheap to clone: only what changes is copied.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Rc<Node>>,
    pub(crate) history: Rc<History>,
}

impl Cluster {
    /// Nodes 1, 2, … with these disks.
    pub(crate) fn new(
        disks: Vec<Persisted>,
        committed: Vec<Entry>,
        config: impl Fn(NodeId) -> Config,
    ) -> Self {
        let initial = Membership::of_voters((1..=disks.len() as u64).map(NodeId));
        Self::of_members(disks, committed, &initial, config)
    }

    /// The same, and only those of `initial` know of the group when they start.
    pub(crate) fn of_members(
        disks: Vec<Persisted>,
        committed: Vec<Entry>,
        initial: &Membership,
        config: impl Fn(NodeId) -> Config,
    ) -> Self {
        let stranger = Membership::default();
        let nodes = (1..).map(NodeId).zip(disks).map(|(id, persisted)| {
            let knows = if initial.contains(id) { initial } else { &stranger };
            Rc::new(Node::new(config(id), knows, persisted))
        });
        Self { nodes: nodes.collect(), history: Rc::new(History::new(committed, initial)) }
    }

    pub(crate) fn node(&mut self, at: usize) -> &mut Node {
        Rc::make_mut(&mut self.nodes[at])
    }

    /// Drains node `at` after an event, carries out what is its own affair, and checks every invariant.
    pub(crate) fn settle(&mut self, at: usize) -> Output {
        let mut effects = Effects::default();
        let node = Rc::make_mut(&mut self.nodes[at]);
        node.raft.drain(&mut effects);
        let mut rest = Effects::default();
        node.raft.drain(&mut rest);
        assert!(rest.is_empty(), "one drain hands out everything: {rest:?}");

        let (before, log_changes) = (node.disk.latest.last(), !effects.writes.is_empty());
        let leads_on = node.seen.0 == Role::Leader
            && node.raft.status().role == Role::Leader
            && node.raft.status().term == node.seen.1;
        for write in effects.writes {
            assert_eq!(write.seq, node.next_seq, "writes are numbered without gaps");
            node.next_seq = write.seq.next();
            let overwritten = node.disk.write(write);
            if !overwritten.is_empty() {
                Rc::make_mut(&mut self.history).truncations += 1;
            }
            assert!(!leads_on || overwritten.is_empty(), "a leader only appends");
            for entry in &overwritten {
                assert!(!self.history.is_committed(entry), "{entry:?} is committed and truncated");
            }
        }
        assert!(!leads_on || node.disk.latest.last() >= before, "a leader only appends");
        self.check_status(at);
        self.check_membership(at);
        self.check_leader(at);
        self.check_commit(at);
        if log_changes {
            self.check_log_matching(at);
        }
        self.take_applies(at, effects.applies);
        for envelope in &effects.messages {
            self.check_message(at, envelope);
        }
        let status = self.nodes[at].raft.status();
        let seen = (status.role, status.term, status.commit);
        let is_other = *status.membership != self.nodes[at].decides;
        let decides = is_other.then(|| status.membership.clone());
        let node = Rc::make_mut(&mut self.nodes[at]);
        node.seen = seen;
        if let Some(decides) = decides {
            node.decides = decides;
        }
        Output { messages: effects.messages, reads: effects.reads, snapshots: effects.snapshots }
    }

    fn take_applies(&mut self, at: usize, applies: Vec<Apply>) {
        let node = Rc::make_mut(&mut self.nodes[at]);
        for apply in applies {
            match &apply.op {
                ApplyOp::Entries(entries) => {
                    for entry in entries {
                        assert_eq!(entry.id.index, node.handed.next(), "applied in order, once");
                        assert!(self.history.is_committed(entry), "{entry:?} is not committed");
                        node.handed = entry.id.index;
                    }
                }
                ApplyOp::Restore(meta) => {
                    assert!(meta.last.index > node.handed, "never back");
                    node.handed = meta.last.index;
                }
            }
            node.applies.push_back(apply.op);
        }
    }

    /// What a node says of itself is what its disk says of it.
    fn check_status(&self, at: usize) {
        let node = &self.nodes[at];
        let (status, latest, durable) = (node.raft.status(), &node.disk.latest, &node.disk.durable);
        assert!(status.term >= node.seen.1, "terms never go back");
        assert!(status.commit >= node.seen.2, "the commit index never goes back");
        assert!(status.applied <= status.commit && status.commit <= status.last.index);
        assert_eq!(status.term, latest.hard_state.term);
        assert_eq!(status.voted_for, latest.hard_state.voted_for);
        assert_eq!(status.last, latest.last());
        assert_eq!(status.compacted, latest.compacted);
        let claimed = latest.log.iter().take_while(|entry| entry.id.index <= status.durable);
        for entry in claimed {
            assert!(durable.has(entry), "{entry:?} counts as durable and is not");
        }
        assert!(status.durable <= status.last.index);
    }

    /// The membership in effect is what a replay of the log gives; of two that follow each other, all quorums
    /// meet; and at most one is not committed (section 6).
    fn check_membership(&self, at: usize) {
        let node = &self.nodes[at];
        let current = node.raft.status().membership;
        assert_eq!(current, node.replayed(), "{} acts on what its log does not say", node.id);
        if *current == node.decides {
            return;
        }
        let latest = &node.disk.latest;
        let base = latest.snapshot.as_ref().map(|s| (s.meta.last.index.0, &s.meta.membership));
        let base = base.unwrap_or((0, &node.initial));
        let of_log = latest.log.iter().filter_map(|entry| match &entry.payload {
            Payload::Membership(membership) => Some((entry.id.index.0, &**membership)),
            _ => None,
        });
        let of_log = of_log.filter(|(index, _)| *index > base.0);
        let changes = std::iter::once(base).filter(|(_, m)| !m.voters.is_empty()).chain(of_log);
        // The history learns what this event has committed only after this.
        let known = self.history.committed.len() as u64;
        let committed = known.max(node.raft.status().commit.0);
        let uncommitted = changes.clone().filter(|(index, _)| *index > committed).count();
        assert!(uncommitted <= 1, "{uncommitted} memberships are not committed");
        for ((_, one), (index, other)) in changes.clone().zip(changes.skip(1)) {
            assert!(quorums_meet(one, other), "{one:?} and {other:?} at {index}");
        }
    }

    /// Election safety, and leader completeness.
    fn check_leader(&mut self, at: usize) {
        let node = &self.nodes[at];
        let status = node.raft.status();
        if status.role != Role::Leader || node.seen.0 == Role::Leader && node.seen.1 == status.term
        {
            return;
        }
        for entry in self.history.committed_before(status.term) {
            assert!(node.disk.latest.has(entry), "{} leads without {entry:?}", node.id);
        }
        let (term, id) = (status.term, node.id);
        let voted = |voter: NodeId| {
            let durable = self.nodes[voter.0 as usize - 1].disk.durable.hard_state;
            (durable.term, durable.voted_for) == (term, Some(id))
                || self.history.vote(voter, term) == Some(id)
        };
        assert!(is_quorum(&node.decides, voted), "{id} leads {term} without the votes for it");
        Rc::make_mut(&mut self.history).leads(term, id);
    }

    /// What is committed is durable at a quorum and of the leader's own term; nobody has other entries.
    fn check_commit(&mut self, at: usize) {
        let node = &self.nodes[at];
        let (status, latest) = (node.raft.status(), &node.disk.latest);
        let known = self.history.committed.len() as u64;
        if status.commit.0 > known {
            // One that is voted out by what it commits may lead no longer after the same event.
            let led = status.role == Role::Leader || node.seen.0 == Role::Leader;
            assert!(led && node.seen.1 == status.term, "only a leader commits first");
            let fresh = (known + 1..=status.commit.0).map(|index| {
                latest.get(LogIndex(index)).expect("uncommitted entries are held").clone()
            });
            let fresh: Vec<Entry> = fresh.collect();
            for entry in &fresh {
                let has = |id: NodeId| self.nodes[id.0 as usize - 1].disk.durable.has(entry);
                assert!(is_quorum(&node.decides, has), "{entry:?} is not durable on a quorum");
            }
            let newest = fresh.last().expect("at least one").id.term;
            assert_eq!(newest, status.term, "commits by count only its own term (5.4.2)");
            Rc::make_mut(&mut self.history).commit(fresh, newest);
        }
        let node = &self.nodes[at];
        for entry in self.history.committed.iter().take(node.raft.status().commit.0 as usize) {
            assert!(node.disk.latest.has(entry), "{} has another {entry:?}", node.id);
        }
        if let Some(meta) = node.raft.status().snapshot {
            self.check_snapshot(meta);
        }
    }

    fn check_snapshot(&self, meta: &SnapshotMeta) {
        let entry = meta.last.index.0.checked_sub(1).map(|at| &self.history.committed[at as usize]);
        assert_eq!(entry.map(|entry| entry.id), Some(meta.last), "a snapshot of what is committed");
        let expected = self.history.membership_at(meta.last.index);
        assert_eq!(&meta.membership, expected, "the membership of a snapshot is the log's");
    }

    fn check_log_matching(&self, at: usize) {
        let one = &self.nodes[at].disk.latest;
        for other in self.nodes.iter().enumerate().filter(|(i, _)| *i != at) {
            for other in [&other.1.disk.latest, &other.1.disk.durable] {
                let agree = |entry: &&Entry| {
                    other.get(entry.id.index).is_some_and(|theirs| theirs.id == entry.id)
                };
                let Some(last) = one.log.iter().rev().find(agree) else { continue };
                for entry in one.log.iter().take_while(|entry| entry.id.index <= last.id.index) {
                    assert!(other.has(entry), "the logs agree at {} and not at {entry:?}", last.id);
                }
            }
        }
    }

    /// Nothing leaves a node that is not durable, and a vote is given once.
    fn check_message(&mut self, at: usize, envelope: &Envelope) {
        let node = &self.nodes[at];
        let durable = &node.disk.durable;
        let term = envelope.term;
        assert!(
            durable.hard_state.term >= term,
            "{envelope:?} speaks of a term that is not durable"
        );
        let overtaken = durable.hard_state.term > term;
        match &envelope.message {
            Message::RequestVote(_) => {
                Rc::make_mut(&mut self.history).votes(node.id, term, node.id);
            }
            Message::RequestVoteReply(reply) if reply.granted => {
                let vote = durable.hard_state.voted_for;
                assert!(overtaken || vote == Some(envelope.to), "{envelope:?} is not durable");
                let from = node.id;
                Rc::make_mut(&mut self.history).votes(from, term, envelope.to);
            }
            Message::AppendEntriesReply(reply) => {
                if let raft_core::AppendOutcome::Accepted { matched } = reply.outcome
                    && !overtaken
                {
                    self.check_acknowledged(at, envelope, matched);
                }
            }
            Message::InstallSnapshotReply(reply) => match reply.progress {
                raft_core::InstallProgress::Installed => {
                    let has = durable.last().index >= reply.last.index;
                    assert!(has || overtaken, "{envelope:?} is not durable");
                }
                raft_core::InstallProgress::Receiving { next_offset } => {
                    let there = durable.partial.as_ref().filter(|(of, _)| of.last == reply.last);
                    let there = there.map_or(0, |(_, data)| data.len() as u64);
                    let newer = durable.compacted.index >= reply.last.index;
                    assert!(next_offset <= there || newer || overtaken, "{envelope:?}: {there}");
                }
            },
            _ => {}
        }
    }

    fn check_acknowledged(&self, at: usize, envelope: &Envelope, matched: LogIndex) {
        let durable = &self.nodes[at].disk.durable;
        assert!(durable.last().index >= matched, "{envelope:?} is not durable");
        let leader = &self.nodes[envelope.to.0 as usize - 1];
        let status = leader.raft.status();
        if status.role == Role::Leader && status.term == envelope.term {
            let theirs = leader.disk.latest.get(matched);
            assert!(
                theirs.is_none_or(|entry| durable.has(entry)),
                "{envelope:?} is not the leader's"
            );
        }
    }
}

/// Whether those for whom `has` says so are a majority of the voters, and of those that are being left.
fn is_quorum(membership: &Membership, has: impl Fn(NodeId) -> bool) -> bool {
    let halves = [&membership.voters, &membership.outgoing];
    !membership.voters.is_empty()
        && halves.into_iter().all(|half| {
            let count = half.iter().filter(|voter| has(**voter)).count();
            half.is_empty() || 2 * count > half.len()
        })
}

/// Whether every quorum of the one has a node of every quorum of the other: by trying all.
fn quorums_meet(one: &Membership, other: &Membership) -> bool {
    (0_u32..1 << 10).all(|chosen| {
        let inside = |node: NodeId| chosen >> node.0 & 1 == 1;
        !(is_quorum(one, inside) && is_quorum(other, |node| !inside(node)))
    })
}
