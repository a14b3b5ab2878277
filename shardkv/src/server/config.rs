//! [`ServerConfig`], and the events that a server tells of.

use std::sync::Arc;
use std::time::Duration;

use kv::rpc::CallsConfig;
use shardctrler::{ConfigNumber, ShardId};

/// The configuration of a [`ShardServer`](super::ShardServer).
#[derive(Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// How long a session lives unused, by its shard's time. Carried by the command that opens a session, so
    /// nodes may differ. At most 49 days. Default one hour.
    pub session_ttl: Duration,
    /// The longest that a request may wait here, whatever its client says. Default 30 s.
    pub deadline_max: Duration,
    /// The longest that a request waits for a shard that its old owner has frozen and that is not installed
    /// here yet; then it is sent away. Default 1 s.
    pub park_max: Duration,
    /// The most requests that wait so. Default 4,096; more are sent away at once.
    pub parked_max: usize,
    /// How the next configuration is asked for: one watch takes so long at the most. Default 10 s.
    pub watch: Duration,
    /// How shards are moved.
    pub transfer: TransferConfig,
    /// Is told of each step of a move, on the node that leads. It must return soon. Default: nobody.
    pub observer: Option<Observer>,
}

/// Is told of each step of a move.
pub type Observer = Arc<dyn Fn(MoveEvent) + Send + Sync>;

/// How shards are moved. The defaults let a move take about a third of what a group can do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransferConfig {
    /// Bytes of a chunk; one key or one session may exceed it. Default 64 KiB.
    pub chunk_bytes: usize,
    /// Shards that leave at the same time, each with one chunk under way. Default 4.
    pub moves_max: usize,
    /// The most bytes a second that one move copies, but for the rest after the freeze. Default 32 MiB.
    pub bytes_per_second: u64,
    /// After so many rounds of changes, writes to the shard are refused as `Overloaded` until it is frozen, so
    /// that a move ends under any load. Default 8.
    pub rounds_max: u32,
    /// How requests to the new owner are tried.
    pub calls: CallsConfig,
    /// How long a request to the new owner is tried before it is thought over. Default 5 s.
    pub deadline: Duration,
    /// The pause after the new owner was found not to be ready, or not there. Default 20 ms, doubled up to
    /// 16 times of it.
    pub retry: Duration,
}

impl Default for TransferConfig {
    fn default() -> Self {
        Self {
            chunk_bytes: 64 << 10,
            moves_max: 4,
            bytes_per_second: 32 << 20,
            rounds_max: 8,
            calls: CallsConfig::default(),
            deadline: Duration::from_secs(5),
            retry: Duration::from_millis(20),
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            session_ttl: Duration::from_secs(3600),
            deadline_max: Duration::from_secs(30),
            park_max: Duration::from_secs(1),
            parked_max: 4_096,
            watch: Duration::from_secs(10),
            transfer: TransferConfig::default(),
            observer: None,
        }
    }
}

/// A step of a move.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MoveEvent {
    /// What happens.
    pub step: MoveStep,
    /// Of which shard; of a configuration that is adopted, none.
    pub shard: Option<ShardId>,
    /// The configuration.
    pub number: ConfigNumber,
}

/// What happens in a move.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum MoveStep {
    /// The group adopts the configuration.
    Adopted,
    /// The old owner begins to copy, or goes on with a copy that others began.
    Begun,
    /// The old owner is about to send a chunk of its walk.
    Walking,
    /// The old owner is about to send changes.
    Following,
    /// The old owner is about to freeze the shard.
    Freezing,
    /// The old owner has frozen the shard.
    Frozen,
    /// The old owner is about to ask for the shard to be installed.
    Installing,
    /// The new owner is about to put a chunk into its log.
    Staging,
    /// The new owner is about to put the install into its log.
    Receiving,
    /// The new owner serves the shard.
    Installed,
    /// The old owner knows that the new one has the shard, and is about to let go of it.
    Confirmed,
    /// The old owner has let go of the shard.
    Deleted,
}

impl MoveStep {
    /// All of them, in the order of a move.
    pub const ALL: [Self; 12] = [
        Self::Adopted,
        Self::Begun,
        Self::Walking,
        Self::Following,
        Self::Freezing,
        Self::Frozen,
        Self::Installing,
        Self::Staging,
        Self::Receiving,
        Self::Installed,
        Self::Confirmed,
        Self::Deleted,
    ];
}
