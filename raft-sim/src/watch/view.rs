//! [`View`]: what can be known of a group from its events. Kept once, for all invariants.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use raft_core::node::GroupConfig;
use raft_core::{
    Envelope, HardState, LogId, LogIndex, Membership, Message, NodeId, Role, SnapshotMeta, Suffix,
    Term, WriteOp,
};

use super::coverage::Coverage;
use super::event::{At, Event};
use super::model::{DiskModel, ModelOp, forget_before};
use super::print::{Carries, Chain, Print};
use super::quorum::is_quorum;

/// What is known of one node.
#[derive(Clone, Default, Debug)]
pub struct NodeView {
    /// What its store has said is durable.
    pub durable: DiskModel,
    /// That, and what the store was given since.
    pub submitted: DiskModel,
    /// What the store was given and has not said to be durable.
    pub pending: VecDeque<ModelOp>,
    /// The last command its state machine was given, and the chain up to it, in this incarnation.
    pub applied: (LogId, Chain),
    /// A snapshot from the leader is here, up to this index, and is not restored yet.
    pub restoring: Option<LogIndex>,
}

/// The limits of a group's queues, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// [`GroupConfig::inbox_bytes_max`].
    pub inbox: u64,
    /// [`Config::in_flight_bytes_max`](raft_core::Config::in_flight_bytes_max).
    pub in_flight: u64,
    /// [`Config::append_bytes_max`](raft_core::Config::append_bytes_max).
    pub append: u64,
    /// [`Config::command_bytes_max`](raft_core::Config::command_bytes_max).
    pub command: u64,
}

impl From<&GroupConfig> for Limits {
    fn from(config: &GroupConfig) -> Self {
        Self {
            inbox: config.inbox_bytes_max,
            in_flight: config.raft.in_flight_bytes_max,
            append: config.raft.append_bytes_max,
            command: config.raft.command_bytes_max,
        }
    }
}

/// What an event has changed, for the invariants that look at changes only.
#[derive(Clone, Default, Debug)]
pub struct Step {
    /// Entries that the event removed from the end of the node's log, as it is submitted.
    pub removed: BTreeMap<LogIndex, Print>,
    /// The event shows a commit index that is higher than any before it.
    pub claim: Option<Claim>,
    /// The command that was applied, and the chain with it.
    pub applied: Option<(Print, Chain)>,
    /// What was known of the node before it was loaded.
    pub before: Option<Box<NodeView>>,
    /// The node leads a term that nobody was seen to lead before.
    pub leads: Option<Term>,
}

/// A commit index that nobody has shown before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim {
    /// The index.
    pub index: LogIndex,
    /// The term that the node leads, if it leads.
    pub leading: Option<Term>,
    /// The entry of which a quorum of the voters has a durable copy at that index, if there is one.
    pub durable: Option<Print>,
}

/// What is known of a group.
#[derive(Clone, Default, Debug)]
pub struct View {
    /// By node.
    pub nodes: BTreeMap<NodeId, NodeView>,
    /// The membership with which the group began.
    pub initial: Membership,
    /// The memberships that are committed.
    pub memberships: BTreeMap<LogIndex, Membership>,
    /// The limits of the queues, if they are known.
    pub limits: Option<Limits>,
    /// Every entry that was ever known to be committed, from [`Self::floor`] on.
    pub committed: BTreeMap<LogIndex, Print>,
    /// The highest commit index that was ever shown.
    pub commit: LogIndex,
    /// The last entry that was committed by the leader of a term, or before. Who shows a commit index and does
    /// not lead may have it from the newest leader.
    pub committed_by: BTreeMap<Term, LogIndex>,
    /// The chain after each command that was ever applied, from the last one at or before [`Self::floor`] on.
    pub chains: BTreeMap<LogIndex, Chain>,
    /// What is before this index is forgotten: no node's log has it any more.
    pub floor: LogIndex,
    /// Who was ever seen to lead a term.
    pub leaders: BTreeMap<Term, NodeId>,
    /// All votes that were ever durable, and those that were overtaken by a later term that was.
    pub votes: BTreeMap<(Term, NodeId), NodeId>,
    /// Those that lost their disk.
    pub wiped: BTreeSet<NodeId>,
    /// How much there was.
    pub coverage: Coverage,
    /// What the newest event has changed.
    pub step: Step,
}

impl View {
    /// A group that begins with these members.
    pub fn new(initial: Membership) -> Self {
        Self { initial, ..Self::default() }
    }

    /// What is known of `node`.
    pub fn node(&self, node: NodeId) -> Option<&NodeView> {
        self.nodes.get(&node)
    }

