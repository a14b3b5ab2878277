//! Bytes: the format of everything that leaves the process, and serde's helpers for numbers with types.
//!
//! Every message begins with a format byte, [`FORMAT`], and fixed-width fields; values follow in
//! [postcard](https://postcard.jamesmunns.com/wire-format). The types of the wire are frozen per format: only
//! enum variants may be added, at the end. The golden files in `tests/golden` hold the bytes of each format
//! for ever.

use crc::{CRC_64_XZ, Crc};

/// The format of requests, replies, commands and snapshots.
pub(crate) const FORMAT: u8 = 1;

static CRC: Crc<u64> = Crc::<u64>::new(&CRC_64_XZ);

/// A checksum of `before` and `bytes`: the digest of a chain. It tells replicas that diverged by a bug from
/// ones that did not; it withstands no adversary. A part of the snapshot's format.
pub(crate) fn chain(before: u64, bytes: &[u8]) -> u64 {
    let mut digest = CRC.digest();
    digest.update(&before.to_le_bytes());
    digest.update(bytes);
    digest.finalize()
}

macro_rules! as_number {
    ($module:ident, $type:ty, $new:expr, $number:ty) => {
        /// The type as its number.
        pub(crate) mod $module {
            use serde::{Deserialize, Deserializer, Serialize, Serializer};

            pub(crate) fn serialize<S: Serializer>(
                value: &$type,
                to: S,
            ) -> Result<S::Ok, S::Error> {
                value.0.serialize(to)
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
                from: D,
            ) -> Result<$type, D::Error> {
                <$number>::deserialize(from).map($new)
            }
        }
    };
}

as_number!(index, raft_core::LogIndex, raft_core::LogIndex, u64);
as_number!(group, raft_core::GroupId, raft_core::GroupId, u64);
as_number!(node, raft_core::NodeId, raft_core::NodeId, u64);
as_number!(shard, crate::shard::ShardId, crate::shard::ShardId, u16);
as_number!(config_number, crate::config::ConfigNumber, crate::config::ConfigNumber, u64);
