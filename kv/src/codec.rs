//! Bytes: the envelope of everything that leaves the process, and serde's helpers for our types.
//!
//! Every message begins with a format byte, [`FORMAT`]; what follows is fixed-width fields that are
//! patched in place, and then [postcard](https://postcard.jamesmunns.com/wire-format). Types are frozen
//! per format: only enum variants may be added, at the end. A reader refuses what it does not know and any
//! bytes left over, since postcard itself would drop them silently.
//! The golden files in `tests/golden` hold the bytes of each format for ever.

use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Serialize};

/// The format of requests, replies, commands and snapshots.
pub(crate) const FORMAT: u8 = 1;

/// The bytes make no sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("malformed, or of an unknown version")]
pub struct Malformed;

/// Appends `value` to `to`, in postcard.
pub fn encode<T: Serialize>(to: Vec<u8>, value: &T) -> Vec<u8> {
    // Fails for sequences of unknown length only, and no type of ours has one; were it ever to fail, the
    // empty message is refused by its reader.
    postcard::to_extend(value, to).unwrap_or_default()
}

/// Appends `value` to `to`, byte strings in one piece.
pub(crate) fn append<T: Serialize>(to: &mut BytesMut, value: &T) {
    struct Tail<'a>(&'a mut BytesMut);

    impl postcard::ser_flavors::Flavor for Tail<'_> {
        type Output = ();

        fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
            self.0.put_u8(byte);
            Ok(())
        }

        fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }

        fn finalize(self) -> postcard::Result<()> {
            Ok(())
        }
    }

    let at = to.len();
    // See `encode`: what fails is empty, and refused by its reader.
    if postcard::serialize_with_flavor(value, Tail(to)).is_err() {
        to.truncate(at);
    }
}

/// Reads a value in postcard that fills `bytes`.
///
/// # Errors
///
/// When it is none, or when bytes are left over.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Malformed> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok(_) | Err(_) => Err(Malformed),
    }
}

/// Takes a fixed-width field off the front of `bytes`.
///
/// # Errors
///
/// When it is not there.
pub fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (field, rest) = bytes.split_first_chunk().ok_or(Malformed)?;
    *bytes = rest;
    Ok(*field)
}

/// Byte strings as one piece; serde's own way is byte by byte.
pub(crate) mod slice {
    use std::fmt;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de: 'a, 'a, D: Deserializer<'de>>(
        from: D,
    ) -> Result<&'a [u8], D::Error> {
        from.deserialize_bytes(Borrowed)
    }

    pub(super) struct Borrowed;

    impl<'de> Visitor<'de> for Borrowed {
        type Value = &'de [u8];

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("borrowed bytes")
        }

        fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
            Ok(bytes)
        }
    }
}

/// The same for an `Option`.
pub(crate) mod optional_slice {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Piece<'a>(#[serde(borrow, with = "super::slice")] &'a [u8]);

    pub(crate) fn serialize<S: Serializer>(
        bytes: &Option<&[u8]>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        bytes.map(Piece).serialize(to)
    }

    pub(crate) fn deserialize<'de: 'a, 'a, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<&'a [u8]>, D::Error> {
        Ok(Option::<Piece<'a>>::deserialize(from)?.map(|piece| piece.0))
    }
}

/// A log index as its number.
pub(crate) mod index {
    use raft_core::LogIndex;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(index: &LogIndex, to: S) -> Result<S::Ok, S::Error> {
        index.0.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<LogIndex, D::Error> {
        u64::deserialize(from).map(LogIndex)
    }
}

/// The same for an `Option`.
pub(crate) mod optional_index {
    use raft_core::LogIndex;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        index: &Option<LogIndex>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        index.map(|index| index.0).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<LogIndex>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(LogIndex))
    }
}
