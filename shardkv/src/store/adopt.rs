//! How a group takes the next configuration.

use imbl::OrdMap;
use raft_core::GroupId;
use shardctrler::{ConfigNumber, Configuration, ShardId};

use super::holding::{Holding, Shard, Staged};
use super::{Current, ShardStore};
use crate::refusal::AdoptRefusal;

impl ShardStore {
    /// The group follows `config` from now on, if it is the next one. To adopt the current one again changes
    /// nothing.
    pub(super) fn adopt(&mut self, config: Configuration) -> Result<ConfigNumber, AdoptRefusal> {
        let number = config.number();
        if config.cluster() != self.settings.cluster {
            return Err(AdoptRefusal::WrongCluster);
        }
        let Some(current) = &self.current else { return self.begin(config) };
        if config.shard_count() != current.config.shard_count() {
            return Err(AdoptRefusal::WrongCluster);
        }
        let at = current.config.number();
        if number == at {
            return Ok(number);
        }
        if number != at.next() && !planted!(ConfigurationSkipped) {
            return Err(AdoptRefusal::NotNext { current: at });
        }
        if !self.is_settled() && !planted!(UnsettledAdopted) {
            return Err(AdoptRefusal::Unsettled);
        }
        let (first, mut keepers) = (current.first, current.keepers.clone());
        let before = current.config.clone();
        for (shard, owner) in config.shards() {
            let mut keeper = keepers.get(&shard).copied();
            if planted!(KeeperForgotten) {
                keeper = before.owner(shard);
            }
            self.pass(shard, keeper, owner);
            if let Some(owner) = owner {
                keepers.insert(shard, owner);
            }
        }
        self.current = Some(Current { config, first, keepers });
        self.tell();
        Ok(number)
    }

    /// The first configuration. Whoever begins with a later one than number zero cannot know who has the shards
    /// that nobody owns in it.
    fn begin(&mut self, config: Configuration) -> Result<ConfigNumber, AdoptRefusal> {
        let number = config.number();
        let owns = config.shards_of(self.settings.group).next().is_some();
        let knows = number == ConfigNumber::ZERO || !config.groups().is_empty();
        if owns || !knows {
            return Err(AdoptRefusal::NotFromHere);
        }
        let keepers: OrdMap<ShardId, GroupId> =
            config.shards().filter_map(|(shard, owner)| Some((shard, owner?))).collect();
        self.current = Some(Current { config, first: number, keepers });
        self.tell();
        Ok(number)
    }

    /// What becomes of one shard: `keeper` had it last, and `owner` is to have it. What nobody is to have stays
    /// where it is, frozen, until somebody is.
    fn pass(&mut self, shard: ShardId, keeper: Option<GroupId>, owner: Option<GroupId>) {
        let me = self.settings.group;
        let held = self.holdings.remove(&shard);
        let store = &self.settings.store;
        let holding = match (held, owner) {
            (Some(Holding::Serving(shard)), Some(owner)) if owner != me => {
                Some(leaving(owner, shard))
            }
            (Some(Holding::Serving(shard)), None) => Some(Holding::Frozen { to: None, shard }),
            (Some(Holding::Frozen { to: None, shard }), Some(owner)) => Some(match owner == me {
                true => Holding::Serving(shard),
                false => leaving_frozen(owner, shard),
            }),
            (None, Some(owner)) if owner == me => Some(match keeper {
                Some(_) if planted!(ServedBeforeInstalled) => Holding::Serving(Shard::empty(store)),
                Some(from) if from != me => {
                    Holding::Arriving { from, staged: Staged::empty(store, 0) }
                }
                // Nobody ever had it.
                _ => Holding::Serving(Shard::empty(store)),
            }),
            (held, _) => held,
        };
        if let Some(holding) = holding {
            self.holdings.insert(shard, holding);
        }
    }
}

fn leaving(to: GroupId, mut shard: Shard) -> Holding {
    shard.store.track();
    Holding::Leaving { to, shard }
}

/// It was not served before, and is not to be served now.
fn leaving_frozen(to: GroupId, mut shard: Shard) -> Holding {
    shard.store.track();
    Holding::Frozen { to: Some(to), shard }
}
