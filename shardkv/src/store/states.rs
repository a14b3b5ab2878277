//! [`ShardState`]: what a group says of its shards.

use raft_core::GroupId;
use serde::{Deserialize, Serialize};
use shardctrler::{ConfigNumber, ShardId};

use super::ShardStore;
use super::holding::{Holding, Shard};

/// What a group does with a shard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Phase {
    /// It owns and serves it.
    Serving,
    /// It serves it, while the new owner gets a copy.
    Leaving,
    /// It does not serve it any more, and still has it: for its new owner, or because nobody owns it.
    Frozen,
    /// It owns it, and has not got everything yet.
    Arriving,
}

/// What a group has of a shard. A shard that has left, or never was there, has none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShardState {
    /// The shard.
    pub shard: ShardId,
    /// What the group does with it.
    pub phase: Phase,
    /// The configuration that the group has reached.
    pub number: ConfigNumber,
    /// Where it goes, or comes from.
    pub peer: Option<GroupId>,
    /// Keys that are here.
    pub keys: u64,
    /// Bytes of keys and values that are here.
    pub bytes: u64,
    /// Sessions that are here.
    pub sessions: u64,
    /// Of a shard that leaves: things that have changed since it does.
    pub changed: u64,
    /// Of a shard that arrives: copies that were dropped because they were not equal to the shard. More than
    /// zero is a bug, or the two groups have other [settings](super::Settings).
    pub unequal: u32,
}

impl ShardStore {
    /// What the group has, by shard.
    pub fn shard_states(&self) -> Vec<ShardState> {
        self.holdings.iter().map(|(shard, holding)| self.state(*shard, holding)).collect()
    }

    /// What the group has of a shard.
    pub fn shard_state(&self, shard: ShardId) -> Option<ShardState> {
        self.holdings.get(&shard).map(|holding| self.state(shard, holding))
    }

    fn state(&self, shard: ShardId, holding: &Holding) -> ShardState {
        let (phase, peer, store) = match holding {
            Holding::Serving(Shard { store, .. }) => (Phase::Serving, None, store),
            Holding::Leaving { to, shard } => (Phase::Leaving, Some(*to), &shard.store),
            Holding::Frozen { to, shard } => (Phase::Frozen, *to, &shard.store),
            Holding::Arriving { from, staged } => (Phase::Arriving, Some(*from), &staged.store),
        };
        ShardState {
            shard,
            phase,
            number: self.number(),
            peer,
            keys: store.keys() as u64,
            bytes: store.data_bytes(),
            sessions: store.sessions() as u64,
            unequal: match holding {
                Holding::Arriving { staged, .. } => staged.position.attempt,
                _ => 0,
            },
            changed: store.changes().map_or(0, |changes| changes.len() as u64),
        }
    }
}
