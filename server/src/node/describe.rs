//! What a node says of itself and of its replicas: the service of the node, beside those of its groups.
//!
//! A request is the format (1 byte) and nothing else; the reply is the format and a [`Described`] in postcard.

use bytes::Bytes;
use kv::rpc::{Malformed, decode, encode, take};
use raft_core::node::{Group, GroupStatus};
use raft_core::{Address, BoxFuture, GroupId, LogId, NodeId, Role, Service};
use serde::{Deserialize, Serialize};
use shardctrler::{Configuration, Controller};
use shardkv::{Phase, ShardState, ShardStore};

/// The place of the node's own service among those of its groups. No group has this number.
pub(crate) const NODE: GroupId = GroupId(u64::MAX);
const FORMAT: u8 = 1;

/// A node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Described {
    /// The cluster that it belongs to.
    pub(crate) cluster: u64,
    /// Its number.
    pub(crate) node: u64,
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
    /// The request for it.
    pub(crate) fn request() -> Bytes {
        Bytes::from_static(&[FORMAT])
    }

    /// Reads the reply.
    pub(crate) fn read(mut reply: &[u8]) -> Result<Self, Malformed> {
        match take(&mut reply)? {
            [FORMAT] => decode(reply),
            _ => Err(Malformed),
        }
    }

    /// A group that the node knows of.
    pub(crate) fn group(&self, group: u64) -> Option<&DescribedGroup> {
        self.groups.iter().find(|it| it.group == group)
    }
}

/// A group: where its replicas are, and the one that runs here.
pub(super) struct Known {
    pub(super) group: GroupId,
    pub(super) members: Vec<(NodeId, Address)>,
    pub(super) local: Option<Local>,
}

/// A replica that runs here.
pub(super) enum Local {
    Controller(Group<Controller>),
    Shards(Group<ShardStore>),
}

/// Describes a node to whoever asks.
pub(super) struct Describer {
    pub(super) cluster: u64,
    pub(super) node: u64,
    pub(super) groups: Vec<Known>,
}

impl Service for Describer {
    fn call(&self, request: Bytes) -> BoxFuture<'static, Bytes> {
        let reply = match request[..] {
            [FORMAT] => encode(vec![FORMAT], &self.describe()),
            _ => Vec::new(),
        };
        Box::pin(async move { reply.into() })
    }
}

impl Describer {
    fn describe(&self) -> Described {
        let group = |known: &Known| {
            let members = known.members.iter().map(|(node, at)| (node.0, at.0.clone()));
            DescribedGroup {
                group: known.group.0,
                members: members.collect(),
                replica: known.local.as_ref().map(replica),
            }
        };
        let groups = self.groups.iter().map(group).collect();
        Described { cluster: self.cluster, node: self.node, groups }
    }
}

fn replica(local: &Local) -> Replica {
    match local {
        Local::Controller(group) => {
            let status = group.status();
            group.peek(|applied, controller| Replica {
                sessions: controller.sessions() as u64,
                digest: controller.digest(),
                configuration: controller.newest().map_or(0, number),
                ..common(&status, applied)
            })
        }
        Local::Shards(group) => {
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
    }
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
