//! What a node says of itself and of its replicas.

use kv::Store;
use raft_core::node::{Group, GroupStatus};
use raft_core::{LogId, Role};
use serde::{Deserialize, Serialize};
use shardctrler::{Configuration, Controller};
use shardkv::{Phase, ShardState, ShardStore};

use super::protocol::WireMode;

/// A node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Described {
    /// The cluster that it belongs to.
    pub(crate) cluster: u64,
    /// Its number.
    pub(crate) node: u64,
    /// What the cluster is.
    pub(crate) mode: WireMode,
    /// All groups that it knows of, in order.
    pub(crate) groups: Vec<DescribedGroup>,
}

/// A group, as a node knows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DescribedGroup {
    pub(crate) group: u64,
    /// Its nodes, and where they are.
    pub(crate) members: Vec<(u64, String)>,
    /// The node's own replica, if it has one.
    pub(crate) replica: Option<Replica>,
}

/// A replica, as of now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Replica {
    pub(crate) role: WireRole,
    pub(crate) term: u64,
    pub(crate) leader: Option<u64>,
    pub(crate) commit: u64,
    pub(crate) applied: u64,
    pub(crate) last: u64,
    pub(crate) durable: u64,
    pub(crate) snapshot: Option<u64>,
    pub(crate) log_bytes: u64,
    pub(crate) sessions: u64,
    pub(crate) digest: u64,
    /// The configuration that it has reached; of a controller, the newest.
    pub(crate) configuration: u64,
    pub(crate) shards: Vec<Shard>,
}

/// The order of the variants is the format.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum WireRole {
    Follower,
    PreCandidate,
    Candidate,
    Leader,
}

/// What a replica has of a shard.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Shard {
    pub(crate) shard: u16,
    pub(crate) phase: Phase,
    pub(crate) peer: Option<u64>,
    pub(crate) keys: u64,
    pub(crate) bytes: u64,
}

impl Described {
    /// A group that the node knows of.
    pub(crate) fn group(&self, group: u64) -> Option<&DescribedGroup> {
        self.groups.iter().find(|it| it.group == group)
    }
}

/// The state of a replica that runs here.
pub(super) enum Local {
    Plain(Group<Store>),
    Controller(Group<Controller>),
    Shards(Group<ShardStore>),
}

impl Local {
    /// What it is and has, as of now.
    pub(super) fn describe(&self) -> Replica {
        match self {
            Self::Plain(group) => plain(group),
            Self::Controller(group) => controller(group),
            Self::Shards(group) => shards(group),
        }
    }
}

fn plain(group: &Group<Store>) -> Replica {
    let status = group.status();
    group.peek(|applied, store| Replica {
        sessions: store.sessions() as u64,
        digest: store.digest(),
        ..common(&status, applied)
    })
}

fn controller(group: &Group<Controller>) -> Replica {
    let status = group.status();
    group.peek(|applied, controller| Replica {
        sessions: controller.sessions() as u64,
        digest: controller.digest(),
        configuration: controller.newest().map_or(0, number),
        ..common(&status, applied)
    })
}

fn shards(group: &Group<ShardStore>) -> Replica {
    let status = group.status();
    group.peek(|applied, store| {
        let states = store.shard_states();
        Replica {
            sessions: states.iter().map(|state| state.sessions).sum(),
            digest: store.digest(),
            configuration: store.number().0,
            shards: states.iter().map(shard).collect(),
            ..common(&status, applied)
        }
    })
}

fn number(configuration: &Configuration) -> u64 {
    configuration.number().0
}

fn common(status: &GroupStatus, applied: LogId) -> Replica {
    Replica {
        role: match status.role {
            Role::Follower => WireRole::Follower,
            Role::PreCandidate => WireRole::PreCandidate,
            Role::Candidate => WireRole::Candidate,
            Role::Leader => WireRole::Leader,
        },
        term: status.term.0,
        leader: status.leader.map(|leader| leader.0),
        commit: status.commit.max(applied.index).0,
        applied: applied.index.0,
        last: status.last.index.0,
        durable: status.durable.0,
        snapshot: status.snapshot.map(|snapshot| snapshot.index.0),
        log_bytes: status.log_bytes,
        sessions: 0,
        digest: 0,
        configuration: 0,
        shards: Vec::new(),
    }
}

fn shard(state: &ShardState) -> Shard {
    Shard {
        shard: state.shard.0,
        phase: state.phase,
        peer: state.peer.map(|peer| peer.0),
        keys: state.keys,
        bytes: state.bytes,
    }
}
