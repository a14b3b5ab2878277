//! Connections that are made from here.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint, TokioRuntime, TransportConfig};
use raft_core::Address;
use tokio::net::lookup_host;

use super::{End, carried, fault, params};
use crate::carrier::Carried;
use crate::tls::{Note, SERVER_NAME, Tls, TlsFault};

/// A name may stand for many addresses; these are tried, all at once, and whoever answers first is taken.
const ADDRESSES_MAX: usize = 4;

/// Dials, over one socket for each family of addresses, which is made when it is needed.
pub(crate) struct Dialler {
    tls: Tls,
    transport: Arc<TransportConfig>,
    sockets: Mutex<Sockets>,
}

#[derive(Default)]
struct Sockets {
    v4: Option<Endpoint>,
    v6: Option<Endpoint>,
}

/// A connection on which somebody has answered.
pub(crate) struct Connecting {
    connecting: quinn::Connecting,
    note: Note,
}

impl Dialler {
    /// Connections are closed after so long without a sign of life.
    pub(crate) fn new(tls: Tls, silence_max: Duration) -> Self {
        let transport = params::transport(silence_max);
        Self { tls, transport, sockets: Mutex::default() }
    }

    /// Waits until somebody answers at `address`. To be called within a tokio runtime.
    pub(crate) async fn connect(&self, address: &Address) -> io::Result<Connecting> {
        let mut answers = FuturesUnordered::new();
        let mut failed = io::Error::from(io::ErrorKind::NotFound);
        let mut refused = None;
        for at in lookup_host(&address.0).await?.take(ADDRESSES_MAX) {
            match self.begin(at) {
                Ok(connecting) => answers.push(connecting.answered()),
                Err(error) => failed = error,
            }
        }
        while let Some(answered) = answers.next().await {
            match answered {
                Ok(connecting) => return Ok(connecting),
                // Its reason is found when it is opened.
                Err(connecting) => refused = Some(connecting),
            }
        }
        refused.ok_or(failed)
    }

    fn begin(&self, at: SocketAddr) -> io::Result<Connecting> {
        let note = Note::default();
        let tls = self.tls.client_noting(&note).map_err(io::Error::other)?;
        let crypto = QuicClientConfig::try_from(tls).map_err(io::Error::other)?;
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::clone(&self.transport));
        let connecting = self.socket(at.ip())?.connect_with(config, at, SERVER_NAME);
        Ok(Connecting { connecting: connecting.map_err(io::Error::other)?, note })
    }

    fn sockets(&self) -> std::sync::MutexGuard<'_, Sockets> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The socket for addresses like this one.
    fn socket(&self, to: IpAddr) -> io::Result<Endpoint> {
        let mut sockets = self.sockets();
        let (socket, from): (_, SocketAddr) = match to {
            IpAddr::V4(_) => (&mut sockets.v4, (Ipv4Addr::UNSPECIFIED, 0).into()),
            IpAddr::V6(_) => (&mut sockets.v6, (Ipv6Addr::UNSPECIFIED, 0).into()),
        };
        if let Some(endpoint) = socket {
            return Ok(endpoint.clone());
        }
        let config = params::endpoint(&self.tls.reset_key());
        let made = Endpoint::new(config, None, UdpSocket::bind(from)?, Arc::new(TokioRuntime))?;
        Ok(socket.insert(made).clone())
    }

    /// Takes leave of all whom it has connected to, and waits for this long at most until they know.
    pub(crate) async fn close(&self, max: Duration) {
        let Sockets { v4, v6 } = std::mem::take(&mut *self.sockets());
        for endpoint in [v4, v6].into_iter().flatten() {
            endpoint.close(0_u32.into(), b"");
            // Whoever has not heard of it notices the silence.
            let _ = tokio::time::timeout(max, endpoint.wait_idle()).await;
        }
    }
}

impl Connecting {
    /// Waits until the other side has answered, or cannot; what came of it is found in [`Self::open`].
    async fn answered(mut self) -> Result<Self, Self> {
        match self.connecting.handshake_data().await {
            Ok(_) => Ok(self),
            Err(_) => Err(self),
        }
    }

    /// Waits until the other side has shown who it is.
    pub(crate) async fn open(self) -> Result<Carried, TlsFault> {
        let Self { connecting, note } = self;
        let connection = connecting.await.map_err(|error| fault::of_noted(error, &note))?;
        carried(connection, End::Dialler).await
    }
}
