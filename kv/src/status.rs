//! [`NodeStatus`]: what a node says of itself, with or without a quorum.

use raft_core::{LogId, LogIndex, NodeId, Role, Term};
use serde::{Deserialize, Serialize};

/// A node's view of its group and of its own state. Any node answers it at once, whoever leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeStatus {
    /// The node's role.
    pub role: Role,
    /// The node's term.
    pub term: Term,
    /// The leader of the term, if the node knows it.
    pub leader: Option<NodeId>,
    /// The highest index known to be committed.
    pub commit: LogIndex,
    /// The last entry that is applied; `keys`, `sessions`, `log_time` and `digest` are as of it.
    pub applied: LogId,
    /// The last entry of the log.
    pub last: LogId,
    /// The last index on the node's disk.
    pub durable: LogIndex,
    /// The last entry in the newest snapshot.
    pub snapshot: Option<LogId>,
    /// Bytes of the entries in the log.
    pub log_bytes: u64,
    /// The number of keys.
    pub keys: u64,
    /// The number of sessions.
    pub sessions: u64,
    /// The log's time in milliseconds.
    pub log_time: u64,
    /// The digest of the state: equal on all nodes that have applied the same entry.
    pub digest: u64,
}

/// The same, as it travels.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WireStatus {
    role: WireRole,
    term: u64,
    leader: Option<u64>,
    commit: u64,
    applied: (u64, u64),
    last: (u64, u64),
    durable: u64,
    snapshot: Option<(u64, u64)>,
    log_bytes: u64,
    keys: u64,
    sessions: u64,
    log_time: u64,
    digest: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum WireRole {
    Follower,
    PreCandidate,
    Candidate,
    Leader,
}

fn pair(id: LogId) -> (u64, u64) {
    (id.term.0, id.index.0)
}

fn log_id((term, index): (u64, u64)) -> LogId {
    LogId::new(Term(term), LogIndex(index))
}

impl From<&NodeStatus> for WireStatus {
    fn from(status: &NodeStatus) -> Self {
        Self {
            role: match status.role {
                Role::Follower => WireRole::Follower,
                Role::PreCandidate => WireRole::PreCandidate,
                Role::Candidate => WireRole::Candidate,
                Role::Leader => WireRole::Leader,
            },
            term: status.term.0,
            leader: status.leader.map(|leader| leader.0),
            commit: status.commit.0,
            applied: pair(status.applied),
            last: pair(status.last),
            durable: status.durable.0,
            snapshot: status.snapshot.map(pair),
            log_bytes: status.log_bytes,
            keys: status.keys,
            sessions: status.sessions,
            log_time: status.log_time,
            digest: status.digest,
        }
    }
}

impl From<WireStatus> for NodeStatus {
    fn from(status: WireStatus) -> Self {
        Self {
            role: match status.role {
                WireRole::Follower => Role::Follower,
                WireRole::PreCandidate => Role::PreCandidate,
                WireRole::Candidate => Role::Candidate,
                WireRole::Leader => Role::Leader,
            },
            term: Term(status.term),
            leader: status.leader.map(NodeId),
            commit: LogIndex(status.commit),
            applied: log_id(status.applied),
            last: log_id(status.last),
            durable: LogIndex(status.durable),
            snapshot: status.snapshot.map(log_id),
            log_bytes: status.log_bytes,
            keys: status.keys,
            sessions: status.sessions,
            log_time: status.log_time,
            digest: status.digest,
        }
    }
}
