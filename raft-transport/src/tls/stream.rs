//! TLS over any stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::{CertificateFault, SERVER_NAME, Subject, TlsFault, fault_of};
use crate::carrier::{Carried, Further};
use crate::config::Security;
use crate::network::Stream;

/// Secures a stream to whoever was dialled: a node of the cluster. The caller sets the deadline.
pub(crate) async fn connect(
    security: &Security,
    stream: Box<dyn Stream>,
) -> Result<Carried, TlsFault> {
    let Security::MutualTls(tls) = security else {
        return Ok(Carried { stream, subject: None, further: Further::Nothing });
    };
    let name = ServerName::try_from(SERVER_NAME)
        .map_err(|error| TlsFault::Protocol(rustls::Error::General(error.to_string())))?;
    let connected = TlsConnector::from(tls.client()).connect(name, stream).await;
    let stream = connected.map_err(handshake_fault)?;
    secured(stream.into())
}

/// Secures a stream from whoever has dialled: a node or a client of the cluster. The caller sets the deadline.
pub(crate) async fn accept(
    security: &Security,
    stream: Box<dyn Stream>,
) -> Result<Carried, TlsFault> {
    let Security::MutualTls(tls) = security else {
        return Ok(Carried { stream, subject: None, further: Further::Nothing });
    };
    let accepted = TlsAcceptor::from(tls.server()).accept(stream).await;
    let stream = accepted.map_err(handshake_fault)?;
    secured(stream.into())
}

fn secured(stream: TlsStream<Box<dyn Stream>>) -> Result<Carried, TlsFault> {
    let (_, session) = stream.get_ref();
    let shown = session.peer_certificates().and_then(<[CertificateDer<'_>]>::first);
    let subject = shown.ok_or(CertificateFault::Missing).and_then(|der| Subject::of(der));
    let subject = Some(subject.map_err(TlsFault::Certificate)?);
    Ok(Carried { stream: Box::new(Ending(stream)), subject, further: Further::Nothing })
}

fn handshake_fault(error: io::Error) -> TlsFault {
    match fault_of(&error) {
        Some(fault) => fault,
        None if error.kind() == io::ErrorKind::UnexpectedEof => TlsFault::HungUp,
        None => TlsFault::Io(error),
    }
}

/// A stream that ends when the one beneath does, with TLS' own farewell or without it: frames have a length,
/// so that a part of one is not taken for a whole, and nothing is concluded from the end of a connection.
struct Ending(TlsStream<Box<dyn Stream>>);

impl AsyncRead for Ending {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.0).poll_read(context, buffer) {
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Poll::Ready(Ok(()))
            }
            other => other,
        }
    }
}

impl AsyncWrite for Ending {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
