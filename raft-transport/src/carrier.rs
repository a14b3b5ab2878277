//! What carries connections: byte streams, secured or not, or QUIC.
//!
//! Everything above speaks one protocol and knows of a carrier only this: whoever dials or is dialled gets a
//! connection, which shows who is at its other end and has a stream to say hello on ([`Carried`]).

use std::io;
use std::sync::Arc;

use raft_core::Address;

use crate::config::Security;
use crate::network::{Listener, Network, Stream};
use crate::tls::{Subject, TlsFault, stream};

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
}

impl Carrier {
    /// Byte streams that are not secured: see [`Security::Plaintext`].
    pub fn plaintext(network: Arc<dyn Network>) -> Self {
        Self::Streams { network, security: Security::Plaintext }
    }

    /// Whose the certificate is that is shown to others; `None` if none is.
    pub(crate) fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Streams { security: Security::MutualTls(tls), .. } => Some(tls.subject()),
            Self::Streams { security: Security::Plaintext, .. } => None,
        }
    }

    /// Listens at `address`.
    pub(crate) async fn bind(&self, address: &Address) -> io::Result<Acceptor> {
        match self {
            Self::Streams { network, security } => {
                let listener = network.bind(address).await?;
                Ok(Acceptor::Streams { listener, security: security.clone() })
            }
        }
    }

    /// Connects to `address`. May take for ever: the caller sets the deadline.
    pub(crate) async fn connect(&self, address: &Address) -> io::Result<Dialled> {
        match self {
            Self::Streams { network, security } => {
                let stream = network.connect(address).await?;
                Ok(Dialled::Stream { stream, security: security.clone() })
            }
        }
    }
}

/// Takes the connections that others make.
pub(crate) enum Acceptor {
    Streams { listener: Box<dyn Listener>, security: Security },
}

impl Acceptor {
    /// Where it listens, with the port that was chosen.
    pub(crate) fn address(&self) -> Address {
        match self {
            Self::Streams { listener, .. } => listener.address().clone(),
        }
    }

    /// Waits for the next one. Nothing is lost when the future is dropped before it is ready.
    pub(crate) async fn accept(&mut self) -> io::Result<Arrived> {
        match self {
            Self::Streams { listener, security } => {
                let (stream, from) = listener.accept().await?;
                let security = security.clone();
                Ok(Arrived { from, kind: ArrivedKind::Stream { stream, security } })
            }
        }
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
}

impl Arrived {
    /// Waits until whoever dials has shown who it is. The caller sets the deadline.
    pub(crate) async fn open(self) -> Result<Carried, TlsFault> {
        match self.kind {
            ArrivedKind::Stream { stream, security } => stream::accept(&security, stream).await,
        }
    }
}

/// A connection that was made from here.
pub(crate) enum Dialled {
    Stream { stream: Box<dyn Stream>, security: Security },
}

impl Dialled {
    /// Waits until whoever was dialled has shown who it is. The caller sets the deadline.
    pub(crate) async fn open(self) -> Result<Carried, TlsFault> {
        match self {
            Self::Stream { stream, security } => stream::connect(&security, stream).await,
        }
    }
}

/// A connection on which nothing was said yet.
pub(crate) struct Carried {
    /// What hello is said on, and what follows it.
    pub(crate) stream: Box<dyn Stream>,
    /// Who is at the other end; `None` where there are no certificates.
    pub(crate) subject: Option<Subject>,
}
