//! [`Memo`]: the configurations that a search has been in (Lowe's addition to Wing and Gong's search).

use std::collections::hash_map::DefaultHasher;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use super::Why;
use super::bitset::{BitSet, mix};

/// A configuration: which operations are linearized, and the state after them. Two ways to the same one
/// have the same future, so that the second need not be followed.
struct Seen<S> {
    hash: u64,
    full_blocks: u32,
    blocks: Box<[u64]>,
    state: S,
}

impl<S: Eq> PartialEq for Seen<S> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
            && self.full_blocks == other.full_blocks
            && self.blocks == other.blocks
            && self.state == other.state
    }
}

impl<S: Eq> Eq for Seen<S> {}

impl<S> Hash for Seen<S> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.hash);
    }
}

/// Hands through the hash that was computed already.
#[derive(Default)]
struct Computed(u64);

impl Hasher for Computed {
    fn write(&mut self, _: &[u8]) {
        unreachable!("only whole hashes are written")
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[allow(clippy::disallowed_types, reason = "never iterated, and its hash is the same in every run")]
type Set<S> = std::collections::HashSet<Seen<S>, BuildHasherDefault<Computed>>;

/// A set of configurations, bounded in bytes.
pub(super) struct Memo<S> {
    seen: Set<S>,
    bytes_left: usize,
}

impl<S: Clone + Eq + Hash> Memo<S> {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { seen: Set::default(), bytes_left: bytes_max }
    }

    /// Whether this configuration is new, which it is no more. An error when there is no room for it.
    pub(super) fn insert(&mut self, done: &BitSet, state: &S, bytes: usize) -> Result<bool, Why> {
        let (full_blocks, blocks) = done.window();
        // The same in every run, unlike the standard hash map's.
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        let hash = mix(done.hash() ^ hasher.finish());
        let new = self.seen.insert(Seen {
            hash,
            full_blocks,
            blocks: blocks.into(),
            state: state.clone(),
        });
        if new {
            // A hash set is about half full, and an allocation has a header.
            let bytes = bytes + 2 * size_of::<Seen<S>>() + 8 * blocks.len() + 16;
            self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(Why::Memory)?;
        }
        Ok(new)
    }
}
