//! Why a connection failed, in the words that other byte streams have for it.

use std::io;

use quinn::{ConnectionError, TransportErrorCode};
use rustls::AlertDescription;

use crate::tls::{CertificateFault, Note, TlsFault};

/// In a handshake in which the other side's certificate was judged.
pub(super) fn of_noted(error: ConnectionError, note: &Note) -> TlsFault {
    match note.take() {
        Some(fault) => TlsFault::Certificate(fault),
        None => of_handshake(error),
    }
}

/// In a handshake.
pub(super) fn of_handshake(error: ConnectionError) -> TlsFault {
    match &error {
        ConnectionError::TransportError(fault) => match alert(fault.code) {
            Some(AlertDescription::CertificateRequired) => {
                TlsFault::Certificate(CertificateFault::Missing)
            }
            Some(_) => TlsFault::Protocol(rustls::Error::General(fault.reason.clone())),
            None => TlsFault::Io(io::Error::other(error)),
        },
        ConnectionError::ConnectionClosed(close) => match alert(close.error_code) {
            Some(alert) => TlsFault::Alert(alert),
            None => TlsFault::Io(io::Error::other(error)),
        },
        _ => TlsFault::Io(io::Error::other(error)),
    }
}

/// On a stream. What TLS says about it is found in there by [`fault_of`](crate::tls::fault_of).
pub(super) fn of_stream(error: ConnectionError) -> io::Error {
    match &error {
        ConnectionError::ConnectionClosed(close) => match alert(close.error_code) {
            Some(alert) => io::Error::other(rustls::Error::AlertReceived(alert)),
            None => io::Error::new(io::ErrorKind::ConnectionAborted, error),
        },
        ConnectionError::TransportError(_) => io::Error::new(io::ErrorKind::InvalidData, error),
        ConnectionError::Reset => io::ErrorKind::ConnectionReset.into(),
        ConnectionError::TimedOut => io::Error::new(io::ErrorKind::TimedOut, error),
        _ => io::Error::new(io::ErrorKind::NotConnected, error),
    }
}

/// Whether the other side has closed the connection in an orderly way, or this one has.
pub(super) fn is_closed(error: &ConnectionError) -> bool {
    matches!(error, ConnectionError::ApplicationClosed(_) | ConnectionError::LocallyClosed)
}

/// The alert of TLS in a code. (RFC 9001, section 4.8.)
fn alert(code: TransportErrorCode) -> Option<AlertDescription> {
    let alert = u64::from(code).checked_sub(0x100)?;
    u8::try_from(alert).ok().map(AlertDescription::from)
}
