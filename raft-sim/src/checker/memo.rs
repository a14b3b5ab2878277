//! [`Memo`]: the configurations that a search has been in (Lowe's addition to Wing and Gong's search).

use std::collections::hash_map::DefaultHasher;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use super::Why;
use super::bitset::{BitSet, mix};

/// Which operations that returned are linearized, and the state after all that are.
struct Key<S> {
    hash: u64,
    full_blocks: u32,
    blocks: Box<[u64]>,
    state: S,
}

impl<S: Eq> PartialEq for Key<S> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
            && self.full_blocks == other.full_blocks
            && self.blocks == other.blocks
            && self.state == other.state
    }
}

impl<S: Eq> Eq for Key<S> {}

impl<S> Hash for Key<S> {
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

/// Which operations of unknown outcome are linearized.
type Spent = Box<[u64]>;

#[allow(clippy::disallowed_types, reason = "never iterated, and its hash is the same in every run")]
type Map<S> = std::collections::HashMap<Key<S>, Vec<Spent>, BuildHasherDefault<Computed>>;

/// A set of configurations, bounded in bytes.
///
/// A configuration is the operations that are linearized and the state after them. From two that differ
/// only in operations of unknown outcome, the one in which fewer are spent leads wherever the other one
/// does, for they need not be done. So an entry stands for all in which more are spent.
pub(super) struct Memo<S> {
    seen: Map<S>,
    bytes_left: usize,
}

impl<S: Clone + Eq + Hash> Memo<S> {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { seen: Map::default(), bytes_left: bytes_max }
    }

    /// Whether this configuration is new, which it is no more. An error when there is no room for it.
    /// `bytes` is what the state takes.
    pub(super) fn insert(
        &mut self,
        done: &BitSet,
        spent: &BitSet,
        state: &S,
        bytes: usize,
    ) -> Result<bool, Why> {
        let (full_blocks, blocks) = done.window();
        // The same in every run, unlike the standard hash map's.
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        let hash = mix(done.hash() ^ hasher.finish());
        let key = Key { hash, full_blocks, blocks: blocks.into(), state: state.clone() };
        let known = self.seen.entry(key).or_default();
        if known.iter().any(|known| is_subset(known, spent.blocks())) {
            return Ok(false);
        }
        // A hash map is about half full, and an allocation has a header.
        let bytes = match known.is_empty() {
            true => bytes + 2 * size_of::<(Key<S>, Vec<Spent>)>() + 8 * blocks.len() + 32,
            false => 0,
        };
        let bytes = bytes + size_of::<Spent>() + 8 * spent.blocks().len() + 16;
        known.push(spent.blocks().into());
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(Why::Memory)?;
        Ok(true)
    }
}

/// Both are without empty blocks at the end.
fn is_subset(part: &[u64], whole: &[u64]) -> bool {
    part.len() <= whole.len() && part.iter().zip(whole).all(|(part, whole)| part & !whole == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(members: &[usize]) -> BitSet {
        let mut set = BitSet::new(200);
        members.iter().for_each(|member| set.toggle(*member));
        set
    }

    #[test]
    fn fewer_spent_stand_for_more() {
        let mut memo = Memo::new(1 << 20);
        let mut insert = |done: &[usize], spent: &[usize], state: u8| {
            memo.insert(&set(done), &set(spent), &state, 1).expect("room")
        };
        assert!(insert(&[1, 2], &[70, 3], 1));
        assert!(!insert(&[1, 2], &[70, 3], 1), "the same");
        assert!(!insert(&[1, 2], &[70, 3, 150], 1), "one more is spent");
        assert!(insert(&[1, 2], &[70, 4], 1), "another one is spent");
        assert!(insert(&[1, 2], &[70], 1), "fewer are spent");
        assert!(insert(&[1, 2], &[70, 3], 2), "another state");
        assert!(insert(&[1, 3], &[70, 3], 1), "others are done");
    }

    #[test]
    fn a_full_memo_says_so() {
        let mut memo = Memo::new(1_000);
        let ends = (0..100).map(|n| memo.insert(&set(&[n]), &set(&[]), &0_u8, 1));
        let ends: Vec<_> = ends.collect();
        assert_eq!(ends.first(), Some(&Ok(true)));
        assert_eq!(ends.last(), Some(&Err(Why::Memory)));
    }
}
