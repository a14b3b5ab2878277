//! Nodes over QUIC.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, EndpointConfig, TokioRuntime};
use raft_core::{Address, CallError, Caller};
use raft_transport::{CallerConfig, Carrier, NetCaller, NetConfig, NetTransport};

use crate::certs::Authority;
use crate::common::*;

pub const LOOPBACK: &str = "127.0.0.1:0";

/// A cluster's authority.
pub struct Setup {
    pub authority: Authority,
    pub book: Book,
}

impl Setup {
    pub fn new() -> Self {
        Self { authority: Authority::new(), book: Book::default() }
    }

    /// What a node has.
    pub fn carrier(&self, node: u64) -> Carrier {
        Carrier::Quic(self.authority.tls(&self.authority.node(node)))
    }

    /// A node that answers with what it is asked.
    pub async fn node(&self, node: u64) -> NetTransport {
        self.start(config(node, LOOPBACK)).await
    }

    pub async fn start(&self, config: NetConfig) -> NetTransport {
        self.start_on(self.carrier(config.node.0), config).await
    }

    pub async fn start_on(&self, carrier: Carrier, config: NetConfig) -> NetTransport {
        let node = start_on(carrier, &self.book, config).await;
        node.serve(Arc::new(Echo));
        node
    }

    pub fn caller_with(&self, config: CallerConfig) -> NetCaller {
        NetCaller::new(config, Carrier::Quic(self.authority.tls(&self.authority.client())))
    }

    /// A client.
    pub fn client(&self) -> NetCaller {
        self.caller_with(CallerConfig::new(1))
    }

    /// A connection of a client that does what the test likes.
    pub async fn raw(
        &self,
        node: &NetTransport,
        change: impl FnOnce(&mut ClientConfig),
    ) -> Connection {
        let tls = crate::raw::client_config(Some(&self.authority.client()));
        let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
        change(&mut config);
        let to = socket_address(node.address());
        soon(raw_endpoint().connect_with(config, to, "x.invalid").unwrap()).await.unwrap()
    }
}

/// A socket for raw connections.
pub fn raw_endpoint() -> Endpoint {
    let socket = std::net::UdpSocket::bind(LOOPBACK).unwrap();
    Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(TokioRuntime)).unwrap()
}

pub fn socket_address(address: &Address) -> std::net::SocketAddr {
    address.0.parse().unwrap()
}

pub async fn ask(caller: &NetCaller, at: &Address) -> Result<Bytes, CallError> {
    soon(caller.call(at, Bytes::from("still there?"))).await
}

/// The node answers.
pub async fn undisturbed(caller: &NetCaller, node: &NetTransport) {
    assert_eq!(ask(caller, node.address()).await, Ok(Bytes::from("still there?")));
}

/// Short deadlines, so that the test need not wait for long.
pub fn hasty(node: u64) -> NetConfig {
    let mut config = config(node, LOOPBACK);
    config.peer_liveness.ping_every = Duration::from_millis(100);
    config.peer_liveness.silence_max = Duration::from_millis(700);
    config
}

/// Nothing is concluded from silence.
pub fn patient(node: u64, listen: &str) -> NetConfig {
    let mut config = config(node, listen);
    config.peer_liveness.silence_max = Duration::from_secs(3600);
    config.peer_liveness.ping_every = Duration::from_millis(100);
    config
}
