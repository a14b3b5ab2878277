//! A node that is dialled by somebody who shows the wrong certificate, or none.

use raft_core::NodeId;
use raft_transport::Counters;
use raft_transport::codec::{FrameKind, Refusal};

use crate::certs::{Authority, Issued, Usage, VALID, self_signed};
use crate::common::*;
use crate::log::Log;
use crate::raw;
use crate::setup::*;

/// A node that is dialled with `shown` refuses, says why in its log, counts it, and nothing else has changed.
async fn refused(setup: &Setup, shown: Option<&Issued>, counter: fn(&Counters) -> u64, says: &str) {
    let (log, _guard) = Log::start();
    let node = setup.node(2).await;
    let good = setup.client();
    undisturbed(&good, 2).await;
    let dialled = raw::connect(setup.dial(2).await, raw::client_config(shown)).await;
    // Whoever dials has done its part before its certificate is judged: it finds out with its first read.
    let mut raw = Raw::new(dialled.unwrap());
    raw.say(&client_hello()).await;
    assert_eq!(raw.hear().await, None);
    let counters = node.counters();
    assert_eq!((counter(&counters), tls_faults(&counters)), (1, 1), "{counters:?}");
    let logged = log.take();
    assert!(logged.contains(&format!("handshake with this process failed: {says}")), "{logged}");
    assert_eq!((counters.client_connections, counters.bytes_in > 0), (1, true));
    undisturbed(&good, 2).await;
    node.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn wrong_certificates() {
    let setup = Setup::new();
    let (ours, others) = (&setup.authority, Authority::new());
    let node = "raft://77/node/1";
    let issue = |names: &[&str], days| ours.issue(names, Usage::BothEnds, days);

    // Another authority of the same name, and one that is not an authority at all.
    let says = "the certificate is not signed by this cluster's authority";
    refused(&setup, Some(&others.node(1)), |c| c.certificate_unknown_authority, says).await;
    refused(&setup, Some(&others.client()), |c| c.certificate_unknown_authority, says).await;
    let says = "the certificate is signed by itself";
    refused(&setup, Some(&self_signed(node)), |c| c.certificate_self_signed, says).await;

    let says = "the certificate has expired";
    refused(&setup, Some(&issue(&[node], (-9, -1))), |c| c.certificate_expired, says).await;
    let says = "the certificate is not valid yet";
    refused(&setup, Some(&issue(&[node], (1, 9))), |c| c.certificate_not_yet_valid, says).await;

    let says = "the certificate is of another cluster: raft://78/node/1";
    let strange = issue(&["raft://78/node/1"], VALID);
    refused(&setup, Some(&strange), |c| c.certificate_other_cluster, says).await;
    let says = "the certificate is of another cluster: raft://78/client/x";
    let strange = issue(&["raft://78/client/x"], VALID);
    refused(&setup, Some(&strange), |c| c.certificate_other_cluster, says).await;

    refused(&setup, None, |c| c.certificate_missing, "there is no certificate").await;
    let says = "the certificate has no name that begins with raft://";
    let unnamed = issue(&["spiffe://77/node/1"], VALID);
    refused(&setup, Some(&unnamed), |c| c.certificate_unusable, says).await;
    let says = "the certificate cannot be used: it has several names";
    let twice = issue(&[node, "raft://77/node/2"], VALID);
    refused(&setup, Some(&twice), |c| c.certificate_unusable, says).await;
    let says = "the certificate cannot be used: `raft://77/node/01` is not written like";
    let crooked = issue(&["raft://77/node/01"], VALID);
    refused(&setup, Some(&crooked), |c| c.certificate_unusable, says).await;
    let says = "the certificate is of an authority: raft://77/authority";
    let sub = issue(&["raft://77/authority"], VALID);
    refused(&setup, Some(&sub), |c| c.certificate_unusable, says).await;
}

/// A key that is not the certificate's: the certificate of another is no secret.
#[tokio::test(start_paused = true)]
async fn a_certificate_without_its_key() {
    let setup = Setup::new();
    let node = setup.node(2).await;
    let (mut stolen, own) = (setup.authority.node(1), setup.authority.client());
    stolen.key = own.key;
    let dialled = raw::connect(setup.dial(2).await, raw::careless_client_config(&stolen)).await;
    let mut raw = Raw::new(dialled.unwrap());
    raw.say(&peer_hello(1, 2)).await;
    assert_eq!(raw.hear().await, None);
    let counters = node.counters();
    assert_eq!((counters.certificate_unusable, tls_faults(&counters)), (1, 1), "{counters:?}");
}

/// What is shown, what counts it, and what the log says.
type Case<'a> = (&'a Issued, fn(&Counters) -> u64, &'a str);

/// A right certificate, and a hello that claims to be somebody else.
#[tokio::test(start_paused = true)]
async fn the_hello_of_another() {
    let setup = Setup::new();
    setup.book.set(0, &"0".into());
    setup.book.set(1, &"1".into());
    let (log, _guard) = Log::start();
    let node = setup.node(2).await;
    let good = setup.client();
    let (one, client) = (setup.authority.node(1), setup.authority.client());
    let cases: [Case<'_>; 2] = [
        (&one, |c| c.certificate_other_node, "the certificate is not of n0: raft://77/node/1"),
        (
            &client,
            |c| c.certificate_not_of_a_node,
            "the certificate is not of a node: raft://77/client/test",
        ),
    ];
    for (number, (shown, counter, says)) in (1..).zip(cases) {
        // The log has one complaint a second.
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        let dialled = raw::connect(setup.dial(2).await, raw::client_config(Some(shown))).await;
        let mut raw = Raw::new(dialled.unwrap());
        raw.say(&peer_hello(0, 2)).await;
        let answer = raw.hear().await.unwrap();
        assert_eq!(answer.kind, FrameKind::Refusal);
        assert_eq!(Refusal::decode(&answer.payload), Ok(Refusal::WrongCertificate));
        raw.closed().await;
        undisturbed(&good, 2).await;
        let (counters, logged) = (node.counters(), log.take());
        assert_eq!((counter(&counters), tls_faults(&counters)), (1, number), "{counters:?}");
        assert!(logged.contains(says), "{logged}");
    }
    assert_eq!(node.counters().peer_connections, 0);
    // The same certificate with its own hello is welcome.
    let dialled = raw::connect(setup.dial(2).await, raw::client_config(Some(&one))).await;
    let mut raw = Raw::new(dialled.unwrap());
    raw.say(&peer_hello(1, 2)).await;
    assert_eq!(raw.hear().await.unwrap().kind, FrameKind::Welcome);
    until(&node, |counters| counters.peer_connections == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_does_not_start_with_the_certificate_of_another() {
    use raft_transport::{BindError, NetTransport};
    let setup = Setup::new();
    for shown in [setup.authority.node(3), setup.authority.client()] {
        let carrier = setup.carrier(setup.authority.security(&shown));
        let bound = NetTransport::bind(setup.config(2), carrier, setup.book.peers()).await;
        let Err(BindError::WrongCertificate { node, .. }) = bound else { panic!("it started") };
        assert_eq!(node, NodeId(2));
    }
}
