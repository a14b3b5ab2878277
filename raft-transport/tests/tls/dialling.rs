//! A node or a client that dials somebody who shows the wrong certificate.

use raft_core::{Address, CallError, Transport};
use raft_transport::Counters;
use tokio::task::JoinHandle;

use crate::certs::{Authority, Issued, Usage, VALID, self_signed};
use crate::common::*;
use crate::log::Log;
use crate::raw;
use crate::setup::*;

/// Answers as node 2, with this certificate; whoever dials hangs up before it has said anything.
async fn impostor(setup: &Setup, shown: Issued) -> JoinHandle<()> {
    let mut listener = setup.network.bind(&Address::from("2")).await.unwrap();
    setup.book.set(2, &Address::from("2"));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(stream) = raw::accept(stream, &shown).await {
                assert_eq!(Raw::new(stream).hear().await, None);
            }
        }
    })
}

/// Node 1 dials node 2, and so does a client if it can tell; both refuse and say why.
async fn refused(shown: Issued, setup: Setup, counter: fn(&Counters) -> u64, says: &str) {
    let (log, _guard) = Log::start();
    let impostor = impostor(&setup, shown).await;
    let one = setup.node(1).await;
    one.send(&mut vec![vote(1, 1, 2, 1)]);
    until(&one, |counters| counters.dial_errors >= 3).await;
    let counters = one.counters();
    assert!(counter(&counters) >= 3, "{counters:?}");
    assert_eq!((counter(&counters), counters.peer_connections), (tls_faults(&counters), 0));
    let logged = log.take();
    assert!(logged.contains(&format!("dialling n2: {says}")), "{logged}");
    if !says.contains("not of n2") {
        let client = setup.client();
        let Err(CallError::NotSent { reason }) = ask(&client, 2).await else {
            panic!("it was sent")
        };
        assert!(reason.contains(says), "{reason}");
        assert_eq!(counter(&client.counters()), 1);
    }
    assert!(!impostor.is_finished(), "something was said to an impostor");
    impostor.abort();
}

#[tokio::test(start_paused = true)]
async fn wrong_certificates() {
    let node = "raft://77/node/2";
    let issue =
        |setup: &Setup, names: &[&str], days| setup.authority.issue(names, Usage::BothEnds, days);
    let says = "the certificate is not signed by this cluster's authority";
    let shown = Authority::new().node(2);
    refused(shown, Setup::new(), |c| c.certificate_unknown_authority, says).await;
    let says = "the certificate is signed by itself";
    refused(self_signed(node), Setup::new(), |c| c.certificate_self_signed, says).await;
    let setup = Setup::new();
    let shown = issue(&setup, &[node], (-9, -1));
    refused(shown, setup, |c| c.certificate_expired, "the certificate has expired").await;
    let setup = Setup::new();
    let shown = issue(&setup, &[node], (1, 9));
    refused(shown, setup, |c| c.certificate_not_yet_valid, "the certificate is not valid yet")
        .await;
    let setup = Setup::new();
    let shown = issue(&setup, &["raft://78/node/2"], VALID);
    let says = "the certificate is of another cluster: raft://78/node/2";
    refused(shown, setup, |c| c.certificate_other_cluster, says).await;
    let setup = Setup::new();
    let shown = setup.authority.node(3);
    let says = "the certificate is not of n2: raft://77/node/3";
    refused(shown, setup, |c| c.certificate_other_node, says).await;
    let says = "the certificate is not of a node: raft://77/client/test";
    let setup = Setup::new();
    let shown = setup.authority.client();
    refused(shown, setup, |c| c.certificate_not_of_a_node, says).await;
    // The same, if it was issued as if it were a node's.
    let setup = Setup::new();
    let shown = issue(&setup, &["raft://77/client/test"], VALID);
    refused(shown, setup, |c| c.certificate_not_of_a_node, says).await;
    let setup = Setup::new();
    let shown = issue(&setup, &["https://node-2"], VALID);
    let says = "the certificate has no name that begins with raft://";
    refused(shown, setup, |c| c.certificate_unusable, says).await;
}

/// Whoever shows a certificate that is refused is told, as far as TLS has words for it.
#[tokio::test(start_paused = true)]
async fn who_is_refused_is_told() {
    let (ours, theirs) = (Setup::new(), Authority::new());
    let node = ours.node(2).await;
    // It trusts the cluster's authority, and has another's certificate.
    let mut mixed = ours.authority.client();
    let other = theirs.client();
    (mixed.certificate, mixed.key) = (other.certificate, other.key);
    let stream = ours.dial(2).await;
    let mut raw = raw::connect(stream, raw::client_config(Some(&mixed))).await.unwrap();
    let mut byte = [0];
    let error = tokio::io::AsyncReadExt::read(&mut raw, &mut byte).await.unwrap_err();
    assert!(error.to_string().contains("UnknownCA"), "{error}");
    assert_eq!(node.counters().certificate_unknown_authority, 1);
}
