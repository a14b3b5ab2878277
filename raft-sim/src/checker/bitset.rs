//! [`BitSet`]: which operations are linearized, with a hash that is kept up to date.

/// A set of small numbers in blocks of 64 bits.
///
/// Invariant: `hash` is the exclusive or of `mix(n)` over all members.
pub(super) struct BitSet {
    blocks: Box<[u64]>,
    hash: u64,
}

impl BitSet {
    /// The empty set of numbers below `bound`.
    pub(super) fn new(bound: usize) -> Self {
        Self { blocks: vec![0; bound.div_ceil(64)].into(), hash: 0 }
    }

    pub(super) fn contains(&self, n: usize) -> bool {
        self.blocks[n / 64] & (1 << (n % 64)) != 0
    }

    /// Puts `n` in if it is not, and takes it out if it is.
    pub(super) fn toggle(&mut self, n: usize) {
        self.blocks[n / 64] ^= 1 << (n % 64);
        self.hash ^= mix(n as u64);
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    /// The blocks up to the last that is not empty.
    pub(super) fn blocks(&self) -> &[u64] {
        let end = self.blocks.iter().rposition(|block| *block != 0).map_or(0, |last| last + 1);
        &self.blocks[..end]
    }

    /// The set in short, the same for equal sets only: how many full blocks it begins with, and the blocks
    /// after them up to the last that is not empty. Early operations are all linearized and late ones are
    /// not, so that this is a few blocks of a long history's.
    pub(super) fn window(&self) -> (u32, &[u64]) {
        let start = self.blocks.iter().take_while(|block| **block == u64::MAX).count();
        (start as u32, self.blocks().get(start..).unwrap_or_default())
    }
}

/// A number's hash (the last step of SplitMix64).
pub(super) fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn window_and_hash_tell_every_small_set_from_every_other() {
        // Full blocks below, so that windows of different starts are among them.
        for full in [0, 64, 128] {
            let mut seen = BTreeMap::new();
            for members in 0_u32..1 << 10 {
                let mut set = BitSet::new(200);
                (0..full).for_each(|n| set.toggle(n));
                (0..10).filter(|n| members & (1 << n) != 0).for_each(|n| set.toggle(full + 6 * n));
                let (start, blocks) = set.window();
                let key = (set.hash(), start, blocks.to_vec());
                assert_eq!(seen.insert(key, members), None);
            }
        }
    }

    #[test]
    fn what_was_taken_out_leaves_no_trace() {
        let mut set = BitSet::new(130);
        set.toggle(129);
        set.toggle(3);
        assert!(set.contains(129));
        set.toggle(129);
        assert!(!set.contains(129));
        let mut other = BitSet::new(130);
        other.toggle(3);
        assert_eq!((set.hash(), set.window()), (other.hash(), other.window()));
    }
}
