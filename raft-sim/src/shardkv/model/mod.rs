//! [`Model`]: what the groups and their shards must be, by what stands in their logs.
//!
//! It is given every entry once, when the first replica of its group applies it, and keeps one store for each shard,
//! whichever group has it. A group acts in another only after it has heard of it, so the order in which the entries
//! are seen is one in which they may have happened.

mod moves;

use std::collections::BTreeMap;

use kv::StoreConfig;
use kv::command::{self, Body};
use raft_core::{GroupId, LogIndex};
use shardctrler::{ConfigNumber, Configuration, ShardCount, ShardId};
use shardkv::command::Command;
use shardkv::{Phase, Position};

use super::configurations::Configurations;
use crate::kv::{Part, StoreModel, Truth};
use crate::swarm::Tally;

/// An invariant that does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::shardkv) struct Broken {
    pub(in crate::shardkv) invariant: &'static str,
    pub(in crate::shardkv) what: String,
}

impl Broken {
    pub(in crate::shardkv) fn new(invariant: &'static str, what: impl Into<String>) -> Self {
        Self { invariant, what: what.into() }
    }
}

/// What a group has of a shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::shardkv) enum Held {
    Serving,
    Leaving {
        to: GroupId,
    },
    /// With the shard's revision when it was frozen.
    Frozen {
        to: Option<GroupId>,
        revision: LogIndex,
    },
    Arriving {
        from: GroupId,
        position: Position,
    },
}

impl Held {
    pub(in crate::shardkv) fn is_served(&self) -> bool {
        matches!(self, Self::Serving | Self::Leaving { .. })
    }

    fn is_moving(&self) -> bool {
        !matches!(self, Self::Serving | Self::Frozen { to: None, .. })
    }

    /// As a store says it of itself.
    pub(in crate::shardkv) fn phase(&self) -> (Phase, Option<GroupId>) {
        match self {
            Self::Serving => (Phase::Serving, None),
            Self::Leaving { to } => (Phase::Leaving, Some(*to)),
            Self::Frozen { to, .. } => (Phase::Frozen, *to),
            Self::Arriving { from, .. } => (Phase::Arriving, Some(*from)),
        }
    }
}

#[derive(Default)]
pub(in crate::shardkv) struct GroupModel {
    /// The last entry.
    pub(in crate::shardkv) last: LogIndex,
    pub(in crate::shardkv) config: Option<Configuration>,
    pub(in crate::shardkv) holdings: BTreeMap<ShardId, Held>,
}

impl GroupModel {
    pub(in crate::shardkv) fn number(&self) -> ConfigNumber {
        self.config.as_ref().map_or(ConfigNumber::ZERO, Configuration::number)
    }

    fn is_settled(&self) -> bool {
        !self.holdings.values().any(Held::is_moving)
    }
}

pub(in crate::shardkv) struct Model {
    count: ShardCount,
    pub(in crate::shardkv) groups: BTreeMap<GroupId, GroupModel>,
    /// One for each shard, in order.
    pub(in crate::shardkv) shards: Vec<StoreModel>,
    pub(in crate::shardkv) configurations: Configurations,
    /// Which group did a request first.
    turns: BTreeMap<(ShardId, LogIndex, u64), GroupId>,
    /// What has happened.
    pub(in crate::shardkv) tally: Tally,
    /// What was broken first.
    pub(in crate::shardkv) broken: Option<(GroupId, Broken)>,
}

impl Model {
    pub(in crate::shardkv) fn new(count: ShardCount, store: &StoreConfig) -> Self {
        Self {
            count,
            groups: BTreeMap::new(),
            shards: count.all().map(|_| StoreModel::new(store.clone())).collect(),
            configurations: Configurations::default(),
            turns: BTreeMap::new(),
            tally: Tally::default(),
            broken: None,
        }
    }

    fn store(&mut self, shard: ShardId) -> &mut StoreModel {
        &mut self.shards[usize::from(shard.0)]
    }

    fn revision(&self, shard: ShardId) -> LogIndex {
        self.shards[usize::from(shard.0)].last
    }

    /// A replica of the group applies an entry.
    pub(in crate::shardkv) fn apply(&mut self, group: GroupId, command: &raft_core::Command) {
        let at = self.groups.entry(group).or_default();
        if command.id.index <= at.last {
            return;
        }
        at.last = command.id.index;
        // What is no command at all is answered, and changes nothing.
        let Ok(command) = shardkv::command::read(&command.data) else { return };
        let done = match command {
            Command::Client(shard, data) => self.client(group, shard, data),
            Command::Adopt(config) => self.adopt(group, config),
            Command::Freeze(of) => self.freeze(group, of),
            Command::Stage(chunk) => self.stage(group, &chunk),
            Command::Install(install) => self.install(group, &install),
            Command::Delete(of) => self.delete(group, of),
        };
        if let Err(broken) = done {
            self.broken.get_or_insert((group, broken));
        }
    }

