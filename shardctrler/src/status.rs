//! [`NodeStatus`]: what a node says of itself, with or without a quorum.

use raft_core::{ClusterId, LogId, LogIndex, NodeId, Role, Term};
use serde::{Deserialize, Serialize};

use crate::config::ConfigNumber;
use crate::shard::ShardCount;

/// A node's view of the controller group and of its own state. Any node answers it at once, whoever leads.
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
    /// The last entry that is applied; everything below, but `watchers`, is as of it.
    pub applied: LogId,
    /// The last entry of the log.
    pub last: LogId,
    /// The last index on the node's disk.
    pub durable: LogIndex,
    /// The last entry in the newest snapshot.
    pub snapshot: Option<LogId>,
    /// Bytes of the entries in the log.
    pub log_bytes: u64,
    /// What the cluster was made with; `None` until it is.
    pub cluster: Option<(ClusterId, ShardCount)>,
    /// The newest configuration.
    pub newest: ConfigNumber,
    /// The oldest configuration that is kept.
    pub oldest: ConfigNumber,
    /// The number of sessions.
    pub sessions: u64,
    /// How many clients wait here for the next configuration.
    pub watchers: u64,
    /// The log's time in milliseconds.
    pub log_time: u64,
    /// The digest of the state: equal on all nodes that have applied the same entry.
    pub digest: u64,
}

/// The same, as it travels.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct WireStatus {
    role: WireRole,
    term: u64,
    leader: Option<u64>,
    commit: u64,
    applied: (u64, u64),
    last: (u64, u64),
    durable: u64,
    snapshot: Option<(u64, u64)>,
    log_bytes: u64,
    cluster: Option<(u64, u16)>,
    newest: u64,
    oldest: u64,
    sessions: u64,
    watchers: u64,
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
            cluster: status.cluster.map(|(cluster, shards)| (cluster.0, shards.get())),
            newest: status.newest.0,
            oldest: status.oldest.0,
            sessions: status.sessions,
            watchers: status.watchers,
            log_time: status.log_time,
            digest: status.digest,
        }
    }
}

impl From<WireStatus> for NodeStatus {
    fn from(status: WireStatus) -> Self {
        let cluster = |(cluster, shards)| Some((ClusterId(cluster), ShardCount::new(shards)?));
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
            cluster: status.cluster.and_then(cluster),
            newest: ConfigNumber(status.newest),
            oldest: ConfigNumber(status.oldest),
            sessions: status.sessions,
            watchers: status.watchers,
            log_time: status.log_time,
            digest: status.digest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A part of the wire format, and the same back.
    #[test]
    fn travels_as_it_is_pinned() {
        let status = NodeStatus {
            role: Role::Leader,
            term: Term(1),
            leader: Some(NodeId(2)),
            commit: LogIndex(3),
            applied: LogId::new(Term(4), LogIndex(5)),
            last: LogId::new(Term(6), LogIndex(7)),
            durable: LogIndex(8),
            snapshot: Some(LogId::new(Term(9), LogIndex(10))),
            log_bytes: 11,
            cluster: ShardCount::new(13).map(|shards| (ClusterId(12), shards)),
            newest: ConfigNumber(14),
            oldest: ConfigNumber(15),
            sessions: 16,
            watchers: 17,
            log_time: 18,
            digest: 19,
        };
        let wire = kv::rpc::encode(Vec::new(), &WireStatus::from(&status));
        let pinned =
            [3, 1, 1, 2, 3, 4, 5, 6, 7, 8, 1, 9, 10, 11, 1, 12, 13, 14, 15, 16, 17, 18, 19];
        assert_eq!(wire, pinned);
        let read = kv::rpc::decode::<WireStatus>(&wire).expect("a status");
        assert_eq!(NodeStatus::from(read), status);
    }
}
