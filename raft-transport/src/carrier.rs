//! What carries connections: byte streams, secured or not, or QUIC.
//!
//! Everything above speaks one protocol and knows of a carrier only this: whoever dials or is dialled gets a
//! connection, which shows who is at its other end, has a stream to say hello on, and may have another one for what is
//! large ([`Carried`]).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use raft_core::Address;

use crate::config::Security;
use crate::network::{Listener, Network, Stream};
use crate::quic;
pub(crate) use crate::quic::Farewell;
use crate::tls::{Subject, Tls, TlsFault, stream};

/// What carries the connections of a node or a client. All nodes and clients of a cluster have to agree.
#[derive(Clone)]
pub enum Carrier {
    /// Byte streams, one for each connection: TCP, by [`TokioNetwork`](crate::TokioNetwork), or any other
    /// [`Network`].
    Streams {
        /// Makes the streams.
        network: Arc<dyn Network>,
        /// How they are secured.
        security: Security,
    },
    /// QUIC over UDP, which is always secured. What is large has a stream of its own, so that it does not hold up
    /// the rest. Not for a runtime with a paused clock: there are sockets beneath.
    Quic(Tls),
}

impl Carrier {
    /// Byte streams that are not secured: see [`Security::Plaintext`].
    pub fn plaintext(network: Arc<dyn Network>) -> Self {
        Self::Streams { network, security: Security::Plaintext }
    }

    /// Whose the certificate is that is shown to others; `None` if none is.
    pub(crate) fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Streams { security: Security::MutualTls(tls), .. } | Self::Quic(tls) => {
                Some(tls.subject())
            }
            Self::Streams { security: Security::Plaintext, .. } => None,
        }
    }

    /// Listens at `address`. Of those who want to connect, `waiting_max` may wait to be accepted, where that can be
    /// said; where the carrier looks for signs of life itself, it is told how long there may be none.
    pub(crate) async fn bind(
        &self,
        address: &Address,
        waiting_max: usize,
        silence_max: Duration,
    ) -> io::Result<Acceptor> {
        Ok(match self {
            Self::Streams { network, security } => {
                let listener = network.bind(address).await?;
                Acceptor::Streams { listener, security: security.clone() }
            }
            Self::Quic(tls) => {
                Acceptor::Quic(quic::Acceptor::bind(tls, address, waiting_max, silence_max).await?)
            }
        })
    }

    /// What dials. Where the carrier looks for signs of life itself, it is told how long there may be none.
    pub(crate) fn dialler(&self, silence_max: Duration) -> Dialler {
        match self.clone() {
            Self::Streams { network, security } => Dialler::Streams { network, security },
            Self::Quic(tls) => Dialler::Quic(quic::Dialler::new(tls, silence_max)),
        }
    }
}

/// Makes connections.
pub(crate) enum Dialler {
    Streams { network: Arc<dyn Network>, security: Security },
    Quic(quic::Dialler),
}

impl Dialler {
    /// Connects to `address`. May take for ever: the caller sets the deadline.
    pub(crate) async fn connect(&self, address: &Address) -> io::Result<Dialled> {
        Ok(match self {
            Self::Streams { network, security } => {
                let stream = network.connect(address).await?;
                Dialled::Stream { stream, security: security.clone() }
            }
            Self::Quic(dialler) => Dialled::Quic(dialler.connect(address).await?),
        })
    }

    /// Whether what is large has a stream of its own between nodes.
    pub(crate) fn has_bulk(&self) -> bool {
        matches!(self, Self::Quic(_))
    }

    /// Nothing is dialled any more, and the connections that were are gone; those at their other ends know of it
    /// after this time at most.
    pub(crate) async fn close(&self, max: Duration) {
        if let Self::Quic(dialler) = self {
            dialler.close(max).await;
        }
    }
}

/// Takes the connections that others make.
pub(crate) enum Acceptor {
    Streams { listener: Box<dyn Listener>, security: Security },
    Quic(quic::Acceptor),
}

impl Acceptor {
    /// Where it listens, with the port that was chosen.
    pub(crate) fn address(&self) -> Address {
        match self {
            Self::Streams { listener, .. } => listener.address().clone(),
            Self::Quic(acceptor) => acceptor.address().clone(),
        }
    }

    /// What is to be said to those who are connected when they are not served any more; `None` if the end of their
    /// connections says enough.
    pub(crate) fn farewell(&self) -> Option<Farewell> {
        match self {
            Self::Streams { .. } => None,
            Self::Quic(acceptor) => Some(acceptor.farewell()),
        }
    }

    /// Waits for the next one. Nothing is lost when the future is dropped before it is ready.
    pub(crate) async fn accept(&mut self) -> io::Result<Arrived> {
        Ok(match self {
            Self::Streams { listener, security } => {
                let (stream, from) = listener.accept().await?;
                let kind = ArrivedKind::Stream { stream, security: security.clone() };
                Arrived { from, kind }
            }
            Self::Quic(acceptor) => {
                let (incoming, from) = acceptor.accept().await?;
                Arrived { from, kind: ArrivedKind::Quic(Box::new(incoming)) }
            }
        })
    }
}

/// A connection that somebody has made, and nothing is known of whom.
pub(crate) struct Arrived {
    /// From where.
    pub(crate) from: Address,
    kind: ArrivedKind,
}

enum ArrivedKind {
    Stream { stream: Box<dyn Stream>, security: Security },
    Quic(Box<quic::Incoming>),
}

impl Arrived {
    /// Nothing, if it may be that whoever wants to connect is not where it seems to be. It comes again with a proof,
    /// if it is.
    pub(crate) fn unless_spoofed(self) -> Option<Self> {
        let Self { from, kind } = self;
        let kind = match kind {
            // TCP has made sure of that.
            ArrivedKind::Stream { .. } => kind,
            ArrivedKind::Quic(incoming) => ArrivedKind::Quic(Box::new(incoming.unless_spoofed()?)),
        };
        Some(Self { from, kind })
    }

    /// Waits until whoever dials has shown who it is. The caller sets the deadline.
    pub(crate) async fn open(self) -> Result<Carried, TlsFault> {
        match self.kind {
            ArrivedKind::Stream { stream, security } => stream::accept(&security, stream).await,
            ArrivedKind::Quic(incoming) => incoming.open().await,
        }
    }
}

/// A connection that was made from here.
pub(crate) enum Dialled {
    Stream { stream: Box<dyn Stream>, security: Security },
    Quic(quic::Connecting),
}

impl Dialled {
    /// Waits until whoever was dialled has shown who it is. The caller sets the deadline.
    pub(crate) async fn open(self) -> Result<Carried, TlsFault> {
        match self {
            Self::Stream { stream, security } => stream::connect(&security, stream).await,
            Self::Quic(connecting) => connecting.open().await,
        }
    }
}

/// A connection on which nothing was said yet.
pub(crate) struct Carried {
    /// What hello is said on, and what follows it.
    pub(crate) stream: Box<dyn Stream>,
    /// Who is at the other end; `None` where there are no certificates.
    pub(crate) subject: Option<Subject>,
    /// Where there is more of it.
    pub(crate) further: Further,
}

/// What a connection has beside its first stream.
pub(crate) enum Further {
    Nothing,
    Quic(quic::Streams),
}

impl Further {
    /// The stream for what is large, if there is one. The caller sets the deadline.
    pub(crate) async fn bulk(&self) -> io::Result<Option<Box<dyn Stream>>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Quic(streams) => streams.bulk().await.map(Some),
        }
    }
}