    fn held(&self, group: GroupId, shard: ShardId) -> Option<&Held> {
        self.groups.get(&group)?.holdings.get(&shard)
    }

    fn hold(&mut self, group: GroupId, shard: ShardId, held: Held) {
        self.groups.entry(group).or_default().holdings.insert(shard, held);
    }

    fn client(&mut self, group: GroupId, shard: ShardId, data: &[u8]) -> Result<(), Broken> {
        if !self.held(group, shard).is_some_and(Held::is_served) {
            self.tally.one("commands behind a freeze");
            return Ok(());
        }
        if let Ok(kv::command::Command { body: Body::Write(ticket, _), .. }) = command::read(data) {
            let turn = (shard, ticket.session.0, ticket.seq);
            match self.turns.insert(turn, group) {
                Some(first) if first != group => self.tally.one("repeated at the new owner"),
                Some(_) => self.tally.one("repeated at the same owner"),
                None => {}
            }
        }
        let store = self.store(shard);
        let next = LogIndex(store.last.0 + 1);
        store.apply_at(next, data).map_err(|what| Broken::new("exactly-once", what))
    }

    fn adopt(&mut self, group: GroupId, config: Configuration) -> Result<(), Broken> {
        let number = config.number();
        self.configurations.learn(&config)?;
        let at = self.groups.entry(group).or_default();
        let may = match &at.config {
            // A group has nothing at first, and knows who has what if anybody has.
            None => {
                config.shards_of(group).next().is_none()
                    && (number == ConfigNumber::ZERO || !config.groups().is_empty())
            }
            Some(current) => number == current.number().next() && at.is_settled(),
        };
        if !may {
            return Ok(());
        }
        let begins = at.config.is_none();
        at.config = Some(config.clone());
        self.tally.one("configurations adopted");
        if begins {
            return Ok(());
        }
        config.shards().try_for_each(|(shard, owner)| self.pass(group, number, shard, owner))
    }

    /// What becomes of a shard when the group adopts a configuration in which `owner` has it.
    fn pass(
        &mut self,
        group: GroupId,
        number: ConfigNumber,
        shard: ShardId,
        owner: Option<GroupId>,
    ) -> Result<(), Broken> {
        let keeper = self.configurations.keeper_before(number, shard);
        let held = match (self.held(group, shard).cloned(), owner) {
            (Some(Held::Serving), Some(to)) if to != group => Held::Leaving { to },
            (Some(Held::Serving), None) => {
                self.tally.one("shards kept for nobody");
                Held::Frozen { to: None, revision: self.revision(shard) }
            }
            (Some(Held::Frozen { to: None, revision }), Some(to)) if to != group => {
                Held::Frozen { to: Some(to), revision }
            }
            (Some(Held::Frozen { to: None, .. }), Some(_)) => Held::Serving,
            (None, Some(to)) if to == group => match keeper {
                Some(from) if from != group => {
                    Held::Arriving { from, position: Position::default() }
                }
                Some(_) => {
                    let what = format!("{group:?} had {shard} last, and has nothing of it");
                    return Err(Broken::new("no-shard-is-lost", what));
                }
                None => Held::Serving,
            },
            _ => return Ok(()),
        };
        let begins = held == Held::Serving;
        self.hold(group, shard, held);
        if begins { self.serves_alone(group, shard) } else { Ok(()) }
    }

    /// Nobody else serves the shard.
    fn serves_alone(&self, group: GroupId, shard: ShardId) -> Result<(), Broken> {
        let mut others = self.groups.iter().filter(|(other, _)| **other != group);
        let other =
            others.find(|(_, other)| other.holdings.get(&shard).is_some_and(Held::is_served));
        match other {
            Some((other, _)) => {
                let what = format!("{group:?} begins to serve {shard}, and {other:?} does");
                Err(Broken::new("one-group-serves", what))
            }
            None => Ok(()),
        }
    }
}

impl Truth for Model {
    fn parts(&self) -> impl Iterator<Item = &StoreModel> {
        self.shards.iter()
    }

    fn of_part(&self, part: Part) -> &StoreModel {
        &self.shards[usize::from(part.0)]
    }

    fn of_key(&self, key: &[u8]) -> &StoreModel {
        &self.shards[usize::from(self.count.shard_of(key).0)]
    }
}
