//! Newer certificates, without a restart.

use raft_core::Transport;
use raft_transport::{Credentials, Security, Tls, TlsError};

use crate::certs::{Authority, Issued};
use crate::common::*;
use crate::raw;
use crate::setup::*;

/// The certificate that node 2 shows.
async fn shown(setup: &Setup) -> Vec<u8> {
    let client = setup.authority.client();
    let stream =
        raw::connect(setup.dial(2).await, raw::client_config(Some(&client))).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

fn credentials(authorities: &str, of: &Issued) -> Credentials {
    let (certificate, key) = (of.certificate.pem(), of.key.serialize_pem());
    let read =
        Credentials::from_pem(authorities.as_bytes(), certificate.as_bytes(), key.as_bytes());
    read.unwrap()
}

#[tokio::test(start_paused = true)]
async fn new_connections_use_the_new_certificate_and_old_ones_go_on() {
    let setup = Setup::new();
    let (old, new) = (setup.authority.node(2), setup.authority.node(2));
    let tls = setup.authority.tls(&old);
    let two = setup.start(2, Security::MutualTls(tls.clone())).await;
    let one = setup.node(1).await;
    let client = setup.client();
    one.send(&mut vec![vote(1, 1, 2, 1)]);
    receive(&two, 1).await;
    undisturbed(&client, 2).await;
    assert_eq!(shown(&setup).await, old.certificate.der().as_ref());

    tls.reload(&setup.authority.credentials(&new)).unwrap();
    assert_eq!(shown(&setup).await, new.certificate.der().as_ref());
    undisturbed(&client, 2).await;
    one.send(&mut vec![vote(1, 1, 2, 2)]);
    receive(&two, 1).await;
    assert_eq!((two.counters().peer_connections, one.counters().peer_connections), (1, 1));
    assert_eq!(client.counters().bytes_in, client.counters().bytes_in);
}

/// An authority is replaced in three steps, and nobody is ever refused: both are believed, then all have
/// certificates of the new one, then the old one is forgotten.
#[tokio::test(start_paused = true)]
async fn an_authority_is_replaced() {
    let setup = Setup::new();
    let next = Authority::new();
    let both = setup.authority.pem() + &next.pem();
    let (node, client) = (setup.authority.node(2), setup.authority.client());
    let (serving, calling) = (setup.authority.tls(&node), setup.authority.tls(&client));
    let two = setup.start(2, Security::MutualTls(serving.clone())).await;
    // Each asks over a connection of its own.
    let fresh = |tls: &Tls| setup.caller(Security::MutualTls(tls.clone()));
    undisturbed(&fresh(&calling), 2).await;
    serving.reload(&credentials(&both, &node)).unwrap();
    undisturbed(&fresh(&calling), 2).await;
    calling.reload(&credentials(&both, &next.client())).unwrap();
    undisturbed(&fresh(&calling), 2).await;
    serving.reload(&credentials(&next.pem(), &next.node(2))).unwrap();
    undisturbed(&fresh(&calling), 2).await;
    calling.reload(&credentials(&next.pem(), &next.client())).unwrap();
    undisturbed(&fresh(&calling), 2).await;
    assert_eq!(tls_faults(&two.counters()), 0);
    // And whoever has slept through it is refused.
    let error = ask(&setup.client(), 2).await.unwrap_err().to_string();
    assert!(error.contains("not signed by this cluster's authority"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_certificate_of_another_is_not_taken() {
    let setup = Setup::new();
    let old = setup.authority.node(2);
    let tls = setup.authority.tls(&old);
    let _two = setup.start(2, Security::MutualTls(tls.clone())).await;
    for other in [setup.authority.node(3), setup.authority.client()] {
        let refused = tls.reload(&setup.authority.credentials(&other));
        assert!(matches!(refused, Err(TlsError::OtherSubject { .. })));
        assert_eq!(shown(&setup).await, old.certificate.der().as_ref());
    }
}
