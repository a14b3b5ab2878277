//! Nothing is taken before a handshake is over.

use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint};

use crate::common::*;
use crate::raw;
use crate::setup::*;

/// A client that wants to say something before the handshake is over (0-RTT), once with a node of ours and once with
/// somebody who lets it.
#[tokio::test]
async fn early_data_is_refused() {
    let setup = Setup::new();
    let node = setup.node(2).await;
    let mut tls = (*raw::client_config(Some(&setup.authority.client()))).clone();
    tls.enable_early_data = true;
    let tls = Arc::new(tls);
    let config = || ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls.clone()).unwrap()));
    let socket = raw_endpoint();
    // Twice, because for early data there has to be a ticket of an earlier connection.
    let generous = raw::quic_server(&setup.authority.node(2));
    let takes = generous.local_addr().unwrap();
    tokio::spawn(async move {
        while let Some(incoming) = generous.accept().await {
            tokio::spawn(async move { incoming.await.unwrap().closed().await });
        }
    });
    assert!(!early(&socket, config(), takes).await);
    assert!(early(&socket, config(), takes).await, "the test itself does nothing");
    let ours = socket_address(node.address());
    assert!(!early(&socket, config(), ours).await);
    assert!(!early(&socket, config(), ours).await);
}

/// Whether something could be said early.
async fn early(socket: &Endpoint, config: ClientConfig, to: std::net::SocketAddr) -> bool {
    let connecting = socket.connect_with(config, to, "x.invalid").unwrap();
    let (connection, early) = match connecting.into_0rtt() {
        Ok((connection, accepted)) => (connection, soon(accepted).await),
        Err(connecting) => (soon(connecting).await.unwrap(), false),
    };
    // A ticket comes after the handshake.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    connection.close(0_u32.into(), b"");
    early
}
