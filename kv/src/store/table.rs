//! [`Table`]: the keys and their values.

use std::ops::Bound;

use imbl::OrdMap;
use raft_core::LogIndex;

use crate::blob::Blob;
use crate::digest::Hash;

/// A key's value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// The value.
    pub value: Blob,
    /// The log index of the write that made it so.
    pub version: LogIndex,
}

/// The data. A clone is a view of it as it is: it costs nothing, and what changes later is copied then,
/// piece by piece.
///
/// Invariants: `digest` is the sum of [`hash`] over all entries, and `bytes` that of their sizes.
#[derive(Clone, Default)]
pub(crate) struct Table {
    map: OrdMap<Blob, Item>,
    digest: u64,
    /// Of all keys and values.
    bytes: u64,
}

/// The hash of one entry. The version is a part: replicas agree on it as well.
fn hash(key: &[u8], item: &Item) -> u64 {
    Hash::of(1).number(item.version.0).bytes(key).bytes(item.value.as_slice()).end()
}

fn bytes(key: &[u8], item: &Item) -> u64 {
    (key.len() + item.value.as_slice().len()) as u64
}

impl Table {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&Item> {
        self.map.get(key)
    }

    /// Sets the key and returns what was there.
    pub(crate) fn put(&mut self, key: &[u8], item: Item) -> Option<Item> {
        self.digest = self.digest.wrapping_add(hash(key, &item));
        self.bytes += bytes(key, &item);
        // Looked up first, because an update keeps the key that is there: no allocation for a new one.
        let old = match self.map.get_mut(key) {
            Some(at) => Some(std::mem::replace(at, item)),
            None => self.map.insert(Blob::from(key), item),
        };
        self.forget(key, old)
    }

    /// Removes the key and returns what was there.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<Item> {
        let old = self.map.remove(key);
        self.forget(key, old)
    }

    fn forget(&mut self, key: &[u8], old: Option<Item>) -> Option<Item> {
        if let Some(old) = &old {
            self.digest = self.digest.wrapping_sub(hash(key, old));
            self.bytes -= bytes(key, old);
        }
        old
    }

    /// All entries.
    pub(crate) fn into_items(self) -> OrdMap<Blob, Item> {
        self.map
    }

    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    /// The entries in order, from `start` on.
    pub(crate) fn from(&self, start: Bound<&[u8]>) -> impl Iterator<Item = (&Blob, &Item)> {
        self.map.range::<_, [u8]>((start, Bound::Unbounded))
    }

    /// The digest, computed anew from the entries.
    pub(crate) fn recomputed_digest(&self) -> u64 {
        self.map.iter().fold(0, |sum, (key, item)| sum.wrapping_add(hash(key.as_slice(), item)))
    }
}
