//! Wrong certificates, in both directions: refused for the same reasons, and counted by the same counters, as over TCP.

use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use raft_core::{CallError, NodeId, Transport};
use raft_transport::codec::{FrameKind, Refusal};
use raft_transport::{Carrier, Counters, NetCaller};

use crate::certs::{Authority, Issued, Usage, VALID, self_signed};
use crate::common::*;
use crate::log::Log;
use crate::raw;
use crate::setup::*;

fn faults(counters: &Counters) -> u64 {
    counters.certificate_unknown_authority
        + counters.certificate_self_signed
        + counters.certificate_expired
        + counters.certificate_not_yet_valid
        + counters.certificate_other_cluster
        + counters.certificate_other_node
        + counters.certificate_not_of_a_node
        + counters.certificate_missing
        + counters.certificate_unusable
        + counters.tls_alerts
        + counters.tls_errors
}

type Stream = tokio::io::Join<quinn::RecvStream, quinn::SendStream>;

/// A stream to the node by somebody who shows this.
async fn dial(to: &raft_transport::NetTransport, tls: Arc<rustls::ClientConfig>) -> Raw<Stream> {
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let to = socket_address(to.address());
    let connecting = raw_endpoint().connect_with(config, to, "x.invalid").unwrap();
    let (send, receive) = soon(connecting).await.unwrap().open_bi().await.unwrap();
    Raw::new(tokio::io::join(receive, send))
}

/// A node that is dialled with `shown` refuses, says why in its log with the address, and counts it.
async fn refused(setup: &Setup, shown: Option<&Issued>, counter: fn(&Counters) -> u64, says: &str) {
    let (log, _guard) = Log::start();
    let node = setup.node(2).await;
    let good = setup.client();
    undisturbed(&good, &node).await;
    // Whoever dials has done its part before its certificate is judged: it finds out later.
    let mut raw = dial(&node, raw::client_config(shown)).await;
    raw.say(&client_hello()).await;
    assert_eq!(raw.hear().await, None);
    let counters = node.counters();
    assert_eq!((counter(&counters), faults(&counters)), (1, 1), "{counters:?}");
    let logged = log.take();
    let at = logged.find("handshake with 127.0.0.1:").unwrap_or_else(|| panic!("{logged}"));
    assert!(logged[at..].contains(&format!(" failed: {says}")), "{logged}");
    undisturbed(&good, &node).await;
    assert_eq!(node.counters().client_connections, 1);
}

#[tokio::test]
async fn wrong_certificates_of_whoever_dials() {
    let setup = Setup::new();
    let (ours, others) = (&setup.authority, Authority::new());
    let node = "raft://77/node/1";
    let issue = |names: &[&str], days| ours.issue(names, Usage::BothEnds, days);
    let says = "the certificate is not signed by this cluster's authority";
    refused(&setup, Some(&others.node(1)), |c| c.certificate_unknown_authority, says).await;
    let says = "the certificate is signed by itself";
    refused(&setup, Some(&self_signed(node)), |c| c.certificate_self_signed, says).await;
    let says = "the certificate has expired";
    refused(&setup, Some(&issue(&[node], (-9, -1))), |c| c.certificate_expired, says).await;
    let says = "the certificate is not valid yet";
    refused(&setup, Some(&issue(&[node], (1, 9))), |c| c.certificate_not_yet_valid, says).await;
    let says = "the certificate is of another cluster: raft://78/node/1";
    let strange = issue(&["raft://78/node/1"], VALID);
    refused(&setup, Some(&strange), |c| c.certificate_other_cluster, says).await;
    refused(&setup, None, |c| c.certificate_missing, "there is no certificate").await;
    let says = "the certificate cannot be used: it has several names";
    let twice = issue(&[node, "raft://77/node/2"], VALID);
    refused(&setup, Some(&twice), |c| c.certificate_unusable, says).await;
}

/// The certificate of another is no secret; its key is.
#[tokio::test]
async fn a_certificate_without_its_key() {
    let setup = Setup::new();
    let node = setup.node(2).await;
    let (mut stolen, own) = (setup.authority.node(1), setup.authority.client());
    stolen.key = own.key;
    let mut raw = dial(&node, raw::careless_client_config(&stolen)).await;
    raw.say(&peer_hello(1, 2)).await;
    assert_eq!(raw.hear().await, None);
    let counters = node.counters();
    assert_eq!((counters.certificate_unusable, faults(&counters)), (1, 1), "{counters:?}");
}

/// A right certificate, and a hello that claims to be another. The answer arrives, though the connection ends with it.
#[tokio::test]
async fn the_hello_of_another() {
    let setup = Setup::new();
    setup.book.set(0, &"127.0.0.1:1".into());
    let node = setup.node(2).await;
    let mut raw = dial(&node, raw::client_config(Some(&setup.authority.node(1)))).await;
    raw.say(&peer_hello(0, 2)).await;
    let answer = raw.hear().await.unwrap();
    assert_eq!(answer.kind, FrameKind::Refusal);
    assert_eq!(Refusal::decode(&answer.payload), Ok(Refusal::WrongCertificate));
    raw.closed().await;
    assert_eq!(node.counters().certificate_other_node, 1);
}

/// What is shown, and what counts it.
type Case = (Issued, fn(&Counters) -> u64);

/// Whoever is dialled shows the certificate of another node, of another cluster, or of another authority.
#[tokio::test]
async fn wrong_certificates_of_whoever_is_dialled() {
    let setup = Setup::new();
    let others = Authority::new();
    let cases: [Case; 3] = [
        (setup.authority.node(3), |c| c.certificate_other_node),
        (setup.authority.issue(&["raft://78/node/2"], Usage::BothEnds, VALID), |c| {
            c.certificate_other_cluster
        }),
        (others.node(2), |c| c.certificate_unknown_authority),
    ];
    for (shown, counter) in cases {
        let impostor = raw::quic_server(&shown);
        setup.book.set(2, &impostor.local_addr().unwrap().to_string().as_str().into());
        let accepting = tokio::spawn(async move {
            while let Some(incoming) = impostor.accept().await {
                tokio::spawn(async move { incoming.await?.accept_bi().await });
            }
        });
        let one = setup.start_on(setup.carrier(1), config(1, LOOPBACK)).await;
        one.send(&mut vec![vote(1, 1, 2, 1)]);
        until(&one, |counters| counter(counters) >= 1).await;
        assert_eq!(one.counters().peer_connections, 0);
        accepting.abort();
    }
}

/// A client learns why, and that nothing was sent.
#[tokio::test]
async fn a_client_is_told() {
    let setup = Setup::new();
    let node = setup.node(2).await;
    let others = Authority::new();
    let stranger = Carrier::Quic(others.tls(&others.client()));
    let stranger = NetCaller::new(raft_transport::CallerConfig::new(1), stranger);
    let Err(CallError::NotSent { reason }) = ask(&stranger, node.address()).await else {
        panic!("it was sent")
    };
    assert!(reason.contains("not signed by this cluster's authority"), "{reason}");
    assert_eq!(stranger.counters().certificate_unknown_authority, 1);
    until(&node, |counters| counters.tls_alerts == 1).await;
}

#[tokio::test]
async fn a_node_does_not_start_with_the_certificate_of_another() {
    let setup = Setup::new();
    let bound = raft_transport::NetTransport::bind(
        config(2, LOOPBACK),
        setup.carrier(3),
        setup.book.peers(),
    );
    let Err(raft_transport::BindError::WrongCertificate { node, .. }) = bound.await else {
        panic!("it started")
    };
    assert_eq!(node, NodeId(2));
}
