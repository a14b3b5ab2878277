//! Nodes with good certificates.

use std::sync::Arc;

use bytes::Bytes;
use raft_core::{Address, CallError, Caller};
use raft_transport::{
    CallerConfig, Carrier, Counters, MemoryNetwork, NetCaller, NetConfig, NetTransport, Network,
    Security, Stream,
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

    pub fn config(&self, node: u64) -> NetConfig {
        config(node, &node.to_string())
    }

    pub fn carrier(&self, security: Security) -> Carrier {
        Carrier::Streams { network: Arc::clone(&self.network), security }
    }

    /// A node with a good certificate, which answers with what it is asked.
    pub async fn node(&self, node: u64) -> NetTransport {
        self.start(node, self.authority.security(&self.authority.node(node))).await
    }

    pub async fn start_good(&self, config: NetConfig) -> NetTransport {
        let security = self.authority.security(&self.authority.node(config.node.0));
        self.start_with(config, security).await
    }

    pub async fn start(&self, node: u64, security: Security) -> NetTransport {
        self.start_with(self.config(node), security).await
    }

    pub async fn start_with(&self, config: NetConfig, security: Security) -> NetTransport {
        let node = start_on(self.carrier(security), &self.book, config).await;
        node.serve(Arc::new(Echo));
        node
    }

    pub fn caller(&self, security: Security) -> NetCaller {
        let mut config = CallerConfig::new(1);
        config.frame_bytes_max = MAX;
        NetCaller::new(config, self.carrier(security))
    }

    /// A client with a good certificate.
    pub fn client(&self) -> NetCaller {
        self.caller(self.authority.security(&self.authority.client()))
    }

    pub async fn dial(&self, node: u64) -> Box<dyn Stream> {
        self.network.connect(&Address(node.to_string())).await.unwrap()
    }
}

pub async fn ask(caller: &NetCaller, node: u64) -> Result<Bytes, CallError> {
    soon(caller.call(&Address(node.to_string()), Bytes::from("still there?"))).await
}

/// The node answers, and lets nobody wait.
pub async fn undisturbed(client: &NetCaller, node: u64) {
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
