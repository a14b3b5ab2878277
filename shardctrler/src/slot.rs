//! [`Slot`]: where a key stands, for ever. Redis Cluster's own mapping, so that its clients can route to us.

use crc::{CRC_16_XMODEM, Crc};

static CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);

/// One of [`Slot::COUNT`] places that keys are spread over. It depends on the key alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot(u16);

impl Slot {
    /// How many slots there are.
    pub const COUNT: u16 = 16_384;

    /// The slot of a key: `crc16_xmodem(hash tag of the key, or the key) & 16383`.
    ///
    /// The *hash tag* is what stands between the first `{` and the first `}` after it, if that is not
    /// empty: keys with the same hash tag have the same slot, whatever stands around it.
    pub fn of(key: &[u8]) -> Self {
        Self(CRC.checksum(hash_tag(key).unwrap_or(key)) & (Self::COUNT - 1))
    }

    #[cfg(test)]
    pub(crate) fn numbered(number: u16) -> Self {
        Self(number)
    }

    /// Its number, below [`Slot::COUNT`].
    pub fn number(self) -> u16 {
        self.0
    }
}

fn hash_tag(key: &[u8]) -> Option<&[u8]> {
    let open = key.iter().position(|byte| *byte == b'{')?;
    let rest = key.get(open + 1..)?;
    let close = rest.iter().position(|byte| *byte == b'}')?;
    rest.get(..close).filter(|tag| !tag.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the Redis Cluster specification (appendix A, and "Hash tags") and the documentation of
    /// `CLUSTER KEYSLOT`.
    #[test]
    fn the_published_vectors() {
        assert_eq!(CRC.checksum(b"123456789"), 0x31C3);
        let slots = [
            ("foo", 12_182),
            ("somekey", 11_058),
            ("foo{hash_tag}", 2_515),
            ("bar{hash_tag}", 2_515),
            ("", 0),
        ];
        for (key, slot) in slots {
            assert_eq!(Slot::of(key.as_bytes()).number(), slot, "{key}");
        }
    }

    #[test]
    fn the_published_hash_tags() {
        let tag = |key: &'static str| hash_tag(key.as_bytes());
        assert_eq!(tag("{user1000}.following"), Some(&b"user1000"[..]));
        assert_eq!(Slot::of(b"{user1000}.following"), Slot::of(b"{user1000}.followers"));
        assert_eq!(tag("foo{}{bar}"), None, "the first one is empty: the whole key");
        assert_eq!(tag("foo{{bar}}zap"), Some(&b"{bar"[..]));
        assert_eq!(tag("foo{bar}{zap}"), Some(&b"bar"[..]));
        for whole in ["", "foo", "foo{bar", "foo}bar{", "{", "}", "{}", "}{"] {
            assert_eq!(tag(whole), None, "{whole}");
        }
    }

    /// The polynomial, bit by bit: another way to the same numbers.
    #[test]
    fn the_checksum_is_the_polynomials() {
        let slow = |key: &[u8]| {
            key.iter().fold(0_u16, |crc, byte| {
                (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| match crc & 0x8000 {
                    0 => crc << 1,
                    _ => crc << 1 ^ 0x1021,
                })
            })
        };
        let mut key = Vec::new();
        for n in 0..1_000_u32 {
            key.extend_from_slice(&n.wrapping_mul(0x9E37_79B9).to_le_bytes()[..(n % 3) as usize]);
            assert_eq!(CRC.checksum(&key), slow(&key));
        }
    }
}
