//! Where one unit of a stream ends and the next begins.

use raft_transport::codec::HEADER_BYTES;

/// What a stream consists of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Frames of [`raft_transport::codec`].
    Frames,
    /// Records of TLS, which can be told apart though not understood. Whatever is done to one, but for a delay, breaks
    /// the connection: its ends notice.
    TlsRecords,
}

/// No unit is longer than this, its header included: what says so is no unit.
const UNIT_BYTES_MAX: usize = 17 << 20;

/// The unit at the front of a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Front {
    /// It has so many bytes, and they are all there.
    Whole(usize),
    /// It is not whole yet.
    Partial,
    /// This is something else: what is there passes as one unit, and so does all that follows, as it comes.
    Unknown,
}

impl Unit {
    pub(super) fn front(self, buffer: &[u8]) -> Front {
        let length = match (self, buffer) {
            (_, []) => return Front::Partial,
            (Self::Frames, [b'R', b'T', _, _, a, b, c, d, ..]) => {
                HEADER_BYTES.saturating_add(u32::from_le_bytes([*a, *b, *c, *d]) as usize)
            }
            (Self::Frames, [b'R'] | [b'R', b'T', ..]) => return Front::Partial,
            // Types 20 to 24, version 3.x.
            (Self::TlsRecords, [20..=24, 3, _, a, b, ..]) => {
                5 + usize::from(u16::from_be_bytes([*a, *b]))
            }
            (Self::TlsRecords, [20..=24] | [20..=24, 3, ..]) => return Front::Partial,
            (Self::Frames | Self::TlsRecords, _) => return Front::Unknown,
        };
        match length {
            length if length > UNIT_BYTES_MAX => Front::Unknown,
            length if length > buffer.len() => Front::Partial,
            length => Front::Whole(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_end_where_their_headers_say() {
        let frame = [b"RT\x01\x05\x03\0\0\0", &[0; 8][..], b"abc", b"RT"].concat();
        let record = [&[23, 3, 3, 0, 2, 7, 7][..], &[22]].concat();
        for (unit, bytes, len) in [(Unit::Frames, frame, 19), (Unit::TlsRecords, record, 7)] {
            for cut in 0..len {
                assert_eq!(unit.front(&bytes[..cut]), Front::Partial, "{unit:?} {cut}");
            }
            assert_eq!(unit.front(&bytes), Front::Whole(len));
            assert_eq!(unit.front(b"GET / HTTP/1.1"), Front::Unknown);
        }
        assert_eq!(Unit::Frames.front(b"RT\x01\x05\xff\xff\xff\xff"), Front::Unknown);
    }
}
