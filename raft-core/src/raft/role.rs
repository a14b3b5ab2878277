//! What a node can be, with the state that only that role has.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

use super::PendingRead;
use super::handover::Handover;
use super::prefer::Preference;
use crate::catch_up::CatchUp;
use crate::progress::{Progress, State};
use crate::{LogIndex, Membership, NodeId, Role, Round, SnapshotMeta, quorum};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum RoleState {
    Follower(Following),
    PreCandidate(Votes),
    Candidate(Votes),
    Leader(Box<Leading>),
}

impl RoleState {
    pub(super) fn name(&self) -> Role {
        match self {
            Self::Follower(_) => Role::Follower,
            Self::PreCandidate(_) => Role::PreCandidate,
            Self::Candidate(_) => Role::Candidate,
            Self::Leader(_) => Role::Leader,
        }
    }
}

/// A follower, of a leader or of nobody yet.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub(super) struct Following {
    pub(super) leader: Option<NodeId>,
    /// The log is the leader's up to here.
    pub(super) verified: LogIndex,
    /// The newest round of the leader.
    pub(super) round: Round,
    /// Whether the leader waits to hear that more of `verified` is durable.
    pub(super) owes_reply: bool,
}

/// Who has promised a vote.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub(super) struct Votes(BTreeSet<NodeId>);

impl Votes {
    pub(super) fn add(&mut self, node: NodeId) {
        self.0.insert(node);
    }

    pub(super) fn has(&self, node: NodeId) -> bool {
        self.0.contains(&node)
    }

    pub(super) fn win(&self, membership: &Membership) -> bool {
        quorum::reached(membership, |node| u64::from(self.has(node))) == 1
    }
}

/// A leader.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Leading {
    /// What is known of every other member.
    pub(super) peers: BTreeMap<NodeId, Progress>,
    /// The index of the entry with which the term began: once it is committed, so is all before it.
    pub(super) term_start: LogIndex,
    pub(super) round: Round,
    pub(super) heartbeat_elapsed: u32,
    /// CheckQuorum: ticks since the last check, and the round that a quorum must have answered by the
    /// next one.
    pub(super) check_elapsed: u32,
    pub(super) check_round: Round,
    pub(super) reads: VecDeque<PendingRead>,
    /// Leadership is being handed over.
    pub(super) handover: Option<Handover>,
    pub(super) preference: Preference,
    /// Who is no member any more, and how often it was told so.
    pub(super) removed: BTreeMap<NodeId, u32>,
}

impl Leading {
    pub(super) fn new(node: NodeId, membership: &Membership, term_start: LogIndex) -> Self {
        let mut leading = Self {
            peers: BTreeMap::new(),
            term_start,
            round: Round(1),
            heartbeat_elapsed: 0,
            check_elapsed: 0,
            check_round: Round(1),
            reads: VecDeque::new(),
            handover: None,
            preference: Preference::default(),
            removed: BTreeMap::new(),
        };
        let peers = membership.members().filter(|peer| *peer != node);
        leading.peers = peers.map(|peer| (peer, Progress::new(term_start))).collect();
        leading.watch_learners(membership);
        leading
    }

    /// The membership is another one, and the log ends at `end`. Who becomes a member is new, whatever was
    /// known of it; what is known of others stays.
    pub(super) fn follow(&mut self, node: NodeId, membership: &Membership, end: LogIndex) {
        let mut members = membership.members();
        if members.any(|peer| peer != node && !self.peers.contains_key(&peer)) {
            // Theirs: what they have said of earlier ones does not count.
            self.begin_round();
        }
        let is_member = |peer: &NodeId| membership.contains(*peer);
        let gone = self.peers.extract_if(.., |peer, _| !is_member(peer));
        self.removed.extend(gone.map(|(peer, _)| (peer, 0)));
        self.removed.retain(|peer, _| !is_member(peer));
        while self.removed.len() > 2 * Membership::MEMBERS_MAX {
            self.removed.pop_first();
        }
        for peer in membership.members().filter(|peer| *peer != node) {
            let joining = || Progress::joining(end, self.round);
            self.peers.entry(peer).or_insert_with(joining);
        }
        self.watch_learners(membership);
    }

    fn watch_learners(&mut self, membership: &Membership) {
        for (peer, progress) in &mut self.peers {
            if membership.is_voter(*peer) {
                progress.catch_up = None;
            } else {
                progress.catch_up.get_or_insert_with(CatchUp::new);
            }
        }
    }

    /// Begins a new round: every peer is to hear of it.
    pub(super) fn begin_round(&mut self) {
        self.round = self.round.next();
        self.heartbeat_elapsed = 0;
        for progress in self.peers.values_mut() {
            progress.heartbeat_due = true;
        }
    }

    /// A peer has answered in `round`: what is known of it. None when it is no peer, or was none in that
    /// round, or the round is yet to come.
    pub(super) fn heard(&mut self, from: NodeId, round: Round) -> Option<&mut Progress> {
        let progress = self.peers.get_mut(&from).filter(|_| round <= self.round)?;
        if !progress.counts(round) {
            return None;
        }
        progress.acked_round = progress.acked_round.max(round);
        Some(progress)
    }

    /// The newest round that a quorum has answered.
    pub(super) fn confirmed_round(&self, node: NodeId, membership: &Membership) -> Round {
        Round(quorum::reached(membership, |voter| {
            if voter == node {
                return self.round.0;
            }
            self.peers.get(&voter).map_or(0, |progress| progress.acked_round.0)
        }))
    }

    /// The highest index that is durable at a quorum. `own` is what is durable here.
    pub(super) fn matched(&self, node: NodeId, own: LogIndex, membership: &Membership) -> LogIndex {
        LogIndex(quorum::reached(membership, |voter| {
            if voter == node {
                return own.0;
            }
            self.peers.get(&voter).map_or(0, |progress| progress.matched.0)
        }))
    }

    /// The snapshots that peers are being sent.
    pub(super) fn transfers(&self) -> impl Iterator<Item = &SnapshotMeta> {
        self.peers.values().filter_map(|progress| match &progress.state {
            State::Snapshot(transfer) => Some(&transfer.meta),
            State::Probe { .. } | State::Replicate(_) => None,
        })
    }
}
