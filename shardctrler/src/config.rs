//! [`Configuration`]: which group owns which shard, and where the groups' servers are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use kv::rpc::Malformed;
use raft_core::{Address, ClusterId, GroupId, NodeId};

use crate::raw;
use crate::rebalance;
use crate::shard::{ShardCount, ShardId};

/// The number of a configuration: zero is the empty one, and each change makes the next. The fencing token
/// of everything that depends on who owns a shard.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigNumber(pub u64);

impl ConfigNumber {
    /// The number of the empty configuration.
    pub const ZERO: Self = Self(0);

    /// The number after this one.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for ConfigNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl fmt::Debug for ConfigNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A group of servers that can own shards.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Group {
    /// Where clients reach its nodes. At least one.
    pub servers: BTreeMap<NodeId, Address>,
    /// Its part of the shards, in proportion to the other groups' weights. At least one.
    pub weight: u32,
}

impl Group {
    /// A group of weight one.
    pub fn new(servers: impl IntoIterator<Item = (NodeId, Address)>) -> Self {
        Self { servers: servers.into_iter().collect(), weight: 1 }
    }

    /// The same group with another weight.
    pub fn with_weight(self, weight: u32) -> Self {
        Self { weight, ..self }
    }
}

/// A configuration: immutable, and cheap to clone.
///
/// Invariants: every owner is one of the groups; the owners are nobody exactly when there are no groups; a
/// group has at least one server and a weight of at least one; no group is called 0. Unless a shard is
/// pinned, the shards are [balanced](rebalance::is_balanced) over the groups.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Configuration(Arc<Parts>);

/// What a configuration is made of. One number for each shard in `owners`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Parts {
    pub(crate) cluster: ClusterId,
    pub(crate) number: ConfigNumber,
    pub(crate) count: ShardCount,
    pub(crate) owners: Vec<Option<GroupId>>,
    pub(crate) groups: BTreeMap<GroupId, Group>,
    pub(crate) pinned: BTreeSet<ShardId>,
}

impl Parts {
    pub(crate) fn weights(&self) -> BTreeMap<GroupId, u32> {
        self.groups.iter().map(|(group, it)| (*group, it.weight)).collect()
    }
}

impl From<Parts> for Configuration {
    fn from(parts: Parts) -> Self {
        debug_assert_eq!(parts.owners.len(), usize::from(parts.count.get()));
        Self(Arc::new(parts))
    }
}

impl fmt::Debug for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A shard whose owner is another than before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moved {
    /// Which shard.
    pub shard: ShardId,
    /// Who owned it.
    pub from: Option<GroupId>,
    /// Who owns it now.
    pub to: Option<GroupId>,
}

impl Configuration {
    /// Configuration 0 of a cluster: no groups, and nobody owns a shard.
    pub fn empty(cluster: ClusterId, count: ShardCount) -> Self {
        let owners = vec![None; usize::from(count.get())];
        let (groups, pinned) = (BTreeMap::new(), BTreeSet::new());
        Parts { cluster, number: ConfigNumber::ZERO, count, owners, groups, pinned }.into()
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.0
    }

    /// Its one encoding: what is kept, sent, and put into snapshots and logs.
    pub fn encode(&self) -> Vec<u8> {
        raw::encode_configuration(self)
    }

    /// Reads what [`Self::encode`] has written.
    ///
    /// # Errors
    ///
    /// When it is none, or breaks what always holds of a configuration.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        raw::decode_configuration(bytes)
    }

    /// The cluster it is of. Configurations of different clusters have nothing to do with each other.
    pub fn cluster(&self) -> ClusterId {
        self.0.cluster
    }

    /// Its number.
    pub fn number(&self) -> ConfigNumber {
        self.0.number
    }

    /// How many shards there are: the same in all configurations of a cluster.
    pub fn shard_count(&self) -> ShardCount {
        self.0.count
    }

    /// The shard of a key.
    pub fn shard_of(&self, key: &[u8]) -> ShardId {
        self.0.count.shard_of(key)
    }

    /// Who owns a shard; `None`: nobody.
    pub fn owner(&self, shard: ShardId) -> Option<GroupId> {
        self.0.owners.get(usize::from(shard.0)).copied().flatten()
    }

    /// Who owns a key; `None`: nobody.
    pub fn owner_of(&self, key: &[u8]) -> Option<GroupId> {
        self.owner(self.shard_of(key))
    }

    /// All shards with their owners, in order.
    pub fn shards(&self) -> impl ExactSizeIterator<Item = (ShardId, Option<GroupId>)> + '_ {
        self.0.count.all().zip(self.0.owners.iter().copied())
    }

    /// The shards of a group, in order.
    pub fn shards_of(&self, group: GroupId) -> impl Iterator<Item = ShardId> + '_ {
        self.shards().filter(move |(_, owner)| *owner == Some(group)).map(|(shard, _)| shard)
    }

    /// A group, if it has joined.
    pub fn group(&self, group: GroupId) -> Option<&Group> {
        self.0.groups.get(&group)
    }

    /// All groups.
    pub fn groups(&self) -> &BTreeMap<GroupId, Group> {
        &self.0.groups
    }

    /// The shards that were moved by hand since the groups were last rebalanced. They stay where they are
    /// until a group joins or leaves, or a rebalancing is asked for.
    pub fn pinned(&self) -> &BTreeSet<ShardId> {
        &self.0.pinned
    }

    /// Whether the shards are balanced over the groups, as [`rebalance`] has it. Shards that were moved by
    /// hand may be the reason why they are not.
    pub fn is_balanced(&self) -> bool {
        rebalance::is_balanced(&self.0.owners, &self.0.weights())
    }

    /// The shards that are owned by others than in `before`, in order. Between configurations of different
    /// clusters, nothing that makes sense.
    pub fn moves_since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = Moved> + 'a {
        let owners = self.shards().zip(before.shards());
        owners
            .map(|((shard, to), (_, from))| Moved { shard, from, to })
            .filter(|moved| moved.from != moved.to)
    }
}