    /// Takes the event in. Called before the invariants are.
    pub(super) fn learn(&mut self, at: &At<'_>) {
        self.step = Step::default();
        self.learn_of_node(at);
        self.step.leads = led_term(at).filter(|term| !self.leaders.contains_key(term));
        let (shown, leading) = self.shown_commit(at);
        if shown > self.commit {
            let durable = self.durable_on_quorum(at.node, shown);
            self.step.claim = Some(Claim { index: shown, leading, durable });
        }
        match &at.event {
            Event::Durable(WriteOp::HardState(state)) => self.votes_durably(at.node, state),
            Event::Loaded(persisted) => self.votes_durably(at.node, &persisted.hard_state),
            Event::Sent(envelope) => self.votes_in_the_past(envelope),
            _ => {}
        }
    }

    fn votes_durably(&mut self, node: NodeId, state: &HardState) {
        if let Some(candidate) = state.voted_for.filter(|candidate| *candidate != NodeId::NOBODY) {
            // The first one stays: a second one is a violation.
            self.votes.entry((state.term, node)).or_insert(candidate);
        }
    }

    /// A vote that was overtaken by a later term before it was written need not be written any more: the
    /// later term keeps the node from voting again as well.
    fn votes_in_the_past(&mut self, envelope: &Envelope) {
        let candidate = match &envelope.message {
            Message::RequestVoteReply(reply) if reply.granted => envelope.to,
            Message::RequestVote(_) => envelope.from,
            _ => return,
        };
        let durable = self.nodes.get(&envelope.from).map(|node| node.durable.hard_state.term);
        if durable.is_some_and(|term| term > envelope.term) {
            self.votes.entry((envelope.term, envelope.from)).or_insert(candidate);
        }
    }

    fn learn_of_node(&mut self, at: &At<'_>) {
        let node = self.nodes.entry(at.node).or_default();
        let (step, coverage) = (&mut self.step, &mut self.coverage);
        match &at.event {
            Event::Loaded(persisted) => {
                let model = DiskModel::from(*persisted);
                let new =
                    NodeView { durable: model.clone(), submitted: model, ..NodeView::default() };
                step.before = Some(Box::new(std::mem::replace(node, new)));
                coverage.restarts += 1;
            }
            Event::Submitted(op) => {
                let op = ModelOp::from(*op);
                step.removed = node.submitted.write(&op);
                coverage.truncations += u64::from(!step.removed.is_empty());
                if let ModelOp::Install(meta, suffix) = &op {
                    node.restoring = Some(meta.last.index);
                    coverage.logs_discarded += u64::from(*suffix == Suffix::Discard);
                }
                node.pending.push_back(op);
            }
            Event::Durable(op) => {
                let op = node.pending.pop_front().unwrap_or_else(|| ModelOp::from(*op));
                node.durable.write(&op);
                coverage.snapshots_received += u64::from(matches!(op, ModelOp::Install(..)));
            }
            Event::SnapshotTaken(meta) => {
                node.durable.take_snapshot(meta);
                node.submitted.take_snapshot(meta);
                coverage.snapshots_taken += 1;
            }
            Event::Applied(command) => {
                let print = Print::of_command(command.id, &command.data);
                let chain = node.applied.1.then_digest(command.id, print.digest);
                step.applied = Some((print, chain));
                coverage.applied += 1;
            }
            Event::Restored(_) => coverage.restores += 1,
            Event::Crashed => coverage.crashes += 1,
            Event::Wiped => {
                *node = NodeView::default();
                self.wiped.insert(at.node);
                self.votes.retain(|(_, voter), _| *voter != at.node);
            }
            Event::Sent(_) | Event::SnapshotMade(_) | Event::Status(_) => {}
        }
    }

    /// Up to where the event shows the node's log to be committed, and the term the node leads, if it does.
    fn shown_commit(&self, at: &At<'_>) -> (LogIndex, Option<Term>) {
        match &at.event {
            Event::Status(status) => {
                (status.commit, (status.role == Role::Leader).then_some(status.term))
            }
            Event::Sent(envelope) => match &envelope.message {
                Message::AppendEntries(append) => (append.commit, Some(envelope.term)),
                Message::InstallSnapshot(install) => (install.meta.last.index, None),
                _ => (LogIndex::ZERO, None),
            },
            Event::Applied(command) => (command.id.index, None),
            Event::Submitted(WriteOp::Compact(id)) => (id.index, None),
            Event::SnapshotTaken(meta) => (meta.last.index, None),
            _ => (LogIndex::ZERO, None),
        }
    }

    /// The membership that is in effect at a committed index.
    pub fn membership_upto(&self, index: LogIndex) -> &Membership {
        let newest = self.memberships.range(..=index).next_back();
        newest.map_or(&self.initial, |(_, membership)| membership)
    }

    /// The membership in effect at a node, as far as its store was given it.
    pub fn membership_at(&self, node: NodeId) -> &Membership {
        match self.nodes.get(&node) {
            Some(node) => node.submitted.membership(&self.initial),
            None => &self.initial,
        }
    }

