//! Numbers and byte strings: little-endian base-128 numbers (seven bits a byte, the high bit says that more
//! follow), and byte strings with their length before them.

use bytes::{Bytes, BytesMut};
use thiserror::Error;

/// A payload that cannot be understood, though its checksum is right.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("byte {at} of the payload: {fault} ({what})")]
pub struct DecodeError {
    /// Where in the payload.
    pub at: usize,
    /// What was to be read there.
    pub what: &'static str,
    /// What is wrong.
    pub fault: DecodeFault,
}

/// What is wrong with a payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum DecodeFault {
    /// It ends too early.
    #[error("it ends here")]
    End,
    /// A number that does not fit 64 bits, or is longer than it need be.
    #[error("not a number")]
    Number,
    /// A tag nobody knows.
    #[error("unknown tag {0}")]
    Tag(u8),
    /// A length or a count that the rest of the payload cannot hold.
    #[error("a length of {0} is more than what follows")]
    Length(u64),
    /// More members than a group may have: to look for a majority among them would take too long.
    #[error("{0} members")]
    Members(usize),
    /// Members of a set that are not in ascending order.
    #[error("members out of order")]
    Order,
    /// Bytes after the end.
    #[error("bytes after the end")]
    Rest,
}

/// Appends a number.
pub(super) fn put_number(out: &mut BytesMut, mut number: u64) {
    let mut bytes = [0; 10];
    let mut length = 0;
    while number >= 0x80 {
        bytes[length] = number as u8 | 0x80;
        number >>= 7;
        length += 1;
    }
    bytes[length] = number as u8;
    out.extend_from_slice(&bytes[..=length]);
}

/// Appends a byte string.
pub(super) fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads a payload from front to back.
pub(crate) struct Reader<'a> {
    payload: &'a Bytes,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(payload: &'a Bytes) -> Self {
        Self { payload, at: 0 }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.payload.len() - self.at
    }

    pub(crate) fn error(&self, what: &'static str, fault: DecodeFault) -> DecodeError {
        DecodeError { at: self.at, what, fault }
    }

    /// Everything was read.
    pub(crate) fn finish(&self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            _ => Err(self.error("the end", DecodeFault::Rest)),
        }
    }

    /// The tag before an alternative.
    pub(crate) fn tag(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        let byte = *self.payload.get(self.at).ok_or(self.error(what, DecodeFault::End))?;
        self.at += 1;
        Ok(byte)
    }

    /// A tag that was read and is not known.
    pub(crate) fn unknown(&self, what: &'static str, tag: u8) -> DecodeError {
        DecodeError { at: self.at - 1, what, fault: DecodeFault::Tag(tag) }
    }

    pub(crate) fn number(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        let mut number = 0_u64;
        for (position, byte) in self.payload[self.at..].iter().take(10).enumerate() {
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit only, and a last byte of zero adds nothing.
            if (position == 9 && bits > 1) || (position > 0 && *byte == 0) {
                return Err(self.error(what, DecodeFault::Number));
            }
            number |= bits << (7 * position);
            if byte & 0x80 == 0 {
                self.at += position + 1;
                return Ok(number);
            }
        }
        let fault = if self.remaining() < 10 { DecodeFault::End } else { DecodeFault::Number };
        Err(self.error(what, fault))
    }

    /// Four bytes, little-endian.
    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        self.array(what).map(u32::from_le_bytes)
    }

    /// Eight bytes, little-endian.
    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// Two bytes, little-endian.
    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16, DecodeError> {
        self.array(what).map(u16::from_le_bytes)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let bytes = self.payload[self.at..].first_chunk::<N>();
        let bytes = *bytes.ok_or(self.error(what, DecodeFault::End))?;
        self.at += N;
        Ok(bytes)
    }

    /// The count of things of at least `each` bytes, so that a small payload cannot announce many.
    pub(crate) fn count(&mut self, what: &'static str, each: usize) -> Result<usize, DecodeError> {
        let start = self.at;
        let count = self.number(what)?;
        let fits = usize::try_from(count).ok().filter(|count| *count <= self.remaining() / each);
        fits.ok_or(DecodeError { at: start, what, fault: DecodeFault::Length(count) })
    }

    /// A byte string: a slice of the payload.
    pub(crate) fn bytes(&mut self, what: &'static str) -> Result<Bytes, DecodeError> {
        let length = self.count(what, 1)?;
        let bytes = self.payload.slice(self.at..self.at + length);
        self.at += length;
        Ok(bytes)
    }

    /// Everything that was not read yet.
    pub(crate) fn rest(self) -> Bytes {
        self.payload.slice(self.at..)
    }
}
