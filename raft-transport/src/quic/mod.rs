//! QUIC: connections over UDP, by quinn.
//!
//! A connection has two streams. Hello is said on the first, and what is urgent follows it, or a client's requests;
//! between nodes there is a second one for what is large ([`Streams::bulk`]), of lower priority, so that a snapshot
//! that is on its way never stands in front of a heartbeat. Frames, signs of life and deadlines are those of other
//! byte streams; what is different is said in `docs/adr/0014`.
//!
//! Invariants:
//! 1. There is always TLS, by the configurations and the rules of [`crate::tls`]. Nothing is resumed, and nothing
//!    is taken before the handshake is over (0-RTT).
//! 2. What the other side may make us hold for a connection is bounded: see [`params`].

mod accept;
mod dial;
mod fault;
mod params;
mod reset;
mod stream;

pub(crate) use accept::{Acceptor, Farewell, Incoming};
pub(crate) use dial::{Connecting, Dialler};

use std::io;

use quinn::Connection;
use rustls_pki_types::CertificateDer;

use crate::carrier::{Carried, Further};
use crate::network::Stream;
use crate::tls::{CertificateFault, Subject, TlsFault};
use stream::QuicStream;

/// The priorities of the streams: what is urgent is sent first.
const URGENT: i32 = 1;
const BULK: i32 = 0;

/// Which end of a connection this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Dialler,
    Dialled,
}

/// Where a connection has its other streams.
pub(crate) struct Streams {
    connection: Connection,
    end: End,
}

impl Streams {
    /// The second stream, for what is large. Whoever dials opens it, and has to say something on it: only then does
    /// the other side see it. The caller sets the deadline.
    pub(crate) async fn bulk(&self) -> io::Result<Box<dyn Stream>> {
        let opened = match self.end {
            End::Dialler => self.connection.open_bi().await,
            End::Dialled => self.connection.accept_bi().await,
        };
        let (send, receive) = opened.map_err(fault::of_stream)?;
        Ok(Box::new(QuicStream::new(send, receive, BULK)))
    }
}

/// Opens the first stream of a connection, on which nothing was said yet.
async fn carried(connection: Connection, end: End) -> Result<Carried, TlsFault> {
    let opened = match end {
        End::Dialler => connection.open_bi().await,
        End::Dialled => connection.accept_bi().await,
    };
    let (send, receive) = opened.map_err(fault::of_handshake)?;
    let shown = connection.peer_identity();
    let shown = shown.and_then(|shown| shown.downcast::<Vec<CertificateDer<'static>>>().ok());
    let shown = shown.as_ref().and_then(|chain| chain.first());
    let subject = shown.ok_or(CertificateFault::Missing).and_then(|der| Subject::of(der));
    Ok(Carried {
        stream: Box::new(QuicStream::new(send, receive, URGENT)),
        subject: Some(subject.map_err(TlsFault::Certificate)?),
        further: Further::Quic(Streams { connection, end }),
    })
}
