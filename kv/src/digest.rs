//! A 64-bit digest of the replicated state, kept up to date by each change.
//!
//! The state is a set of records; its digest is the wrapping sum of the records' hashes. A sum does not
//! depend on the order and can be undone, so one change costs the hash of what left and of what came, and
//! reading the digest costs nothing. It tells replicas that diverged by a bug from ones that did not; it
//! withstands no adversary.

/// Hashes one record: fields are mixed in, in order, by a folded multiplication (as in wyhash). The result
/// is part of the snapshot's format, so it must never change.
#[derive(Clone, Copy)]
pub(crate) struct Hash(u64);

const SEED: u64 = 0x2d35_8dcc_aa6c_78a5;
const MULTIPLIER: u64 = 0x8bb8_4b93_962e_acc9;

const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

impl Hash {
    /// A record of this kind.
    pub(crate) const fn of(kind: u64) -> Self {
        Self(SEED).number(kind)
    }

    pub(crate) const fn number(self, number: u64) -> Self {
        // The rotation keeps a state of zero from absorbing the next field.
        Self(fold(self.0.rotate_left(23) ^ number ^ SEED, MULTIPLIER).wrapping_add(self.0))
    }

    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks();
        let mut hash = self.number(bytes.len() as u64);
        for word in words {
            hash = hash.number(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        hash.number(u64::from_le_bytes(last))
    }

    pub(crate) const fn end(self) -> u64 {
        fold(self.0 ^ MULTIPLIER, SEED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Snapshots hold digests: the function must be the same for ever.
    #[test]
    fn is_pinned() {
        let hash = |bytes: &[u8]| Hash::of(1).number(7).bytes(bytes).end();
        assert_eq!(hash(b""), PINNED[0]);
        assert_eq!(hash(b"0123456789"), PINNED[1]);
        assert_ne!(hash(b"0"), hash(b"0\0"));
    }

    const PINNED: [u64; 2] = [8545743817325951310, 6479933969451545560];
}
