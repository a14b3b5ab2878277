//! What goes over a byte stream, free of sockets: frames, the handshake, and the messages in them.
//!
//! A stream is a sequence of frames ([`FrameReader`], [`write_frame`]). The first one in each direction
//! belongs to the handshake ([`Hello`], [`Welcome`], [`Refusal`]); after it come Raft messages
//! ([`decode_batch`]) on a peer's stream, requests and replies on a client's.
//!
//! Invariants:
//! 1. Decoders are total: no bytes make them panic, loop, or allocate before the bytes that justify the
//!    allocation have arrived.
//! 2. What decodes, encodes to the same bytes again: there is one encoding of each value.
//! 3. Byte strings in decoded values are slices of the frame they came in. Whoever keeps a small one for
//!    long keeps its read buffer with it, and had better copy it.
//! 4. The bytes of protocol version 1 are in `tests/golden` and decode for ever.

mod envelope;
mod frame;
mod hello;
mod wire;

pub use envelope::{decode_batch, decode_envelope, encode_envelope, weight};
pub use frame::{
    FRAME_VERSION, Frame, FrameError, FrameFault, FrameKind, FrameReader, FrameTooLong,
    HEADER_BYTES, write_frame,
};
pub use hello::{
    Claim, HANDSHAKE_BYTES_MAX, Hello, Intent, PROTOCOL_MAX, PROTOCOL_MIN, Protocols, Refusal,
    Welcome,
};
pub use wire::{DecodeError, DecodeFault};

pub(crate) use wire::Reader;
