//! [`ShardStore`]: the replicated state of a group, which is its configuration and what it has of each shard.
//!
//! The right to serve a shard is a token. The old owner has it under configuration N - 1 until its log says
//! [`Freeze`](Command::Freeze) in N; the new owner has it from its own [`Install`](Command::Install) in N on. So
//! there are never two who serve a shard, and nobody serves it only in the short time in between.
//!
//! Invariants: configurations are adopted one by one, and only when all that moved in the one before is where it
//! belongs; a shard is held by the group that owned it last, and by the one that gets it; what a client's
//! command does depends on the shard and on the command alone.

mod adopt;
mod digest;
mod holding;
mod moves;
mod release;
mod restore;
mod snapshot;
mod states;

use std::sync::Arc;

use imbl::OrdMap;
use kv::StoreConfig;
use kv::rpc::Elsewhere;
use raft_core::node::watch;
use raft_core::{ClusterId, GroupId, Restore, SnapshotSource, StateMachine};
use shardctrler::{ConfigNumber, Configuration, ShardId};

use crate::command::{self, Command};
use crate::refusal::Output;

pub use moves::Outgoing;
pub use release::free_in_steps;
pub use states::{Phase, ShardState};

use holding::Holding;

/// What a [`ShardStore`] is of, and bounded by. **Every node of a group must have the same**, and the store's
/// configuration must be the same in all groups: shards take it along.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The cluster whose configurations the group follows.
    pub cluster: ClusterId,
    /// The group.
    pub group: GroupId,
    /// What each shard is bounded by.
    pub store: StoreConfig,
}

impl Settings {
    /// The default bounds.
    pub fn new(cluster: ClusterId, group: GroupId) -> Self {
        Self { cluster, group, store: StoreConfig::default() }
    }
}

/// The replicated state machine. A clone is a view, at no cost.
#[derive(Clone)]
pub struct ShardStore {
    settings: Settings,
    /// `None` until the first is adopted.
    current: Option<Current>,
    holdings: OrdMap<ShardId, Holding>,
    /// Tells whoever waits that something is served, or is not any more. No part of the state.
    news: Arc<watch::Sender<u64>>,
    /// Lets go of a shard that has left.
    release: fn(kv::Remains),
}

/// Where the group is.
#[derive(Clone)]
struct Current {
    config: Configuration,
    /// The configuration that the group began with.
    first: ConfigNumber,
    /// Who owned each shard last: has its contents, or gets them. Those that never had an owner are missing.
    keepers: OrdMap<ShardId, GroupId>,
}

impl AsRef<Self> for ShardStore {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl ShardStore {
    /// A group that has nothing, and follows no configuration yet.
    pub fn new(settings: Settings) -> Self {
        let news = Arc::new(watch::Sender::new(0));
        Self { settings, current: None, holdings: OrdMap::new(), news, release: drop }
    }

    /// Gives a shard that has left to `release`, since to free it takes long when it is large. Default: [`drop`],
    /// where commands are applied. See [`free_in_steps`].
    pub fn with_release(self, release: fn(kv::Remains)) -> Self {
        Self { release, ..self }
    }

    /// What it is of.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The configuration that the group has reached; `None` before the first.
    pub fn configuration(&self) -> Option<&Configuration> {
        self.current.as_ref().map(|current| &current.config)
    }

    /// Its number, zero before the first.
    pub fn number(&self) -> ConfigNumber {
        self.configuration().map_or(ConfigNumber::ZERO, Configuration::number)
    }

    /// Whether all shards are where they belong in the current configuration: the next may be adopted.
    pub fn is_settled(&self) -> bool {
        !self.holdings.values().any(Holding::is_moving)
    }

    /// The store of a shard that is served here.
    ///
    /// # Errors
    ///
    /// Who serves it instead.
    pub fn serving(&self, shard: ShardId) -> Result<&kv::Store, Elsewhere> {
        let served = self.holdings.get(&shard).and_then(Holding::served);
        served.map(|shard| &shard.store).ok_or_else(|| self.elsewhere(shard))
    }

    /// The contents of a shard, served or not; not those of one that has not arrived.
    pub fn contents(&self, shard: ShardId) -> Option<(&kv::Store, u64)> {
        match self.holdings.get(&shard)? {
            Holding::Serving(shard)
            | Holding::Leaving { shard, .. }
            | Holding::Frozen { shard, .. } => Some((&shard.store, shard.revision)),
            Holding::Arriving { .. } => None,
        }
    }

    /// Hears when something is served, or is not any more.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    fn elsewhere(&self, shard: ShardId) -> Elsewhere {
        let group = match self.holdings.get(&shard) {
            Some(Holding::Arriving { from, .. }) => Some(*from),
            Some(Holding::Frozen { to, .. }) => *to,
            _ => self.configuration().and_then(|config| config.owner(shard)),
        };
        let group = group.filter(|group| *group != self.settings.group).map(|group| group.0);
        Elsewhere { number: self.number().0, group }
    }

    fn apply_one(&mut self, data: &[u8]) -> Output {
        let Ok(command) = command::read(data) else { return Output::Malformed };
        match command {
            Command::Client(shard, command) => self.client(shard, command),
            Command::Adopt(config) => Output::Adopted(self.adopt(config)),
            Command::Freeze(of) => self.freeze(of),
            Command::Stage(chunk) => Output::Transfer(self.stage(&chunk)),
            Command::Install(install) => Output::Transfer(self.install(&install)),
            Command::Delete(of) => self.delete(of),
        }
    }

    fn client(&mut self, shard: ShardId, command: &[u8]) -> Output {
        match self.holdings.get_mut(&shard).and_then(Holding::served_mut) {
            Some(served) => Output::Store(served.apply(command)),
            None => Output::Elsewhere(self.elsewhere(shard)),
        }
    }

    fn tell(&self) {
        self.news.send_modify(|told| *told += 1);
    }
}

impl StateMachine for ShardStore {
    type Output = Output;

    fn apply(&mut self, commands: &[raft_core::Command]) -> Vec<Output> {
        commands.iter().map(|command| self.apply_one(&command.data)).collect()
    }

    fn snapshot(&self) -> Box<dyn SnapshotSource> {
        Box::new(snapshot::Source::new(self.clone()))
    }

    fn restore(&self) -> Box<dyn Restore<Self>> {
        Box::new(restore::Restoring::new(self))
    }
}
