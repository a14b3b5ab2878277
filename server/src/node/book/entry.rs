//! What stands in a book, and which of two is the newer.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use raft_core::{Address, GroupId, Incarnation, Membership, NodeId};
use serde::{Deserialize, Serialize};

use super::{ADDRESS_BYTES_MAX, Contents, ENTRIES_MAX};

/// A node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Where it is reached.
    #[serde(with = "address")]
    pub(crate) address: Address,
    /// How often it has told of another address in this life: more is newer.
    moves: u64,
    /// Which life of its data directory has its number; none before it was seen first.
    #[serde(with = "life")]
    pub(crate) life: Option<Incarnation>,
    /// How many lives have had the number before: more is newer. A node never says so of itself.
    lives: u64,
}

/// The members of a group.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    /// From which index of its log on: more is newer. Zero is what the settings say.
    since: u64,
    pub(crate) voters: BTreeSet<u64>,
    pub(crate) learners: BTreeSet<u64>,
}

/// Whose a node's number is, as others see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// Its own.
    Own,
    /// They have seen another life with it, and know of no order between the two.
    Disputed,
    /// The cluster has given it to another life.
    Succeeded,
}

impl Entry {
    pub(super) fn first(address: Address, life: Option<Incarnation>) -> Self {
        Self { address, moves: 0, life, lives: 0 }
    }

    /// The node is there now, as it says itself.
    pub(super) fn move_to(&mut self, life: Incarnation, address: Address) {
        self.life = Some(life);
        if self.address != address {
            self.address = address;
            self.moves += 1;
        }
    }

    /// Another life has the number.
    pub(super) fn succeed(&mut self, life: Incarnation, address: Address) {
        if self.life != Some(life) {
            *self = Self { address, moves: 0, life: Some(life), lives: self.lives + 1 };
        }
    }

    fn merge(&mut self, theirs: &Self) {
        if theirs.lives > self.lives {
            self.clone_from(theirs);
        } else if theirs.lives == self.lives {
            let same = theirs.life == self.life || self.life.is_none() || theirs.life.is_none();
            if same && theirs.moves > self.moves {
                (self.address, self.moves) = (theirs.address.clone(), theirs.moves);
            }
            // Of two lives without an order the one that was seen first here stays.
            self.life = self.life.or(theirs.life);
        }
    }
}

impl Place {
    pub(super) fn new(since: u64, membership: &Membership) -> Self {
        let numbers = |nodes: &BTreeSet<NodeId>| nodes.iter().map(|node| node.0).collect();
        Self { since, voters: numbers(&membership.voters), learners: numbers(&membership.learners) }
    }

    /// Whether a log has said so, and not the settings alone.
    pub(super) fn is_of_log(&self) -> bool {
        self.since > 0
    }

    /// Voters and learners.
    pub(crate) fn members(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.voters.iter().chain(&self.learners).copied().map(NodeId)
    }
}

impl Contents {
    pub(super) fn merge_place(&mut self, group: GroupId, theirs: &Place) {
        let room = self.groups.len() < ENTRIES_MAX;
        match self.groups.get_mut(&group) {
            Some(ours) if theirs.since > ours.since => ours.clone_from(theirs),
            Some(_) => {}
            None if room => _ = self.groups.insert(group, theirs.clone()),
            None => {}
        }
    }

    /// Takes what is newer. Says whether the number of `own` is that of its `life` as others see it.
    pub(super) fn merge(&mut self, own: NodeId, life: Incarnation, theirs: &Self) -> Standing {
        let mut standing = Standing::Own;
        for (node, entry) in &theirs.nodes {
            if entry.address.0.len() > ADDRESS_BYTES_MAX {
                continue;
            }
            let room = self.nodes.len() < ENTRIES_MAX;
            match self.nodes.get_mut(node) {
                Some(ours) if *node == own => standing = ours.merge_own(life, entry),
                Some(ours) => ours.merge(entry),
                None if room => _ = self.nodes.insert(*node, entry.clone()),
                None => {}
            }
        }
        for (group, place) in &theirs.groups {
            self.merge_place(*group, place);
        }
        standing
    }
}

impl Entry {
    /// What others say of the node itself: it knows better where it is, and not whether its number is still its own.
    fn merge_own(&mut self, life: Incarnation, theirs: &Self) -> Standing {
        if theirs.life.is_some_and(|other| other != life) {
            return match theirs.lives.cmp(&self.lives) {
                Ordering::Less => Standing::Own,
                Ordering::Equal => Standing::Disputed,
                Ordering::Greater => Standing::Succeeded,
            };
        }
        self.lives = self.lives.max(theirs.lives);
        if theirs.moves >= self.moves && theirs.address != self.address {
            self.moves = theirs.moves + 1;
        }
        Standing::Own
    }
}

mod address {
    use raft_core::Address;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(it: &Address, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&it.0)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Address, D::Error> {
        String::deserialize(from).map(Address)
    }
}

mod life {
    use raft_core::Incarnation;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        it: &Option<Incarnation>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        it.map(|life| life.0).serialize(to)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(
        from: D,
    ) -> Result<Option<Incarnation>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Incarnation))
    }
}
