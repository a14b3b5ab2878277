//! [`ShardPlan`]: everything that is drawn for a run.

use std::fmt;
use std::time::Duration;

use shardctrler::ShardCount;

use super::faults::GroupFaults;
use super::operators::Changes;
use crate::kv::{KvLoad, Patience};
use crate::shardkv::{Layout, ShardConfig};
use crate::swarm::{Dice, Faults, Scale, Setting};

/// Everything that is drawn for a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShardPlan {
    /// The nodes; as many for each group, and for the controller.
    pub setting: Setting,
    /// The groups and their shards.
    pub sharding: Sharding,
    /// What operators do.
    pub changes: Changes,
    /// What goes wrong with nodes.
    pub faults: Faults,
    /// What goes wrong with groups.
    pub group_faults: GroupFaults,
    /// What clients do, and what goes wrong with them.
    pub load: KvLoad,
}

/// What the groups are like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sharding {
    /// 2 or 3.
    pub groups: u64,
    /// 1 to 16.
    pub shards: u16,
    /// Which processes have them.
    pub layout: Layout,
    /// See [`TransferConfig`](shardkv::TransferConfig).
    pub chunk_bytes: usize,
    /// See [`TransferConfig`](shardkv::TransferConfig).
    pub moves_max: usize,
    /// See [`TransferConfig`](shardkv::TransferConfig).
    pub rounds_max: u32,
    /// See [`TransferConfig`](shardkv::TransferConfig).
    pub bytes_per_second: u64,
    /// See [`ServerConfig`](shardkv::ServerConfig).
    pub parked_max: usize,
    /// How long one attempt of a server's request may take.
    pub attempt_timeout: Duration,
}

/// The largest value: a chunk with one must fit into a command of any setting.
const VALUE_BYTES_MAX: u64 = 16 << 10;

impl Sharding {
    fn draw(dice: &mut Dice) -> Self {
        Self {
            groups: dice.pick(&[2, 3, 3, 3]),
            shards: dice.between(1, 16) as u16,
            layout: dice.pick(&[Layout::Apart, Layout::Apart, Layout::Together]),
            chunk_bytes: dice.pick(&[1, 100, 1000, 32 << 10]),
            moves_max: dice.pick(&[1, 4, 16]),
            rounds_max: dice.pick(&[0, 1, 8]),
            bytes_per_second: dice.pick(&[20_000, 1 << 20, 32 << 20]),
            parked_max: dice.pick(&[0, 2, 4096]),
            attempt_timeout: Duration::from_millis(dice.scaled(50, 1000)),
        }
    }

    fn calm() -> Self {
        Self {
            groups: 3,
            shards: 10,
            layout: Layout::Apart,
            chunk_bytes: 32 << 10,
            moves_max: 4,
            rounds_max: 8,
            bytes_per_second: 32 << 20,
            parked_max: 4096,
            attempt_timeout: Duration::from_secs(1),
        }
    }
}

impl ShardPlan {
    pub(super) fn draw(seed: u64, scale: Scale) -> Self {
        let mut dice = Dice::new(seed, "shards");
        let mut setting = Setting::draw(seed, scale);
        setting.nodes = dice.pick(&[1, 3, 3, 3, 3, 3]);
        if scale == Scale::Short {
            setting.safety /= 2;
        }
        let sharding = Sharding::draw(&mut dice);
        let changes = Changes::draw(&mut dice);
        let mut load = KvLoad::draw(seed);
        load.tags = dice.between(1, 20) as usize;
        load.value_bytes_max = load.value_bytes_max.min(VALUE_BYTES_MAX);
        // What goes wrong while a shard moves goes wrong for a moment.
        load.pause_max /= 2;
        load.sessions_max = load.sessions_max.max(load.clients as u32 + 1);
        let (faults, group_faults) = (Faults::draw(seed), GroupFaults::draw(seed));
        Self { setting, sharding, changes, faults, group_faults, load }
    }

    pub(super) fn calm() -> Self {
        let mut load = KvLoad::calm();
        load.tags = 10;
        let mut dice = Dice::new(1, "calm");
        Self {
            setting: Setting::calm(),
            sharding: Sharding::calm(),
            changes: Changes { operators: 1, behind_max: 1, ..Changes::draw(&mut dice) },
            faults: Faults::default(),
            group_faults: GroupFaults::default(),
            load,
        }
    }

    /// Plans that are a little smaller, with what is smaller.
    pub(super) fn simpler(&self) -> Vec<(String, Self)> {
        let mut all = Vec::new();
        for (what, group_faults) in self.group_faults.simpler() {
            all.push((what.to_owned(), Self { group_faults, ..self.clone() }));
        }
        for (what, faults) in self.faults.simpler() {
            all.push((what.to_owned(), Self { faults, ..self.clone() }));
        }
        for (what, setting) in self.setting.simpler() {
            all.push((what, Self { setting, ..self.clone() }));
        }
        for (what, load) in self.load.simpler() {
            all.push((what, Self { load, ..self.clone() }));
        }
        for (what, sharding) in self.sharding.simpler() {
            all.push((what.to_owned(), Self { sharding, ..self.clone() }));
        }
        if self.changes.operators > 1 {
            let changes = Changes { operators: 1, ..self.changes.clone() };
            all.push(("one operator".to_owned(), Self { changes, ..self.clone() }));
        }
        all
    }

    /// The configuration of the cluster.
    pub(super) fn config(&self) -> ShardConfig {
        let Self { setting, sharding, load, .. } = self;
        let mut config = ShardConfig::new(setting.seed, sharding.groups, setting.nodes);
        config.cluster = setting.cluster();
        config.shards = ShardCount::new(sharding.shards).unwrap_or(config.shards);
        config.layout = sharding.layout;
        config.server.session_ttl = load.session_ttl;
        config.server.parked_max = sharding.parked_max;
        let transfer = &mut config.server.transfer;
        transfer.chunk_bytes = sharding.chunk_bytes;
        transfer.moves_max = sharding.moves_max;
        transfer.rounds_max = sharding.rounds_max;
        transfer.bytes_per_second = sharding.bytes_per_second;
        transfer.calls.attempt_timeout = sharding.attempt_timeout;
        config.controller_clerk.calls.attempt_timeout = sharding.attempt_timeout;
        config.store.sessions_max = load.sessions_max;
        config.store.limits.value_bytes_max = VALUE_BYTES_MAX as u32;
        config.clerk.limits.value_bytes_max = VALUE_BYTES_MAX as u32;
        config.clerk.calls.attempt_timeout = load.attempt_timeout;
        config.clerk.deadline = match load.patience {
            Patience::Endless => Duration::from_secs(3600),
            Patience::Short(deadline) => deadline,
        };
        config
    }
}

impl Sharding {
    fn simpler(&self) -> Vec<(&'static str, Self)> {
        let all = [
            ("two groups", Self { groups: 2, ..self.clone() }),
            ("few shards", Self { shards: self.shards.min(2), ..self.clone() }),
            ("groups apart", Self { layout: Layout::Apart, ..self.clone() }),
            ("large chunks", Self { chunk_bytes: 32 << 10, ..self.clone() }),
        ];
        all.into_iter().filter(|(_, other)| other != self).collect()
    }
}

impl fmt::Display for ShardPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, sharding, changes, faults, group_faults, load } = self;
        writeln!(f, "{setting}\n  {sharding:?}\n  {changes:?}\n{load}\n  {group_faults:?}")?;
        write!(f, "{faults}")
    }
}
