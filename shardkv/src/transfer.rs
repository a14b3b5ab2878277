//! What groups say to each other while a shard moves.
//!
//! A copy is a row of [`Chunk`]s, each of which says from which [`Position`] to which it goes. The new owner
//! takes one only at the position that it has reached, and tells that position whatever comes: so a chunk that
//! is late, doubled, or of a leader that leads no more changes nothing, and whoever goes on with the copy
//! learns where. The number of the configuration fences all of it.

use kv::Cursor;
use kv::rpc::Fault;
use raft_core::{ClusterId, GroupId};
use serde::{Deserialize, Serialize};
use shardctrler::{ConfigNumber, ShardId};

/// The way of one shard from one group to another, in the configuration that asks for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Move {
    cluster: u64,
    number: u64,
    shard: u16,
    from: u64,
    to: u64,
}

impl Move {
    /// The move of this shard.
    pub fn new(
        cluster: ClusterId,
        number: ConfigNumber,
        shard: ShardId,
        from: GroupId,
        to: GroupId,
    ) -> Self {
        Self { cluster: cluster.0, number: number.0, shard: shard.0, from: from.0, to: to.0 }
    }

    /// The cluster.
    pub fn cluster(&self) -> ClusterId {
        ClusterId(self.cluster)
    }

    /// The configuration in which the shard is the new owner's.
    pub fn number(&self) -> ConfigNumber {
        ConfigNumber(self.number)
    }

    /// The shard.
    pub fn shard(&self) -> ShardId {
        ShardId(self.shard)
    }

    /// The old owner.
    pub fn from(&self) -> GroupId {
        GroupId(self.from)
    }

    /// The new owner.
    pub fn to(&self) -> GroupId {
        GroupId(self.to)
    }
}

/// How far a copy is. It only grows.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Position {
    /// How often the copy was begun anew.
    pub attempt: u32,
    /// How far the walk over the shard is.
    pub cursor: Cursor,
    /// The number of the last change that was taken, once the walk is at its end.
    pub watermark: u64,
}

impl Position {
    /// Whether a chunk may go from here to there: forward, the walk first and the changes then.
    pub(crate) fn may_go_to(&self, next: &Self) -> bool {
        let walks = self.cursor < next.cursor && self.watermark == next.watermark;
        let follows = self.cursor == Cursor::End
            && next.cursor == Cursor::End
            && self.watermark < next.watermark;
        self.attempt == next.attempt && (walks || follows)
    }
}

/// A part of a shard's contents.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Chunk {
    /// Of which move.
    pub of: Move,
    /// Where the copy must be.
    pub at: Position,
    /// Where it is then.
    pub next: Position,
    /// The CRC-32 of `piece`.
    pub checksum: u32,
    /// What [`kv::Store::import`] takes.
    #[serde(with = "one_piece")]
    pub piece: Vec<u8>,
}

impl Chunk {
    /// A chunk, with its checksum.
    pub fn new(of: Move, at: Position, next: Position, piece: Vec<u8>) -> Self {
        let checksum = crc32fast::hash(&piece);
        Self { of, at, next, checksum, piece }
    }

    /// Whether it is as it was made.
    pub fn is_whole(&self) -> bool {
        self.checksum == crc32fast::hash(&self.piece)
    }
}

/// That the copy is complete: what the shard must be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Install {
    /// Of which move.
    pub of: Move,
    /// Where the copy must be.
    pub at: Position,
    /// The number of keys.
    pub keys: u64,
    /// The number of sessions.
    pub sessions: u64,
    /// The index of the shard's last command.
    pub revision: u64,
    /// The time of the shard's log, in milliseconds.
    pub log_time: u64,
    /// The digest of the shard's store.
    pub digest: u64,
}

/// What the old owner asks of the new one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct TransferRequest {
    /// Whether the old owner has ceased to serve the shard: who asks the new one for it has to wait, not long.
    pub(crate) frozen: bool,
    pub(crate) ask: Ask,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// How far is it?
    Where(Move),
    Stage(Chunk),
    Install(Install),
}

impl Ask {
    pub(crate) fn of(&self) -> Move {
        match self {
            Self::Where(of) => *of,
            Self::Stage(chunk) => chunk.of,
            Self::Install(install) => install.of,
        }
    }
}

/// What the new owner answers, whatever it was asked. The order of the variants is the format.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum TransferReply {
    /// The copy is here now. What was sent for another position was not taken.
    At(Position),
    /// The shard is complete and served: the old owner may let go of it.
    Installed,
    /// The new owner has not reached the configuration yet.
    Behind {
        /// Where it is.
        number: u64,
    },
    /// What was asked makes no sense.
    Refused(TransferRefusal),
}

/// Why a part of a copy was not taken, ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
pub enum TransferRefusal {
    /// It is of another cluster.
    #[error("it is of another cluster")]
    WrongCluster,
    /// It was sent to another group than it is for.
    #[error("it is for another group")]
    WrongGroup,
    /// The group does not get this shard in this configuration, or not from this group.
    #[error("the shard does not move here from there in this configuration")]
    NoSuchMove,
    /// The group has begun with a later configuration: it never had this shard.
    #[error("the group knows nothing of a configuration so old")]
    Forgotten,
    /// The chunk is not what its checksum says, or no chunk.
    #[error("the chunk is corrupt")]
    Corrupt,
    /// The chunk goes nowhere, or backwards.
    #[error("the chunk does not go forward")]
    Backwards,
    /// The copy is not equal to the shard. It was dropped, and begins anew.
    #[error("the copy is not equal to the shard: it begins anew")]
    Unequal,
}

/// How a transfer is answered on the wire.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) enum TransferAnswer {
    Fault(Fault<TransferRefusal>),
    Reply(TransferReply),
}

/// Bytes in one piece; serde's own way is byte by byte.
mod one_piece {
    use std::fmt;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        from.deserialize_bytes(Owned)
    }

    struct Owned;

    impl<'de> Visitor<'de> for Owned {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }
    }
}
