//! Why connections end, and how that is counted.

use std::io;

use thiserror::Error;

use crate::codec::{DecodeError, FrameError, FrameFault, FrameKind};
use crate::counters::Tally;
use crate::tls::{TlsFault, fault_of};

/// Why a connection ended.
#[derive(Debug, Error)]
pub(crate) enum LinkError {
    #[error("the other side closed the connection")]
    Closed,
    #[error("{0}")]
    Io(io::Error),
    #[error("{0}")]
    Tls(TlsFault),
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("bad payload in the frame at byte {at} of the stream: {error}")]
    Payload { at: u64, error: DecodeError },
    #[error("a frame of the kind {0:?} has no place here")]
    Kind(FrameKind),
    #[error("a message between other nodes than the two that are connected")]
    Misaddressed,
    #[error("nothing was heard for too long")]
    Silent,
    #[error("the other side does not read")]
    Stalled,
}

impl LinkError {
    /// Why the stream failed; counted, if it is TLS that failed.
    pub(super) fn of_stream(error: io::Error, tally: &Tally) -> Self {
        match fault_of(&error) {
            Some(fault) => Self::of_tls(fault, tally),
            None if error.kind() == io::ErrorKind::TimedOut => {
                tally.closed_idle.one();
                Self::Silent
            }
            None => Self::Io(error),
        }
    }

    /// What is wrong with a frame of which this much has arrived; counted.
    pub(super) fn of_frame(error: FrameError, arrived: &[u8], tally: &Tally) -> Self {
        let begins = match error.fault {
            FrameFault::Magic { found } => Some(found),
            // An alert is shorter than the header of a frame.
            FrameFault::Truncated { .. } => arrived.first_chunk().copied(),
            _ => None,
        };
        // As a record of TLS does: with its kind, and the first byte of its version.
        if let (0, Some([0x14..=0x17, 0x03])) = (error.at, begins) {
            return Self::of_tls(TlsFault::Unexpected, tally);
        }
        let count = match error.fault {
            FrameFault::Magic { .. } | FrameFault::Version { .. } => &tally.rejected_format,
            FrameFault::HeaderChecksum | FrameFault::PayloadChecksum => &tally.rejected_checksum,
            FrameFault::Kind { .. } => &tally.rejected_kind,
            FrameFault::TooLong { .. } => &tally.rejected_too_long,
            FrameFault::Truncated { .. } => &tally.rejected_truncated,
        };
        count.one();
        Self::Frame(error)
    }

    fn of_tls(fault: TlsFault, tally: &Tally) -> Self {
        fault.count(tally);
        Self::Tls(fault)
    }
}
