//! [`NodeStatus`]: what a node says of itself.

use raft_core::{GroupId, LogIndex, NodeId, Role, Term};
use serde::{Deserialize, Serialize};
use shardctrler::{ConfigNumber, ShardId};

use crate::store::{Phase, ShardState};

/// A node's view of its group and of its shards. Any node answers it at once, whoever leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeStatus {
    /// The group.
    pub group: GroupId,
    /// The node's role.
    pub role: Role,
    /// The node's term.
    pub term: Term,
    /// The leader of the term, if the node knows it.
    pub leader: Option<NodeId>,
    /// The last entry that is applied; what follows is as of it.
    pub applied: LogIndex,
    /// The configuration that the group has reached.
    pub number: ConfigNumber,
    /// What the group has of each shard.
    pub shards: Vec<ShardState>,
    /// The digest of the state: equal on all nodes that have applied the same entry.
    pub digest: u64,
}

/// The same, as it travels.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct WireStatus {
    group: u64,
    role: u8,
    term: u64,
    leader: Option<u64>,
    applied: u64,
    number: u64,
    shards: Vec<WireShard>,
    digest: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct WireShard {
    shard: u16,
    phase: Phase,
    peer: Option<u64>,
    keys: u64,
    bytes: u64,
    sessions: u64,
    changed: u64,
    unequal: u32,
}

impl From<&NodeStatus> for WireStatus {
    fn from(it: &NodeStatus) -> Self {
        let shard = |it: &ShardState| WireShard {
            shard: it.shard.0,
            phase: it.phase,
            peer: it.peer.map(|peer| peer.0),
            keys: it.keys,
            bytes: it.bytes,
            sessions: it.sessions,
            changed: it.changed,
            unequal: it.unequal,
        };
        Self {
            group: it.group.0,
            role: match it.role {
                Role::Follower => 0,
                Role::PreCandidate => 1,
                Role::Candidate => 2,
                Role::Leader => 3,
            },
            term: it.term.0,
            leader: it.leader.map(|leader| leader.0),
            applied: it.applied.0,
            number: it.number.0,
            shards: it.shards.iter().map(shard).collect(),
            digest: it.digest,
        }
    }
}

impl From<WireStatus> for NodeStatus {
    fn from(it: WireStatus) -> Self {
        let number = ConfigNumber(it.number);
        let shard = |it: WireShard| ShardState {
            shard: ShardId(it.shard),
            phase: it.phase,
            number,
            peer: it.peer.map(GroupId),
            keys: it.keys,
            bytes: it.bytes,
            sessions: it.sessions,
            changed: it.changed,
            unequal: it.unequal,
        };
        Self {
            group: GroupId(it.group),
            role: match it.role {
                1 => Role::PreCandidate,
                2 => Role::Candidate,
                3 => Role::Leader,
                _ => Role::Follower,
            },
            term: Term(it.term),
            leader: it.leader.map(NodeId),
            applied: LogIndex(it.applied),
            number,
            shards: it.shards.into_iter().map(shard).collect(),
            digest: it.digest,
        }
    }
}
