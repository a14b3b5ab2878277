//! [`Change`]: what makes one configuration of another. Pure, so that a change can be tried before it is
//! asked for.

use std::collections::{BTreeMap, BTreeSet};

use raft_core::{Address, GroupId, NodeId};

use crate::config::{Configuration, Group, Parts};
use crate::raw;
use crate::rebalance::rebalance;
use crate::refusal::Refusal;
use crate::settings::Limits;
use crate::shard::ShardId;

/// A change. It is done as a whole, and makes one new configuration, or it is refused.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Change {
    /// These groups join, and get their part of the shards.
    Join(BTreeMap<GroupId, Group>),
    /// These groups leave, and the others get their shards; nobody does when no others are left.
    Leave(BTreeSet<GroupId>),
    /// The shard goes to this group, and stays there until a group joins or leaves, or until a
    /// [`Rebalance`](Self::Rebalance).
    Move {
        /// The shard.
        shard: ShardId,
        /// Its new owner.
        to: GroupId,
    },
    /// The group has these servers from now on. No shard moves.
    SetServers {
        /// The group.
        group: GroupId,
        /// All its servers.
        servers: BTreeMap<NodeId, Address>,
    },
    /// The shards are balanced anew, also those that were moved by hand.
    Rebalance {
        /// The weights that change; other groups keep theirs.
        weights: BTreeMap<GroupId, u32>,
    },
}

impl Change {
    /// The configuration after `before`, with this change.
    ///
    /// # Errors
    ///
    /// [`Refusal`]: there is no such configuration.
    pub fn apply(&self, before: &Configuration, limits: &Limits) -> Result<Configuration, Refusal> {
        let after = self.changed(before, limits)?;
        let (bytes, bytes_max) =
            (raw::encode_configuration(&after).len(), limits.configuration_bytes_max);
        match bytes as u64 <= u64::from(bytes_max) {
            true => Ok(after),
            false => Err(Refusal::ConfigurationTooLarge { bytes: bytes as u64, bytes_max }),
        }
    }

    fn changed(&self, before: &Configuration, limits: &Limits) -> Result<Configuration, Refusal> {
        let mut parts = before.parts().clone();
        parts.number = parts.number.next();
        match self {
            Self::Join(groups) => join(&mut parts, groups, limits)?,
            Self::Leave(groups) => leave(&mut parts, groups)?,
            Self::Move { shard, to } => move_shard(&mut parts, *shard, *to)?,
            Self::SetServers { group, servers } => {
                check_servers(*group, servers, limits)?;
                known(&mut parts, *group)?.servers.clone_from(servers);
            }
            Self::Rebalance { weights } => {
                for (group, weight) in weights {
                    check_weight(*group, *weight)?;
                    known(&mut parts, *group)?.weight = *weight;
                }
                balance(&mut parts);
            }
        }
        Ok(parts.into())
    }
}

fn join(
    parts: &mut Parts,
    groups: &BTreeMap<GroupId, Group>,
    limits: &Limits,
) -> Result<(), Refusal> {
    if groups.is_empty() {
        return Err(Refusal::NoGroup);
    }
    for (id, group) in groups {
        check_group_id(*id)?;
        check_servers(*id, &group.servers, limits)?;
        check_weight(*id, group.weight)?;
        if let Some(there) = parts.groups.get(id) {
            return Err(Refusal::GroupExists { group: *id, same: there == group });
        }
    }
    let (count, groups_max) = (parts.groups.len() + groups.len(), limits.groups_max);
    if count > usize::from(groups_max) {
        return Err(Refusal::TooManyGroups { groups: count as u64, groups_max });
    }
    parts.groups.extend(groups.iter().map(|(id, group)| (*id, group.clone())));
    balance(parts);
    Ok(())
}

fn leave(parts: &mut Parts, groups: &BTreeSet<GroupId>) -> Result<(), Refusal> {
    if groups.is_empty() {
        return Err(Refusal::NoGroup);
    }
    for group in groups {
        known(parts, *group)?;
        parts.groups.remove(group);
    }
    balance(parts);
    Ok(())
}

fn move_shard(parts: &mut Parts, shard: ShardId, to: GroupId) -> Result<(), Refusal> {
    let shards = parts.count.get();
    known(parts, to)?;
    let owner = parts.owners.get_mut(usize::from(shard.0));
    *owner.ok_or(Refusal::ShardOutOfRange { shard, shards })? = Some(to);
    parts.pinned.insert(shard);
    Ok(())
}

fn balance(parts: &mut Parts) {
    parts.owners = rebalance(&parts.owners, &parts.weights());
    parts.pinned.clear();
}

fn known(parts: &mut Parts, group: GroupId) -> Result<&mut Group, Refusal> {
    check_group_id(group)?;
    parts.groups.get_mut(&group).ok_or(Refusal::UnknownGroup { group })
}

fn check_group_id(group: GroupId) -> Result<(), Refusal> {
    match group {
        GroupId(0) => Err(Refusal::GroupZero),
        GroupId(_) => Ok(()),
    }
}

fn check_weight(group: GroupId, weight: u32) -> Result<(), Refusal> {
    match weight {
        0 => Err(Refusal::WeightZero { group }),
        1.. => Ok(()),
    }
}

fn check_servers(
    group: GroupId,
    servers: &BTreeMap<NodeId, Address>,
    limits: &Limits,
) -> Result<(), Refusal> {
    let (count, servers_max) = (servers.len(), limits.servers_max);
    if count == 0 {
        return Err(Refusal::NoServers { group });
    }
    if count > usize::from(servers_max) {
        return Err(Refusal::TooManyServers { group, servers: count as u64, servers_max });
    }
    let bytes_max = limits.address_bytes_max;
    for (node, address) in servers {
        let (node, bytes) = (*node, address.0.len());
        if bytes == 0 {
            return Err(Refusal::AddressEmpty { group, node });
        }
        if bytes > usize::from(bytes_max) {
            return Err(Refusal::AddressTooLong { group, node, bytes: bytes as u64, bytes_max });
        }
    }
    Ok(())
}
