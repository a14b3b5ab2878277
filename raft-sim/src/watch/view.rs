//! [`View`]: what can be known of a group from its events. Kept once, for all invariants.

use std::collections::{BTreeMap, BTreeSet};

use raft_core::{
    Entry, HardState, LogId, LogIndex, Membership, NodeId, Payload, SnapshotMeta, Suffix, Term,
    WriteOp,
};

use super::event::{At, Event};
use crate::world::digest;

/// What an entry is: its term and a hash of its payload.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Print {
    /// Its term.
    pub term: Term,
    /// A hash of what it carries.
    pub digest: u64,
}

impl Print {
    /// Of an entry.
    pub fn of(entry: &Entry) -> Self {
        let digest = match &entry.payload {
            Payload::Noop => 0,
            Payload::Command(command) => digest(command) | 1,
            Payload::Membership(membership) => digest(format!("{membership:?}").as_bytes()) | 1,
        };
        Self { term: entry.id.term, digest }
    }
}

/// A hash over all commands up to one, in order: two state machines with equal chains were given the same.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Chain(pub u64);

impl Chain {
    /// With one more command.
    pub fn then(self, id: LogId, data: &[u8]) -> Self {
        let mut bytes = [0; 32];
        for (to, from) in bytes.chunks_mut(8).zip([self.0, id.index.0, id.term.0, digest(data)]) {
            to.copy_from_slice(&from.to_le_bytes());
        }
        Self(digest(&bytes))
    }
}

/// A log and what goes with it, as a disk holds it.
#[derive(Clone, Default, Debug)]
pub struct DiskModel {
    /// The hard state.
    pub hard_state: HardState,
    /// The newest snapshot.
    pub snapshot: Option<SnapshotMeta>,
    /// The entry before the first that is held.
    pub compacted: LogId,
    /// The entries that are held.
    pub entries: BTreeMap<LogIndex, Print>,
    /// The memberships among them.
    pub memberships: BTreeMap<LogIndex, Membership>,
}

impl DiskModel {
    /// The last entry.
    pub fn last(&self) -> LogId {
        let last = self.entries.last_key_value();
        last.map_or(self.compacted, |(index, print)| LogId::new(print.term, *index))
    }

    /// The term at an index, if it is known.
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        let snapshot = self.snapshot.as_ref().map(|meta| meta.last);
        let known = [Some(self.compacted), snapshot].into_iter().flatten();
        self.entries
            .get(&index)
            .map(|print| print.term)
            .or_else(|| known.into_iter().find(|id| id.index == index).map(|id| id.term))
    }

    /// Whether it has the entry, in its log or in its snapshot.
    pub fn has(&self, index: LogIndex, print: Print) -> bool {
        match self.entries.get(&index) {
            Some(here) => *here == print,
            None => self.snapshot.as_ref().is_some_and(|meta| index <= meta.last.index),
        }
    }

    /// Does what the operation says. Returns how many entries it removed from the log's end.
    pub fn write(&mut self, op: &WriteOp) -> usize {
        match op {
            WriteOp::HardState(hard_state) => {
                self.hard_state = *hard_state;
                0
            }
            WriteOp::Append(entries) => {
                let Some(first) = entries.first() else { return 0 };
                let removed = self.entries.split_off(&first.id.index).len();
                self.memberships.split_off(&first.id.index);
                for entry in entries {
                    self.entries.insert(entry.id.index, Print::of(entry));
                    if let Payload::Membership(membership) = &entry.payload {
                        self.memberships.insert(entry.id.index, (**membership).clone());
                    }
                }
                removed
            }
            WriteOp::Compact(id) => {
                self.forget(*id);
                0
            }
            WriteOp::Receive { meta, chunk, suffix } => {
                if chunk.end() != Some(chunk.total) {
                    return 0;
                }
                match suffix {
                    Suffix::Keep => self.forget(meta.last),
                    Suffix::Discard => {
                        self.entries.clear();
                        self.compacted = meta.last;
                    }
                }
                self.snapshot = Some(meta.clone());
                0
            }
        }
    }

    fn forget(&mut self, upto: LogId) {
        if upto.index > self.compacted.index {
            self.entries = self.entries.split_off(&upto.index.next());
            self.compacted = upto;
        }
    }
}

/// What is known of one node.
#[derive(Clone, Default, Debug)]
pub struct NodeView {
    /// What its store has said is durable.
    pub durable: DiskModel,
    /// That, and what the store was given since.
    pub submitted: DiskModel,
    /// The last command its state machine was given, and the chain up to it, in this incarnation.
    pub applied: (LogId, Chain),
    /// The commit index it has shown, in this incarnation.
    pub commit: LogIndex,
}

