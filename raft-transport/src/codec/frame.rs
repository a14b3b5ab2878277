//! Frames: how a byte stream is cut into checked pieces.
//!
//! A header of 16 bytes, little-endian, and a payload:
//!
//! | bytes | what |
//! |---|---|
//! | 0..2 | `RT` |
//! | 2 | the version of the frame format, 1 |
//! | 3 | the [`FrameKind`] |
//! | 4..8 | the length of the payload |
//! | 8..12 | CRC-32 (IEEE) of the payload |
//! | 12..16 | CRC-32 (IEEE) of bytes 0..12 |
//!
//! The header has a checksum of its own, so that a damaged length is noticed at once: it neither makes the
//! reader wait for bytes that never come nor take other frames for payload.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

/// The length of a frame's header.
pub const HEADER_BYTES: usize = 16;

/// The version of the frame format. It changes only if the header does; what is in the frames is
/// negotiated in the handshake.
pub const FRAME_VERSION: u8 = 1;

const MAGIC: [u8; 2] = *b"RT";

/// What is in a frame.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum FrameKind {
    /// The first frame of whoever dials: a [`Hello`](super::Hello).
    Hello = 1,
    /// The answer to a good one: a [`Welcome`](super::Welcome).
    Welcome = 2,
    /// The answer to a bad one: a [`Refusal`](super::Refusal).
    Refusal = 3,
    /// Nothing: a sign of life.
    Ping = 4,
    /// Envelopes, one after the other, of any groups.
    Raft = 5,
    /// A request: its number, 8 bytes, and its bytes.
    Request = 6,
    /// The reply to a request: its number, 8 bytes, and the bytes of the reply.
    Reply = 7,
    /// The request was carried out and its reply is longer than a frame may be: its number, 8 bytes.
    ReplyTooLong = 8,
}

impl FrameKind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Hello,
            2 => Self::Welcome,
            3 => Self::Refusal,
            4 => Self::Ping,
            5 => Self::Raft,
            6 => Self::Request,
            7 => Self::Reply,
            8 => Self::ReplyTooLong,
            _ => return None,
        })
    }
}

/// A whole frame whose checksums are right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// What is in it.
    pub kind: FrameKind,
    /// Where its payload begins in the stream.
    pub at: u64,
    /// What it carries: a slice of the buffer it was read into.
    pub payload: Bytes,
}

/// A frame that is none. Nothing after it can be understood: the stream is to be closed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("bad frame at byte {at} of the stream: {fault}")]
pub struct FrameError {
    /// Where the frame begins in the stream.
    pub at: u64,
    /// What is wrong with it.
    pub fault: FrameFault,
}

/// What is wrong with a frame.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum FrameFault {
    /// It does not begin as frames do: this is another protocol.
    #[error("it begins with {found:02x?}")]
    Magic {
        /// Its first two bytes.
        found: [u8; 2],
    },
    /// The header has a version this program does not know.
    #[error("its format has version {found}, known is {FRAME_VERSION}")]
    Version {
        /// The version.
        found: u8,
    },
    /// The header was altered on its way.
    #[error("the checksum of its header is wrong")]
    HeaderChecksum,
    /// A kind this program does not know.
    #[error("unknown kind {found}")]
    Kind {
        /// The kind.
        found: u8,
    },
    /// The payload is longer than allowed here.
    #[error("its payload has {length} bytes, allowed are {max}")]
    TooLong {
        /// Its length.
        length: u32,
        /// The limit.
        max: u32,
    },
    /// The payload was altered on its way.
    #[error("the checksum of its payload is wrong")]
    PayloadChecksum,
    /// The stream ended within it.
    #[error("the stream ended {missing} bytes before its end")]
    Truncated {
        /// How many bytes are missing at least.
        missing: usize,
    },
}

/// A frame whose payload would be longer than allowed; nothing of it was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the frame would have {length} bytes, allowed are {max}")]
pub struct FrameTooLong {
    /// The length it would have.
    pub length: usize,
    /// The limit.
    pub max: u32,
}

