//! [`Chain`]: a sequence that only grows at its end, cheap to keep many versions of.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A sequence. A clone and an append cost the same however long it is, and share what they have in common;
/// the checker keeps one for every configuration it has been in.
///
/// Equality and hash are those of the elements: how they were put together does not matter.
pub struct Chain<T> {
    last: Option<Arc<Link<T>>>,
}

/// Invariant: `chunk` is not empty.
struct Link<T> {
    before: Chain<T>,
    chunk: Arc<[T]>,
    /// Elements in this link and all before it.
    len: usize,
    /// Over the elements one by one, so that it does not depend on where the chunks begin.
    hash: u64,
}

impl<T> Chain<T> {
    /// The empty sequence.
    pub fn new() -> Self {
        Self { last: None }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.last.as_ref().map_or(0, |link| link.len)
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// About how many bytes the last append added to memory.
    pub(super) fn bytes(&self) -> usize {
        let chunk = self.last.as_ref().map_or(0, |link| size_of_val(&*link.chunk));
        chunk + size_of::<Link<T>>() + 4 * size_of::<usize>()
    }

    /// The chunks, last one first, each with the link that it is in.
    fn links(&self) -> impl Iterator<Item = &Arc<Link<T>>> {
        std::iter::successors(self.last.as_ref(), |link| link.before.last.as_ref())
    }
}

impl<T: Clone + Hash> Chain<T> {
    /// This sequence with more behind it.
    pub fn append(&self, chunk: &[T]) -> Self {
        if chunk.is_empty() {
            return self.clone();
        }
        let before = self.last.as_ref().map_or(0, |link| link.hash);
        let hash = chunk.iter().fold(before, |hash, element| {
            let mut hasher = Multiply(0);
            element.hash(&mut hasher);
            // Plus one, so that zeroes count.
            (hash.rotate_left(5) ^ hasher.0.wrapping_add(1)).wrapping_mul(FACTOR)
        });
        let len = self.len() + chunk.len();
        Self { last: Some(Arc::new(Link { before: self.clone(), chunk: chunk.into(), len, hash })) }
    }

    /// All elements.
    pub fn to_vec(&self) -> Vec<T> {
        let chunks: Vec<_> = self.links().collect();
        chunks.iter().rev().flat_map(|link| link.chunk.iter().cloned()).collect()
    }
}

/// An odd number without a pattern (2^64 divided by the golden ratio).
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

/// A quick hash of one element. Equality is exact, so that a poor one only costs time.
struct Multiply(u64);

impl Hasher for Multiply {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0.rotate_left(5) ^ u64::from(*byte)).wrapping_mul(FACTOR);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl<T: PartialEq> Chain<T> {
    /// Whether these are the elements. Compared from the end, where sequences differ if they do.
    pub fn is(&self, elements: &[T]) -> bool {
        let mut rest = elements;
        self.len() == elements.len()
            && self.links().all(|link| {
                let (before, chunk) = rest.split_at(rest.len() - link.chunk.len());
                rest = before;
                *chunk == *link.chunk
            })
    }
}

impl<T: PartialEq> PartialEq for Chain<T> {
    fn eq(&self, other: &Self) -> bool {
        let (mut left, mut right) = (self, other);
        // What is left to compare of the last chunk of each, from its end.
        let (mut a, mut b): (&[T], &[T]) = (&[], &[]);
        loop {
            if a.is_empty() && b.is_empty() {
                match (&left.last, &right.last) {
                    (None, None) => return true,
                    (Some(l), Some(r)) if Arc::ptr_eq(l, r) => return true,
                    (Some(l), Some(r)) if l.len == r.len && l.hash == r.hash => {}
                    _ => return false,
                }
            }
            for (chunk, chain) in [(&mut a, &mut left), (&mut b, &mut right)] {
                if let ([], Some(link)) = (*chunk, &chain.last) {
                    *chunk = &link.chunk;
                    *chain = &link.before;
                }
            }
            // The lengths are equal, so that neither is used up before the other.
            let common = a.len().min(b.len());
            let (a_rest, a_end) = a.split_at(a.len() - common);
            let (b_rest, b_end) = b.split_at(b.len() - common);
            if a_end != b_end {
                return false;
            }
            (a, b) = (a_rest, b_rest);
        }
    }
}

impl<T: Eq> Eq for Chain<T> {}

impl<T> Hash for Chain<T> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.last.as_ref().map_or(0, |link| link.hash));
    }
}

impl<T> Clone for Chain<T> {
    fn clone(&self) -> Self {
        Self { last: self.last.clone() }
    }
}

impl<T> Default for Chain<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Clone + Hash> From<&[T]> for Chain<T> {
    fn from(elements: &[T]) -> Self {
        Self::new().append(elements)
    }
}

impl<T: fmt::Debug> fmt::Debug for Chain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let links: Vec<_> = self.links().collect();
        f.debug_list().entries(links.iter().rev().flat_map(|link| link.chunk.iter())).finish()
    }
}

impl<T> Drop for Chain<T> {
    /// One link after the other: dropped by recursion, a long chain would overflow the stack.
    fn drop(&mut self) {
        let mut last = self.last.take();
        while let Some(mut link) = last.and_then(Arc::into_inner) {
            last = link.before.last.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::hash_map::DefaultHasher;

    use proptest::prelude::*;

    use super::*;

    fn hash(chain: &Chain<u8>) -> u64 {
        let mut hasher = DefaultHasher::new();
        chain.hash(&mut hasher);
        hasher.finish()
    }

    fn of(chunks: &[Vec<u8>]) -> Chain<u8> {
        chunks.iter().fold(Chain::new(), |chain, chunk| chain.append(chunk))
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(
            left in prop::collection::vec(prop::collection::vec(0_u8..2, 0..3), 0..4),
            right in prop::collection::vec(prop::collection::vec(0_u8..2, 0..3), 0..4),
        ) {
            let (flat_left, flat_right) = (left.concat(), right.concat());
            let (left, right) = (of(&left), of(&right));
            prop_assert_eq!(left == right, flat_left == flat_right);
            prop_assert_eq!(left.is(&flat_right), flat_left == flat_right);
            prop_assert_eq!(hash(&left) == hash(&right), flat_left == flat_right);
            prop_assert_eq!(left.to_vec(), flat_left);
        }
    }

    #[test]
    fn a_long_chain_is_dropped_and_compared_without_recursion() {
        let build = || (0..300_000_u32).fold(Chain::new(), |chain, n| chain.append(&[n]));
        assert!(build() == build());
    }
}
