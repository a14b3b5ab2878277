//! What has ever happened: the ghost state that the invariants are about.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use raft_core::{Entry, LogIndex, Membership, NodeId, Payload, Term};

/// What has ever happened, whoever has forgotten it since.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) leaders: BTreeMap<Term, NodeId>,
    votes: BTreeMap<(NodeId, Term), NodeId>,
    /// The entry at index i stands at i - 1.
    pub(crate) committed: Vec<Entry>,
    /// The term of the leader that committed each of them.
    committed_in: Vec<Term>,
    /// The state of a state machine after each of them.
    hashes: Vec<u64>,
    /// The memberships among them, with the first one.
    memberships: Vec<(LogIndex, Membership)>,
    /// How often a log lost entries to a new leader's.
    pub(crate) truncations: u64,
}

impl Hash for History {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (&self.leaders, &self.votes, &self.committed, &self.committed_in).hash(hasher);
    }
}

impl History {
    pub(crate) fn new(committed: Vec<Entry>, initial: &Membership) -> Self {
        let mut history = Self {
            leaders: BTreeMap::new(),
            votes: BTreeMap::new(),
            committed: Vec::new(),
            committed_in: Vec::new(),
            hashes: Vec::new(),
            memberships: vec![(LogIndex::ZERO, initial.clone())],
            truncations: 0,
        };
        let term = committed.last().map_or(Term(0), |entry| entry.id.term);
        history.commit(committed, term);
        history
    }

    /// `node` leads in `term`: nobody else ever did.
    pub(crate) fn leads(&mut self, term: Term, node: NodeId) {
        let first = *self.leaders.entry(term).or_insert(node);
        assert_eq!(first, node, "two leaders in {term}");
    }

    /// `node` gave its vote in `term`: it gave nobody else another one.
    pub(crate) fn votes(&mut self, node: NodeId, term: Term, candidate: NodeId) {
        let first = *self.votes.entry((node, term)).or_insert(candidate);
        assert_eq!(first, candidate, "{node} voted twice in {term}");
    }

    /// Whom `node` gave its vote in `term`.
    pub(crate) fn vote(&self, node: NodeId, term: Term) -> Option<NodeId> {
        self.votes.get(&(node, term)).copied()
    }

    /// The newest membership that is committed.
    pub(crate) fn membership(&self) -> &Membership {
        self.membership_at(LogIndex(u64::MAX))
    }

    /// The one in effect at a committed index.
    pub(crate) fn membership_at(&self, index: LogIndex) -> &Membership {
        let newest = self.memberships.iter().rev().find(|(since, _)| *since <= index);
        &newest.expect("from the beginning").1
    }

    /// How many were committed.
    pub(crate) fn changes(&self) -> u64 {
        self.memberships.len() as u64 - 1
    }

    pub(crate) fn commit(&mut self, entries: Vec<Entry>, term: Term) {
        for entry in entries {
            let before = self.hashes.last().copied().unwrap_or(0);
            self.hashes.push(chain(before, &entry));
            if let Payload::Membership(membership) = &entry.payload {
                self.memberships.push((entry.id.index, (**membership).clone()));
            }
            self.committed.push(entry);
            self.committed_in.push(term);
        }
    }

    /// What a leader of `term` must have (leader completeness, section 5.4).
    pub(crate) fn committed_before(&self, term: Term) -> &[Entry] {
        &self.committed[..self.committed_in.partition_point(|in_term| *in_term < term)]
    }

    pub(crate) fn is_committed(&self, entry: &Entry) -> bool {
        self.committed.get(entry.id.index.0 as usize - 1) == Some(entry)
    }

    /// What a state machine must be like at `index`.
    pub(crate) fn hash_at(&self, index: LogIndex) -> u64 {
        index.0.checked_sub(1).map_or(0, |at| self.hashes[at as usize])
    }
}

/// The hash of a history that goes on with `entry`.
pub(crate) fn chain(before: u64, entry: &Entry) -> u64 {
    let mut hasher = Mixer(before);
    entry.hash(&mut hasher);
    hasher.finish()
}

/// The finaliser of SplitMix64.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A fast hasher that is the same on every run: one multiplication to 128 bits for a number, folded.
#[derive(Clone, Default)]
pub(crate) struct Mixer(pub(crate) u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        mix(self.0)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word) ^ ((chunk.len() as u64) << 56));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let wide = u128::from(self.0 ^ number ^ 0x9e37_79b9_7f4a_7c15)
            * u128::from(0xd6e8_feb8_6659_fd93_u64);
        self.0 = (wide as u64) ^ ((wide >> 64) as u64).rotate_left(23);
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number as u64);
    }
}
