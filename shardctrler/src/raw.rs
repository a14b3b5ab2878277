//! The larger types as they travel: frozen, and checked when they are read.
//!
//! Maps and sets are lists whose keys ascend, so that a value has one encoding.

use std::collections::{BTreeMap, BTreeSet};

use kv::rpc::{Malformed, decode, encode};
use raft_core::{Address, ClusterId, GroupId, NodeId};
use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::config::{ConfigNumber, Configuration, Group, Parts};
use crate::settings::{Limits, Settings};
use crate::shard::{ShardCount, ShardId};

type RawServers = Vec<(u64, String)>;

#[derive(Serialize, Deserialize)]
pub(crate) struct RawGroup {
    servers: RawServers,
    weight: u32,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RawConfiguration {
    cluster: u64,
    number: u64,
    /// One for each shard; 0 is nobody.
    owners: Vec<u64>,
    groups: Vec<(u64, RawGroup)>,
    pinned: Vec<u16>,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum RawChange {
    Join(Vec<(u64, RawGroup)>),
    Leave(Vec<u64>),
    Move { shard: u16, to: u64 },
    SetServers { group: u64, servers: RawServers },
    Rebalance { weights: Vec<(u64, u32)> },
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct RawSettings {
    cluster: u64,
    shards: u16,
    limits: Limits,
}

/// A map of pairs whose keys ascend strictly.
fn ascending<K: Ord + Copy, V>(
    pairs: impl IntoIterator<Item = (K, V)>,
) -> Result<BTreeMap<K, V>, Malformed> {
    let mut map = BTreeMap::new();
    for (key, value) in pairs {
        if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
            return Err(Malformed);
        }
        map.insert(key, value);
    }
    Ok(map)
}

fn set<K: Ord + Copy>(keys: impl IntoIterator<Item = K>) -> Result<BTreeSet<K>, Malformed> {
    let map = ascending(keys.into_iter().map(|key| (key, ())))?;
    Ok(map.into_keys().collect())
}

fn raw_servers(servers: &BTreeMap<NodeId, Address>) -> RawServers {
    servers.iter().map(|(node, address)| (node.0, address.0.clone())).collect()
}

fn servers(raw: RawServers) -> Result<BTreeMap<NodeId, Address>, Malformed> {
    ascending(raw.into_iter().map(|(node, address)| (NodeId(node), Address(address))))
}

fn raw_groups(groups: &BTreeMap<GroupId, Group>) -> Vec<(u64, RawGroup)> {
    let raw = |it: &Group| RawGroup { servers: raw_servers(&it.servers), weight: it.weight };
    groups.iter().map(|(group, it)| (group.0, raw(it))).collect()
}

fn groups(raw: Vec<(u64, RawGroup)>) -> Result<BTreeMap<GroupId, Group>, Malformed> {
    let group = |(group, raw): (u64, RawGroup)| {
        let servers = servers(raw.servers)?;
        Ok((GroupId(group), Group { servers, weight: raw.weight }))
    };
    ascending(raw.into_iter().map(group).collect::<Result<Vec<_>, _>>()?)
}

impl From<&Configuration> for RawConfiguration {
    fn from(configuration: &Configuration) -> Self {
        let parts = configuration.parts();
        Self {
            cluster: parts.cluster.0,
            number: parts.number.0,
            owners: parts.owners.iter().map(|owner| owner.map_or(0, |group| group.0)).collect(),
            groups: raw_groups(&parts.groups),
            pinned: parts.pinned.iter().map(|shard| shard.0).collect(),
        }
    }
}

/// Accepts what has the invariants of a [`Configuration`]; but for the balance, which may be another in
/// another version.
impl TryFrom<RawConfiguration> for Configuration {
    type Error = Malformed;

    fn try_from(raw: RawConfiguration) -> Result<Self, Malformed> {
        let count = u16::try_from(raw.owners.len()).ok().and_then(ShardCount::new);
        let count = count.ok_or(Malformed)?;
        let owners: Vec<_> =
            raw.owners.into_iter().map(|owner| (owner != 0).then_some(GroupId(owner))).collect();
        let groups = groups(raw.groups)?;
        let pinned = set(raw.pinned.into_iter().map(ShardId))?;
        let is_group = |(id, group): (&GroupId, &Group)| {
            id.0 != 0 && group.weight > 0 && !group.servers.is_empty()
        };
        let is_owner = |owner: &Option<GroupId>| match owner {
            Some(group) => groups.contains_key(group),
            None => groups.is_empty(),
        };
        // A number that can be counted on from.
        let sane = raw.number < u64::MAX / 2
            && groups.iter().all(is_group)
            && owners.iter().all(is_owner)
            && pinned.iter().all(|shard| count.contains(*shard));
        if !sane {
            return Err(Malformed);
        }
        let (cluster, number) = (ClusterId(raw.cluster), ConfigNumber(raw.number));
        Ok(Parts { cluster, number, count, owners, groups, pinned }.into())
    }
}

impl From<&Change> for RawChange {
    fn from(change: &Change) -> Self {
        match change {
            Change::Join(groups) => Self::Join(raw_groups(groups)),
            Change::Leave(groups) => Self::Leave(groups.iter().map(|group| group.0).collect()),
            Change::Move { shard, to } => Self::Move { shard: shard.0, to: to.0 },
            Change::SetServers { group, servers } => {
                Self::SetServers { group: group.0, servers: raw_servers(servers) }
            }
            Change::Rebalance { weights } => {
                let weights = weights.iter().map(|(group, weight)| (group.0, *weight)).collect();
                Self::Rebalance { weights }
            }
        }
    }
}

impl TryFrom<RawChange> for Change {
    type Error = Malformed;

    fn try_from(raw: RawChange) -> Result<Self, Malformed> {
        Ok(match raw {
            RawChange::Join(raw) => Self::Join(groups(raw)?),
            RawChange::Leave(groups) => Self::Leave(set(groups.into_iter().map(GroupId))?),
            RawChange::Move { shard, to } => Self::Move { shard: ShardId(shard), to: GroupId(to) },
            RawChange::SetServers { group, servers: raw } => {
                Self::SetServers { group: GroupId(group), servers: servers(raw)? }
            }
            RawChange::Rebalance { weights } => {
                let weights = weights.into_iter().map(|(group, weight)| (GroupId(group), weight));
                Self::Rebalance { weights: ascending(weights)? }
            }
        })
    }
}

impl From<&Settings> for RawSettings {
    fn from(settings: &Settings) -> Self {
        let Settings { cluster, shards, limits } = settings;
        Self { cluster: cluster.0, shards: shards.get(), limits: limits.clone().sane() }
    }
}

impl TryFrom<RawSettings> for Settings {
    type Error = Malformed;

    fn try_from(raw: RawSettings) -> Result<Self, Malformed> {
        let shards = ShardCount::new(raw.shards).ok_or(Malformed)?;
        Ok(Self { cluster: ClusterId(raw.cluster), shards, limits: raw.limits.sane() })
    }
}

/// The one encoding of a configuration: in snapshots, in replies, and for its digest.
pub(crate) fn encode_configuration(configuration: &Configuration) -> Vec<u8> {
    encode(Vec::new(), &RawConfiguration::from(configuration))
}

/// Reads what [`encode_configuration`] has written.
pub(crate) fn decode_configuration(bytes: &[u8]) -> Result<Configuration, Malformed> {
    decode::<RawConfiguration>(bytes)?.try_into()
}

/// How large a change is, encoded.
pub(crate) fn change_bytes(change: &Change) -> usize {
    encode(Vec::new(), &RawChange::from(change)).len()
}
