//! [`ShardId`] and [`ShardCount`]: how the slots are cut into the shards that groups own.

use std::fmt;
use std::ops::Range;

use crate::slot::Slot;

/// A shard: a range of slots that is owned, and moves, as a whole. Counted from zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

impl fmt::Debug for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How many shards a cluster has: 1 to [`Slot::COUNT`], fixed when the cluster is made. Default 16.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardCount(u16);

impl Default for ShardCount {
    fn default() -> Self {
        Self(16)
    }
}

impl fmt::Display for ShardCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for ShardCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl ShardCount {
    /// So many shards; `None` when there can be no such number of them.
    pub const fn new(count: u16) -> Option<Self> {
        match count {
            1..=Slot::COUNT => Some(Self(count)),
            _ => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The shard of a key.
    pub fn shard_of(self, key: &[u8]) -> ShardId {
        self.shard_of_slot(Slot::of(key))
    }

    /// The shard of a slot: `slot * shards / 16384`.
    pub fn shard_of_slot(self, slot: Slot) -> ShardId {
        let shard = u32::from(slot.number()) * u32::from(self.0) / u32::from(Slot::COUNT);
        // Below `self.0`, since the slot is below the divisor.
        ShardId(shard as u16)
    }

    /// The numbers of a shard's slots, at least one; `None` when there is no such shard.
    pub fn slots_of(self, shard: ShardId) -> Option<Range<u16>> {
        let first = |shard: u16| {
            let slots = u32::from(shard) * u32::from(Slot::COUNT);
            // At most `Slot::COUNT`, since `shard` is at most `self.0`.
            slots.div_ceil(u32::from(self.0)) as u16
        };
        self.contains(shard).then(|| first(shard.0)..first(shard.0 + 1))
    }

    /// Whether there is such a shard.
    pub fn contains(self, shard: ShardId) -> bool {
        shard.0 < self.0
    }

    /// All shards, in order.
    pub fn all(self) -> impl ExactSizeIterator<Item = ShardId> {
        (0..self.0).map(ShardId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shards_are_ranges_that_cover_all_slots_and_differ_by_one_in_size() {
        for count in (1..=300).chain([999, 1_000, 4_096, 10_000, 16_383, 16_384]) {
            let shards = ShardCount::new(count).expect("a number of shards");
            let mut next = 0;
            let mut sizes = Vec::new();
            for shard in shards.all() {
                let slots = shards.slots_of(shard).expect("a shard");
                assert_eq!(slots.start, next);
                next = slots.end;
                sizes.push(slots.len());
                for slot in [slots.start, slots.end - 1] {
                    assert_eq!(shards.shard_of_slot(Slot::numbered(slot)), shard, "of {count}");
                }
            }
            assert_eq!(next, Slot::COUNT);
            let (min, max) = (sizes.iter().min(), sizes.iter().max());
            assert!(max.zip(min).is_some_and(|(max, min)| *min >= 1 && max - min <= 1));
            assert_eq!(shards.slots_of(ShardId(count)), None);
        }
    }

    #[test]
    fn there_are_at_least_one_and_at_most_as_many_as_slots() {
        assert_eq!((ShardCount::new(0), ShardCount::new(16_385)), (None, None));
        assert_eq!(ShardCount::default().get(), 16);
        let ten = ShardCount::new(10).expect("a number of shards");
        assert_eq!(ten.shard_of(b"foo"), ShardId(7), "12182 * 10 / 16384");
        assert_eq!(ShardCount::new(1).map(|one| one.shard_of(b"foo")), Some(ShardId(0)));
    }
}