    /// The entry at `index` of which a quorum of the voters, as `node` knows them, has a durable copy.
    fn durable_on_quorum(&self, node: NodeId, index: LogIndex) -> Option<Print> {
        let membership = self.membership_at(node);
        let copies = |id: &NodeId| {
            let durable = &self.nodes.get(id)?.durable;
            durable.entries.get(&index).filter(|_| !self.wiped.contains(id))
        };
        let found: BTreeSet<Print> =
            self.nodes.keys().filter_map(|id| copies(id).copied()).collect();
        found.into_iter().find(|print| {
            let holds = |id: NodeId| {
                let node = self.nodes.get(&id);
                node.is_some_and(|node| node.durable.has(index, print)) && !self.wiped.contains(&id)
            };
            is_quorum(membership, holds)
        })
    }

    /// Takes in what is known only when the invariants have seen it: what is committed and applied, and who
    /// leads.
    pub(super) fn settle(&mut self, at: &At<'_>) {
        if let Some(claim) = self.step.claim {
            self.commit(at.node, claim);
        }
        if let Some(term) = self.step.leads {
            self.leaders.insert(term, at.node);
            self.coverage.elections += 1;
        }
        let node = self.nodes.entry(at.node).or_default();
        match &at.event {
            Event::Applied(command) => {
                if let Some((_, chain)) = self.step.applied {
                    node.applied = (command.id, chain);
                    self.chains.entry(command.id.index).or_insert(chain);
                }
            }
            Event::Restored(content) => {
                node.applied = (content.last, content.chain);
            }
            Event::Status(status) => {
                node.restoring = node.restoring.filter(|index| *index > status.applied);
            }
            Event::Loaded(persisted) => {
                if let Some(meta) = &persisted.snapshot {
                    self.inherit(meta);
                }
                self.forget();
            }
            Event::Durable(WriteOp::Compact(_) | WriteOp::Receive { .. }) => self.forget(),
            _ => {}
        }
    }

    /// A node was loaded with a snapshot. If it is of a time before anything was seen, it is believed.
    fn inherit(&mut self, meta: &SnapshotMeta) {
        if self.commit < meta.last.index {
            self.commit = meta.last.index;
            self.memberships.insert(meta.last.index, meta.membership.clone());
        }
    }

    /// Everything up to the claim is committed: as one who has a durable copy has it, or else the node.
    fn commit(&mut self, node: NodeId, claim: Claim) {
        let (from, to) = (self.commit.next(), claim.index);
        self.commit = to;
        let newest = self.leaders.keys().next_back().copied().unwrap_or_default();
        self.committed_by.insert(claim.leading.unwrap_or(newest), to);
        let has = |node: &&NodeView| {
            let here = node.durable.entries.get(&to);
            here.is_some() && here == claim.durable.as_ref() && node.durable.compacted.index < from
        };
        let witness = self.nodes.values().find(has).map(|node| &node.durable);
        let Some(log) = witness.or(self.nodes.get(&node).map(|node| &node.submitted)) else {
            return;
        };
        let entries: Vec<(LogIndex, Print)> =
            log.entries.range(from..=to).map(|(index, print)| (*index, *print)).collect();
        let memberships = log.memberships.range(from..=to).map(|(at, m)| (*at, m.clone()));
        self.memberships.extend(memberships);
        self.coverage.committed += entries.len() as u64;
        self.committed.extend(entries);
    }

    /// Forgets what no log has any more.
    fn forget(&mut self) {
        let missing = self.initial.voters.iter().any(|voter| !self.nodes.contains_key(voter));
        let lowest = self.nodes.values().map(|node| node.durable.compacted.index).min();
        let floor = lowest.filter(|_| !missing).unwrap_or(LogIndex::ZERO);
        if floor <= self.floor {
            return;
        }
        self.floor = floor;
        forget_before(&mut self.committed, floor);
        let kept = self.chains.range(..=floor).next_back().map(|(index, _)| *index);
        forget_before(&mut self.chains, kept.unwrap_or(LogIndex::ZERO));
    }

    /// What leaders of earlier terms than `term` have committed.
    pub fn committed_before(&self, term: Term) -> impl Iterator<Item = (LogIndex, Print)> + '_ {
        let last = self.committed_by.range(..term).map(|(_, index)| *index).max();
        let upto = self.committed.range(..=last.unwrap_or_default());
        upto.map(|(index, print)| (*index, *print))
    }

    /// The commands that are known to be committed in the open range between two indexes.
    pub fn commands_between(&self, after: LogIndex, before: LogIndex) -> Vec<LogIndex> {
        if after.next() >= before {
            return Vec::new();
        }
        let between = self.committed.range(after.next()..before);
        let commands = between.filter(|(_, print)| print.carries == Carries::Command);
        commands.map(|(index, _)| *index).collect()
    }
}

/// The term that the event shows its node to lead.
fn led_term(at: &At<'_>) -> Option<Term> {
    match &at.event {
        Event::Status(status) if status.role == Role::Leader => Some(status.term),
        Event::Sent(envelope) => match envelope.message {
            Message::AppendEntries(_) | Message::InstallSnapshot(_) => Some(envelope.term),
            _ => None,
        },
        _ => None,
    }
}
