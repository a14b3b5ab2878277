//! [`Holding`]: what a group has of a shard.

use kv::{Store, StoreConfig};
use raft_core::{GroupId, LogIndex};

use crate::transfer::Position;

/// A shard's contents: data and sessions of its own, and the index of its last command. That index moves with
/// the shard, so that versions and session ids never come back, wherever it is.
#[derive(Clone)]
pub(crate) struct Shard {
    pub(crate) store: Store,
    pub(crate) revision: u64,
}

impl Shard {
    pub(crate) fn empty(config: &StoreConfig) -> Self {
        Self { store: Store::new(config.clone()), revision: 0 }
    }

    pub(crate) fn apply(&mut self, command: &[u8]) -> kv::Output {
        self.revision += 1;
        self.store.apply_at(LogIndex(self.revision), command)
    }
}

/// The copy of a shard that arrives, as far as it is.
#[derive(Clone)]
pub(crate) struct Staged {
    pub(crate) store: Store,
    pub(crate) position: Position,
}

impl Staged {
    pub(crate) fn empty(config: &StoreConfig, attempt: u32) -> Self {
        let position = Position { attempt, ..Position::default() };
        Self { store: Store::new(config.clone()), position }
    }
}

/// What a group has of a shard; most groups have nothing of most shards.
///
/// ```text
/// old owner:  Serving --Adopt--> Leaving --Freeze--> Frozen --Delete--> nothing
/// new owner:  nothing --Adopt--> Arriving --Install--> Serving
/// ```
#[derive(Clone)]
pub(crate) enum Holding {
    /// It is the owner.
    Serving(Shard),
    /// Another group is the owner, and gets a copy. It is served here until it is frozen; its changes are
    /// numbered meanwhile.
    Leaving { to: GroupId, shard: Shard },
    /// Nobody changes it here any more. `to` is nobody while no group is there to own it.
    Frozen { to: Option<GroupId>, shard: Shard },
    /// It is the owner, and has not got everything yet.
    Arriving { from: GroupId, staged: Staged },
}

impl Holding {
    /// The shard, if it is served.
    pub(crate) fn served(&self) -> Option<&Shard> {
        match self {
            Self::Serving(shard) | Self::Leaving { shard, .. } => Some(shard),
            Self::Frozen { shard, .. } if planted!(ServedWhileFrozen) => Some(shard),
            Self::Frozen { .. } | Self::Arriving { .. } => None,
        }
    }

    pub(crate) fn served_mut(&mut self) -> Option<&mut Shard> {
        match self {
            Self::Serving(shard) | Self::Leaving { shard, .. } => Some(shard),
            Self::Frozen { shard, .. } if planted!(ServedWhileFrozen) => Some(shard),
            Self::Frozen { .. } | Self::Arriving { .. } => None,
        }
    }

    /// Whether it has yet to leave or to arrive in the current configuration.
    pub(crate) fn is_moving(&self) -> bool {
        match self {
            Self::Leaving { .. } | Self::Frozen { to: Some(_), .. } | Self::Arriving { .. } => true,
            Self::Serving(_) | Self::Frozen { to: None, .. } => false,
        }
    }
}