/// Appends a frame to `out`, its payload written by `body`, or nothing if that is longer than `max`.
pub fn write_frame(
    out: &mut BytesMut,
    kind: FrameKind,
    max: u32,
    body: impl FnOnce(&mut BytesMut),
) -> Result<(), FrameTooLong> {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    body(out);
    let payload_start = start + HEADER_BYTES;
    let length = out.len() - payload_start;
    let Some(checked) = u32::try_from(length).ok().filter(|length| *length <= max) else {
        out.truncate(start);
        return Err(FrameTooLong { length, max });
    };
    let checksum = crc32fast::hash(&out[payload_start..]);
    let header = &mut out[start..payload_start];
    header[..2].copy_from_slice(&MAGIC);
    header[2] = FRAME_VERSION;
    header[3] = kind as u8;
    header[4..8].copy_from_slice(&checked.to_le_bytes());
    header[8..12].copy_from_slice(&checksum.to_le_bytes());
    let checksum = crc32fast::hash(&header[..12]);
    header[12..].copy_from_slice(&checksum.to_le_bytes());
    Ok(())
}

/// Cuts a stream into frames.
#[derive(Debug)]
pub struct FrameReader {
    max: u32,
    /// How many bytes of the stream were taken out of the buffer.
    at: u64,
    /// The header at the front of the buffer, once it is whole and checked.
    header: Option<Header>,
}

#[derive(Clone, Copy, Debug)]
struct Header {
    kind: FrameKind,
    length: usize,
    checksum: u32,
}

impl FrameReader {
    /// A reader at the beginning of a stream; payloads may have `max` bytes.
    pub fn new(max: u32) -> Self {
        Self { max, at: 0, header: None }
    }

    /// From now on payloads may have `max` bytes.
    pub fn set_max(&mut self, max: u32) {
        self.max = max;
    }

    /// Takes the next frame from the front of `input`; `None` if it is not whole yet.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        let header = match self.header {
            Some(header) => header,
            None => {
                let Some(bytes) = input.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
                let header = parse(bytes, self.max).map_err(|fault| self.error(fault))?;
                self.header = Some(header);
                header
            }
        };
        if input.len() < HEADER_BYTES + header.length {
            return Ok(None);
        }
        if crc32fast::hash(&input[HEADER_BYTES..HEADER_BYTES + header.length]) != header.checksum {
            return Err(self.error(FrameFault::PayloadChecksum));
        }
        self.header = None;
        input.advance(HEADER_BYTES);
        let at = self.at + HEADER_BYTES as u64;
        self.at = at + header.length as u64;
        let payload = input.split_to(header.length).freeze();
        Ok(Some(Frame { kind: header.kind, at, payload }))
    }

    /// How many bytes the frame at the front of `input` needs at least; zero between frames.
    pub fn missing(&self, input: &BytesMut) -> usize {
        match self.header {
            Some(header) => (HEADER_BYTES + header.length).saturating_sub(input.len()),
            None if input.is_empty() => 0,
            None => HEADER_BYTES.saturating_sub(input.len()),
        }
    }

    /// The stream ended: an error if it did so within a frame.
    pub fn finish(&self, input: &BytesMut) -> Result<(), FrameError> {
        match self.missing(input) {
            0 => Ok(()),
            missing => Err(self.error(FrameFault::Truncated { missing })),
        }
    }

    fn error(&self, fault: FrameFault) -> FrameError {
        FrameError { at: self.at, fault }
    }
}

/// Checks a header. The length is looked at only when the checksum says that it is as it was sent.
fn parse(bytes: &[u8; HEADER_BYTES], max: u32) -> Result<Header, FrameFault> {
    let [m0, m1, version, kind, l0, l1, l2, l3, p0, p1, p2, p3, h0, h1, h2, h3] = *bytes;
    if [m0, m1] != MAGIC {
        return Err(FrameFault::Magic { found: [m0, m1] });
    }
    if version != FRAME_VERSION {
        return Err(FrameFault::Version { found: version });
    }
    if crc32fast::hash(&bytes[..12]) != u32::from_le_bytes([h0, h1, h2, h3]) {
        return Err(FrameFault::HeaderChecksum);
    }
    let kind = FrameKind::from_byte(kind).ok_or(FrameFault::Kind { found: kind })?;
    let length = u32::from_le_bytes([l0, l1, l2, l3]);
    if length > max {
        return Err(FrameFault::TooLong { length, max });
    }
    let checksum = u32::from_le_bytes([p0, p1, p2, p3]);
    Ok(Header { kind, length: length as usize, checksum })
}
