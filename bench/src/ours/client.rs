//! Clients of our servers: clerks, as an application would use them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kv::{Clerk, ClerkConfig};
use raft_core::Address;
use raft_transport::{CallerConfig, Carrier, NetCaller, TokioNetwork};

use crate::load::Put;

/// Longer than any failover that is measured takes one attempt to notice.
const PROBE: Duration = Duration::from_millis(100);

/// A client; clones share its connection and its session.
#[derive(Clone)]
pub(crate) struct Client(Clerk);

/// A clerk with one connection to the leader of the servers at `endpoints`. Within a runtime only.
pub(crate) fn clerk(endpoints: &[SocketAddr]) -> Clerk {
    configured(endpoints, ClerkConfig::default())
}

fn configured(endpoints: &[SocketAddr], mut config: ClerkConfig) -> Clerk {
    // Clients differ by their ports; the first endpoint is enough to tell probes apart.
    let seed = endpoints.first().map_or(0, |endpoint| u64::from(endpoint.port()));
    config.seed = seed;
    let caller =
        NetCaller::new(CallerConfig::new(seed), Carrier::plaintext(Arc::new(TokioNetwork)));
    let endpoints = endpoints.iter().map(|endpoint| Address::from(endpoint.to_string()));
    Clerk::new(Arc::new(caller), endpoints, config)
}

/// `n` clients of one connection each.
pub(crate) fn connect(endpoints: &[SocketAddr], n: usize) -> Vec<Client> {
    (0..n).map(|_| Client(clerk(endpoints))).collect()
}

/// For each server a client that asks it first, and whose puts give up soon: they are sent often. Each has
/// put something once, so that neither handshake nor session is in the figure.
pub(crate) async fn probes(servers: &[SocketAddr]) -> Result<Vec<Client>, String> {
    let mut probes = Vec::new();
    for n in 0..servers.len() {
        let mut endpoints = servers.to_vec();
        endpoints.rotate_left(n);
        let mut config = ClerkConfig::default();
        config.backoff_max = config.backoff_min;
        let clerk = configured(&endpoints, config);
        clerk.put(b"probe", b"").await.map_err(|error| error.to_string())?;
        probes.push(Client(clerk.with_deadline(PROBE)));
    }
    Ok(probes)
}

impl Put for Client {
    async fn put(&self, key: Bytes, value: Bytes) -> Result<(), String> {
        self.0.put(&key, &value).await.map(drop).map_err(|error| error.to_string())
    }
}