/// How much of everything there was: a run in which too little happened shows nothing.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names say it")]
#[non_exhaustive]
pub struct Coverage {
    pub elections: u64,
    pub committed: u64,
    pub applied: u64,
    pub truncations: u64,
    pub snapshots_taken: u64,
    pub snapshots_received: u64,
    pub restores: u64,
    pub restarts: u64,
    pub crashes: u64,
}

/// What is known of a group.
#[derive(Clone, Default, Debug)]
pub struct View {
    /// By node.
    pub nodes: BTreeMap<NodeId, NodeView>,
    /// The voters, of both halves if the membership is joint: as of the newest that is committed.
    pub membership: Membership,
    /// Every entry that was ever known to be committed.
    pub committed: BTreeMap<LogIndex, Print>,
    /// The chain after each command that was ever applied.
    pub chains: BTreeMap<LogIndex, Chain>,
    /// Who was ever seen to lead a term.
    pub leaders: BTreeMap<Term, NodeId>,
    /// Those that lost their disk.
    pub wiped: BTreeSet<NodeId>,
    /// How much there was.
    pub coverage: Coverage,
}

impl View {
    /// What is known of `node`.
    pub fn node(&self, node: NodeId) -> Option<&NodeView> {
        self.nodes.get(&node)
    }

    /// Takes the event in. Called before the invariants are.
    pub(super) fn learn(&mut self, at: &At<'_>) {
        let node = self.nodes.entry(at.node).or_default();
        match &at.event {
            Event::Loaded(persisted) => {
                let model = DiskModel {
                    hard_state: persisted.hard_state,
                    snapshot: persisted.snapshot.clone(),
                    compacted: persisted.compacted,
                    entries: persisted.log.iter().map(|e| (e.id.index, Print::of(e))).collect(),
                    memberships: BTreeMap::new(),
                };
                *node =
                    NodeView { durable: model.clone(), submitted: model, ..NodeView::default() };
                self.coverage.restarts += 1;
            }
            Event::Submitted(op) => {
                let removed = node.submitted.write(op);
                self.coverage.truncations += u64::from(removed > 0);
            }
            Event::Durable(op) => {
                node.durable.write(op);
                if let WriteOp::Receive { chunk, .. } = op {
                    let whole = chunk.end() == Some(chunk.total);
                    self.coverage.snapshots_received += u64::from(whole);
                }
            }
            Event::SnapshotTaken(meta) => {
                for model in [&mut node.durable, &mut node.submitted] {
                    if model.snapshot.as_ref().is_none_or(|old| old.last.index < meta.last.index) {
                        model.snapshot = Some((*meta).clone());
                    }
                }
                self.coverage.snapshots_taken += 1;
            }
            Event::Applied(command) => {
                let chain = node.applied.1.then(command.id, &command.data);
                node.applied = (command.id, chain);
                self.chains.entry(command.id.index).or_insert(chain);
                self.coverage.applied += 1;
            }
            Event::Restored(last, chain) => {
                node.applied = (*last, *chain);
                self.coverage.restores += 1;
            }
            Event::Crashed => self.coverage.crashes += 1,
            Event::Wiped => {
                *node = NodeView::default();
                self.wiped.insert(at.node);
            }
            Event::Sent(_) | Event::Status(_) => {}
        }
    }

    /// Takes in what is known only when the invariants have seen it: what is committed, and who leads.
    pub(super) fn settle(&mut self, at: &At<'_>) {
        match &at.event {
            Event::Status(status) => {
                if status.role == raft_core::Role::Leader {
                    self.leads(at.node, status.term);
                }
                let Some(node) = self.nodes.get_mut(&at.node) else { return };
                let from = node.commit.max(node.submitted.compacted.index);
                node.commit = node.commit.max(status.commit);
                for (index, print) in
                    node.submitted.entries.range(from.next()..=status.commit.max(from.next()))
                {
                    if *index <= status.commit && !self.committed.contains_key(index) {
                        self.committed.insert(*index, *print);
                        self.coverage.committed += 1;
                        if let Some(membership) = node.submitted.memberships.get(index) {
                            self.membership = membership.clone();
                        }
                    }
                }
            }
            Event::Sent(envelope) => {
                use raft_core::Message::{AppendEntries, InstallSnapshot};
                if matches!(envelope.message, AppendEntries(_) | InstallSnapshot(_)) {
                    self.leads(at.node, envelope.term);
                }
            }
            _ => {}
        }
    }

    fn leads(&mut self, node: NodeId, term: Term) {
        if self.leaders.insert(term, node).is_none() {
            self.coverage.elections += 1;
        }
    }
}
