//! Why something is refused, and what a command answers.

use kv::rpc::Elsewhere;
use serde::{Deserialize, Serialize};
use shardctrler::ConfigNumber;

use crate::transfer::TransferReply;

/// Why an operation can never be done as it is. It had no effect. The order of the variants is the format.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The store refuses it.
    #[error(transparent)]
    Store(kv::Refusal),
    /// The keys of a batch are of different shards: only what is of one shard happens at one moment. Keys with
    /// the same hash tag (`{user1}.name`, `{user1}.mail`) are of one shard.
    #[error("the keys of the batch are of different shards")]
    CrossShard,
    /// There is no shard of this number.
    #[error("there are {count} shards, and none of number {shard}")]
    NoSuchShard {
        /// The number.
        shard: u16,
        /// How many there are.
        count: u16,
    },
}

impl From<kv::Refusal> for Refusal {
    fn from(refusal: kv::Refusal) -> Self {
        Self::Store(refusal)
    }
}

/// Why a configuration was not adopted. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AdoptRefusal {
    /// It is of another cluster, or has another number of shards.
    #[error("the configuration is of another cluster")]
    WrongCluster,
    /// Configurations are adopted one by one.
    #[error("the group is at {current}, and follows one configuration after the other")]
    NotNext {
        /// Where the group is.
        current: ConfigNumber,
    },
    /// Shards of the current configuration have not arrived yet, or not left.
    #[error("shards are still moving")]
    Unsettled,
    /// A group begins with a configuration in which it has nothing, and with the first one if it can: it would
    /// serve shards whose contents it never got.
    #[error("a group cannot begin with a configuration in which it owns shards")]
    NotFromHere,
}

/// What the state machine answers to a command.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// To a client's command: what the shard's store answers.
    Store(kv::Output),
    /// To a client's command: the group does not serve the shard. Nothing was done.
    Elsewhere(Elsewhere),
    /// To a configuration.
    Adopted(Result<ConfigNumber, AdoptRefusal>),
    /// To a chunk, or to an install.
    Transfer(TransferReply),
    /// To a freeze or a delete: it is so now, or does not matter any more.
    Done,
    /// The bytes are no command of a version that is known here.
    Malformed,
}
