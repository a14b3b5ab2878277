//! Connections that others make.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Weak};
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{AsyncUdpSocket, Endpoint, Runtime, ServerConfig, TokioRuntime, TransportConfig};
use raft_core::Address;
use tokio::net::lookup_host;
use tokio::time::{sleep, timeout};

use super::{End, carried, fault, params};
use crate::carrier::Carried;
use crate::tls::{Note, Tls, TlsFault};

/// The tasks of quinn end by themselves, and do not say when.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Takes connections at one address.
pub(crate) struct Acceptor {
    endpoint: Endpoint,
    socket: Weak<dyn AsyncUdpSocket>,
    address: Address,
    tls: Tls,
    transport: Arc<TransportConfig>,
}

/// Somebody who wants to connect, and is not answered yet.
pub(crate) struct Incoming {
    incoming: quinn::Incoming,
    tls: Tls,
    transport: Arc<TransportConfig>,
}

/// By which the connections that were accepted can be ended.
pub(crate) struct Farewell {
    endpoint: Endpoint,
    socket: Weak<dyn AsyncUdpSocket>,
}

impl Acceptor {
    /// Listens. Of the connections that others want, `waiting_max` may wait to be accepted; those that were are
    /// closed after `silence_max` without a sign of life. To be called within a tokio runtime.
    pub(crate) async fn bind(
        tls: &Tls,
        address: &Address,
        waiting_max: usize,
        silence_max: Duration,
    ) -> io::Result<Self> {
        let found: Vec<SocketAddr> = lookup_host(&address.0).await?.collect();
        let (runtime, socket) = (Arc::new(TokioRuntime), UdpSocket::bind(&*found)?);
        let address = Address(socket.local_addr()?.to_string());
        let transport = params::transport(silence_max);
        let server = server(tls, &Note::default(), &transport).map_err(io::Error::other)?;
        let socket = runtime.wrap_udp_socket(socket)?;
        let kept = Arc::downgrade(&socket);
        let endpoint = Endpoint::new_with_abstract_socket(
            params::endpoint(&tls.reset_key()),
            Some(params::server(server, waiting_max)),
            socket,
            runtime,
        )?;
        Ok(Self { endpoint, socket: kept, address, tls: tls.clone(), transport })
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) fn farewell(&self) -> Farewell {
        Farewell { endpoint: self.endpoint.clone(), socket: self.socket.clone() }
    }

    /// Waits for the next one, and where it is.
    pub(crate) async fn accept(&self) -> io::Result<(Incoming, Address)> {
        let incoming = self.endpoint.accept().await.ok_or(io::ErrorKind::NotConnected)?;
        let from = Address(incoming.remote_address().to_string());
        let (tls, transport) = (self.tls.clone(), Arc::clone(&self.transport));
        Ok((Incoming { incoming, tls, transport }, from))
    }
}

/// For one connection: what is wrong with the other's certificate is noted.
fn server(
    tls: &Tls,
    note: &Note,
    transport: &Arc<TransportConfig>,
) -> Result<ServerConfig, String> {
    let tls = tls.server_noting(note).map_err(|error| error.to_string())?;
    let crypto = QuicServerConfig::try_from(tls).map_err(|error| error.to_string())?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(Arc::clone(transport));
    Ok(config)
}

impl Incoming {
    /// Answers only whoever has shown that it is where it seems to be; it is told to come again with the proof.
    /// Somebody who writes other senders' addresses on his datagrams gets no further.
    pub(crate) fn unless_spoofed(self) -> Option<Self> {
        let Self { incoming, tls, transport } = self;
        if incoming.remote_address_validated() {
            return Some(Self { incoming, tls, transport });
        }
        // It fails only for whoever has the proof.
        let _ = incoming.retry();
        None
    }

    /// Waits until the other side has shown who it is, and begins to speak.
    pub(crate) async fn open(self) -> Result<Carried, TlsFault> {
        let note = Note::default();
        let config = server(&self.tls, &note, &self.transport)
            .map_err(|error| TlsFault::Protocol(rustls::Error::General(error)))?;
        let connecting = self.incoming.accept_with(Arc::new(config));
        let connecting = connecting.map_err(|error| fault::of_noted(error, &note))?;
        let connection = connecting.await.map_err(|error| fault::of_noted(error, &note))?;
        carried(connection, End::Dialled).await
    }
}

impl Farewell {
    /// Takes leave of all who are connected, and waits for this long at most until they know. The address is free
    /// after that.
    pub(crate) async fn say(self, max: Duration) {
        let Self { endpoint, socket } = self;
        endpoint.close(0_u32.into(), b"");
        let gone = async {
            endpoint.wait_idle().await;
            drop(endpoint);
            while socket.strong_count() > 0 {
                sleep(LOOK_EVERY).await;
            }
        };
        // Whoever has not heard of it notices the silence.
        let _ = timeout(max, gone).await;
    }
}
