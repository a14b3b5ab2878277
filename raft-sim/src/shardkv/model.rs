//! [`Model`]: what the groups and their shards must be, by what stands in their logs.
//!
//! It is given every entry once, when the first replica of its group applies it, and keeps one store for each shard,
//! whichever group has it. A group acts in another only after it has heard of it, so the order in which the entries
//! are seen is one in which they may have happened.

use std::collections::BTreeMap;

use kv::command::{self, Body};
use kv::{Cursor, StoreConfig};
use raft_core::{GroupId, LogIndex};
use shardctrler::{ConfigNumber, Configuration, ShardCount, ShardId};
use shardkv::command::Command;
use shardkv::{Chunk, Install, Move, Phase, Position};

use super::configurations::Configurations;
use crate::kv::{Part, StoreModel, Truth};
use crate::swarm::Tally;

/// An invariant that does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Broken {
    pub(super) invariant: &'static str,
    pub(super) what: String,
}

impl Broken {
    pub(super) fn new(invariant: &'static str, what: impl Into<String>) -> Self {
        Self { invariant, what: what.into() }
    }
}

/// What a group has of a shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Held {
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
    pub(super) fn is_served(&self) -> bool {
        matches!(self, Self::Serving | Self::Leaving { .. })
    }

    fn is_moving(&self) -> bool {
        !matches!(self, Self::Serving | Self::Frozen { to: None, .. })
    }

    /// As a store says it of itself.
    pub(super) fn phase(&self) -> (Phase, Option<GroupId>) {
        match self {
            Self::Serving => (Phase::Serving, None),
            Self::Leaving { to } => (Phase::Leaving, Some(*to)),
            Self::Frozen { to, .. } => (Phase::Frozen, *to),
            Self::Arriving { from, .. } => (Phase::Arriving, Some(*from)),
        }
    }
}

#[derive(Default)]
pub(super) struct GroupModel {
    /// The last entry.
    pub(super) last: LogIndex,
    pub(super) config: Option<Configuration>,
    pub(super) holdings: BTreeMap<ShardId, Held>,
}

impl GroupModel {
    pub(super) fn number(&self) -> ConfigNumber {
        self.config.as_ref().map_or(ConfigNumber::ZERO, Configuration::number)
    }

    fn is_settled(&self) -> bool {
        !self.holdings.values().any(Held::is_moving)
    }
}

pub(super) struct Model {
    count: ShardCount,
    pub(super) groups: BTreeMap<GroupId, GroupModel>,
    /// One for each shard, in order.
    pub(super) shards: Vec<StoreModel>,
    pub(super) configurations: Configurations,
    /// Which group did a request first.
    turns: BTreeMap<(ShardId, LogIndex, u64), GroupId>,
    /// What has happened.
    pub(super) tally: Tally,
    /// What was broken first.
    pub(super) broken: Option<(GroupId, Broken)>,
}

impl Model {
    pub(super) fn new(count: ShardCount, store: &StoreConfig) -> Self {
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
    pub(super) fn apply(&mut self, group: GroupId, command: &raft_core::Command) {
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

    /// Whether a move is of the configuration that a group has reached.
    fn is_now(&self, group: GroupId, of: Move) -> bool {
        self.groups.get(&group).is_some_and(|it| it.config.is_some() && it.number() == of.number())
    }

    fn freeze(&mut self, group: GroupId, of: Move) -> Result<(), Broken> {
        let shard = of.shard();
        if self.is_now(group, of)
            && of.from() == group
            && self.held(group, shard) == Some(&Held::Leaving { to: of.to() })
        {
            let revision = self.revision(shard);
            self.hold(group, shard, Held::Frozen { to: Some(of.to()), revision });
            self.tally.one("shards frozen");
        }
        Ok(())
    }

    /// How far the copy is that the group gets by this move.
    fn position(&mut self, group: GroupId, of: Move) -> Option<&mut Position> {
        if !self.is_now(group, of) || of.to() != group {
            return None;
        }
        match self.groups.get_mut(&group)?.holdings.get_mut(&of.shard())? {
            Held::Arriving { from, position } if *from == of.from() => Some(position),
            _ => None,
        }
    }

    fn stage(&mut self, group: GroupId, chunk: &Chunk) -> Result<(), Broken> {
        let (at, next) = (&chunk.at, &chunk.next);
        let walks = at.cursor < next.cursor && at.watermark == next.watermark;
        let follows =
            at.cursor == Cursor::End && next.cursor == Cursor::End && at.watermark < next.watermark;
        let forward = at.attempt == next.attempt && (walks || follows);
        let Some(position) = self.position(group, chunk.of) else {
            self.tally.one("chunks too late");
            return Ok(());
        };
        if position == at && forward && chunk.is_whole() {
            *position = next.clone();
            self.tally.one("chunks taken");
        } else {
            self.tally.one("chunks out of place");
        }
        Ok(())
    }

    fn install(&mut self, group: GroupId, install: &Install) -> Result<(), Broken> {
        let (of, shard) = (install.of, install.of.shard());
        let complete = self
            .position(group, of)
            .is_some_and(|at| *at == install.at && at.cursor == Cursor::End);
        if !complete {
            self.tally.one("installs that came again");
            return Ok(());
        }
        let revision = self.revision(shard);
        let there = self.held(of.from(), shard);
        if there != Some(&Held::Frozen { to: Some(group), revision }) || !self.is_now(of.from(), of)
        {
            let what = format!("{shard} arrives in {group:?}, and is {there:?} where it was");
            return Err(Broken::new("one-group-serves", what));
        }
        let store = &self.shards[usize::from(shard.0)];
        let told = (install.keys, install.sessions, install.revision);
        let is = (store.items.len() as u64, store.sessions() as u64, revision.0);
        if told != is {
            let what =
                format!("{shard} has keys, sessions and revision {is:?}, and sends {told:?}");
            return Err(Broken::new("shards-arrive-whole", what));
        }
        self.tally.one("shards moved");
        self.tally.add("keys moved", is.0);
        self.tally.add("sessions moved", is.1);
        self.hold(group, shard, Held::Serving);
        self.serves_alone(group, shard)
    }

    fn delete(&mut self, group: GroupId, of: Move) -> Result<(), Broken> {
        let shard = of.shard();
        let frozen = matches!(
            self.held(group, shard),
            Some(Held::Frozen { to: Some(to), .. }) if *to == of.to()
        );
        if !frozen || !self.is_now(group, of) || of.from() != group {
            return Ok(());
        }
        let to = self.groups.get(&of.to());
        let passed = to.is_some_and(|to| to.number() > of.number());
        let has = to.is_some_and(|to| {
            to.number() == of.number()
                && to.holdings.get(&shard).is_some_and(|it| !matches!(it, Held::Arriving { .. }))
        });
        if !passed && !has {
            let what = format!("{group:?} lets go of {shard} before {:?} has it", of.to());
            return Err(Broken::new("kept-until-confirmed", what));
        }
        if let Some(at) = self.groups.get_mut(&group) {
            at.holdings.remove(&shard);
        }
        Ok(())
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
