//! Nodes with good certificates.

use std::sync::Arc;

use bytes::Bytes;
use raft_core::{Address, CallError, Caller};
use raft_transport::{
    CallerConfig, Counters, MemoryNetwork, Network, Security, Stream, TcpCaller, TcpConfig,
    TcpTransport,
};

use crate::certs::Authority;
use crate::common::*;

/// A cluster's authority, and a network.
pub struct Setup {
    pub authority: Authority,
    pub network: Arc<dyn Network>,
    pub book: Book,
}

impl Setup {
    pub fn new() -> Self {
        let network = Arc::new(MemoryNetwork::default());
        Self { authority: Authority::new(), network, book: Book::default() }
    }

    pub fn config(&self, node: u64) -> TcpConfig {
        let mut config = config(node, &node.to_string());
        config.security = self.authority.security(&self.authority.node(node));
        config
    }

    /// A node with a good certificate, which answers with what it is asked.
    pub async fn node(&self, node: u64) -> TcpTransport {
        self.start(self.config(node)).await
    }

    pub async fn start(&self, config: TcpConfig) -> TcpTransport {
        let node = start(&self.network, &self.book, config).await;
        node.serve(Arc::new(Echo));
        node
    }

    pub fn caller(&self, security: Security) -> TcpCaller {
        let mut config = CallerConfig::new(1);
        config.security = security;
        config.frame_bytes_max = MAX;
        TcpCaller::new(config, Arc::clone(&self.network))
    }

    /// A client with a good certificate.
    pub fn client(&self) -> TcpCaller {
        self.caller(self.authority.security(&self.authority.client()))
    }

    pub async fn dial(&self, node: u64) -> Box<dyn Stream> {
        self.network.connect(&Address(node.to_string())).await.unwrap()
    }
}

pub async fn ask(caller: &TcpCaller, node: u64) -> Result<Bytes, CallError> {
    soon(caller.call(&Address(node.to_string()), Bytes::from("still there?"))).await
}

/// The node answers, and lets nobody wait.
pub async fn undisturbed(client: &TcpCaller, node: u64) {
    assert_eq!(ask(client, node).await, Ok(Bytes::from("still there?")));
}

/// How many have been refused, or failed, by TLS, for whatever reason.
pub fn tls_faults(counters: &Counters) -> u64 {
    counters.certificate_unknown_authority
        + counters.certificate_self_signed
        + counters.certificate_expired
        + counters.certificate_not_yet_valid
        + counters.certificate_other_cluster
        + counters.certificate_other_node
        + counters.certificate_not_of_a_node
        + counters.certificate_missing
        + counters.certificate_unusable
        + counters.refused_plaintext
        + counters.refused_tls
        + counters.tls_alerts
        + counters.tls_errors
}
