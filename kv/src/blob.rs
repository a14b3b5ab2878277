//! [`Blob`]: the bytes of a key or of a value, as small as they can be kept.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The longest bytes that are kept without an allocation. Chosen so that a `Blob` has 24 bytes.
const INLINE: usize = 22;

/// Immutable bytes, cheap to clone. Always a copy of its own: it never keeps the network frame alive that
/// the bytes came in.
#[derive(Clone)]
pub struct Blob(Repr);

#[derive(Clone)]
enum Repr {
    Inline { len: u8, data: [u8; INLINE] },
    Shared(Arc<[u8]>),
}

impl Blob {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            // `len` is at most INLINE by construction; `get` keeps this total all the same.
            Repr::Inline { len, data } => data.get(..usize::from(*len)).unwrap_or(data),
            Repr::Shared(data) => data,
        }
    }

    /// These bytes followed by `tail`, with one allocation at the most.
    pub(crate) fn concat(&self, tail: &[u8]) -> Self {
        let head = self.as_slice();
        if head.len() + tail.len() <= INLINE {
            let mut data = [0; INLINE];
            for (to, from) in data.iter_mut().zip(head.iter().chain(tail)) {
                *to = *from;
            }
            return Self(Repr::Inline { len: (head.len() + tail.len()) as u8, data });
        }
        Self(Repr::Shared([head, tail].concat().into()))
    }
}

impl From<&[u8]> for Blob {
    fn from(bytes: &[u8]) -> Self {
        if bytes.len() > INLINE {
            return Self(Repr::Shared(bytes.into()));
        }
        let mut data = [0; INLINE];
        for (to, from) in data.iter_mut().zip(bytes) {
            *to = *from;
        }
        Self(Repr::Inline { len: bytes.len() as u8, data })
    }
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

/// Ordered, compared and looked up as the bytes are.
impl Borrow<[u8]> for Blob {
    fn borrow(&self) -> &[u8] {
        self.as_slice()
    }
}

impl PartialEq for Blob {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Blob {}

impl PartialOrd for Blob {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Blob {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_slice().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_bytes_on_both_sides_of_the_inline_limit() {
        assert_eq!(size_of::<Blob>(), 24);
        for len in 0..=2 * INLINE {
            let bytes: Vec<u8> = (0..len as u8).collect();
            let blob = Blob::from(&bytes[..]);
            assert_eq!(blob.as_slice(), bytes);
            for cut in 0..=len {
                assert_eq!(Blob::from(&bytes[..cut]).concat(&bytes[cut..]), blob);
            }
        }
    }
}
