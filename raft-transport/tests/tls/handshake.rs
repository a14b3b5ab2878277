//! Handshakes that do not come to an end, and others who do not speak TLS, or speak it where it is not spoken.

use std::time::Duration;

use raft_core::{Address, CallError, Transport};
use raft_transport::{NetConfig, Security};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::common::*;
use crate::log::Log;
use crate::setup::*;

fn short(config: &mut NetConfig) {
    config.handshake_max = Duration::from_secs(1);
    config.handshakes_max = 5;
}

/// Says nothing at all, or half of what TLS begins with: cut off by the deadline, and no more of them than are
/// allowed.
#[tokio::test(start_paused = true)]
async fn a_dialler_that_stalls_is_cut_off() {
    let setup = Setup::new();
    let mut config = setup.config(2);
    short(&mut config);
    let node = setup.start_good(config).await;
    let client = setup.client();
    undisturbed(&client, 2).await;
    let begun = Instant::now();
    let mut slow = Vec::new();
    for bytes in 0..5 {
        let mut stream = setup.dial(2).await;
        stream.write_all(&[22, 3, 1, 2, 0][..bytes]).await.unwrap();
        slow.push(stream);
    }
    // Whoever comes now gets the place of the one that came first.
    slow.push(setup.dial(2).await);
    let mut first = slow.remove(0);
    assert_eq!(first.read(&mut [0; 9]).await.unwrap_or(0), 0);
    assert_eq!((node.counters().handshakes_full, begun.elapsed().as_secs()), (1, 0));
    undisturbed(&client, 2).await;
    for mut stream in slow {
        assert_eq!(soon(stream.read(&mut [0; 9])).await.unwrap_or(0), 0);
    }
    assert_eq!(begun.elapsed().as_secs(), 1);
    assert_eq!(node.counters().handshakes_late, 5);
}

/// One byte a second is no handshake either.
#[tokio::test(start_paused = true)]
async fn a_dialler_that_drips_is_cut_off() {
    let setup = Setup::new();
    let mut config = setup.config(2);
    short(&mut config);
    let node = setup.start_good(config).await;
    let (begun, mut stream) = (Instant::now(), setup.dial(2).await);
    // The beginning of a ClientHello of 512 bytes.
    let mut hello = vec![0; 300];
    hello[..9].copy_from_slice(&[22, 3, 1, 2, 0, 1, 0, 1, 252]);
    for byte in hello {
        tokio::time::sleep(Duration::from_millis(300)).await;
        if stream.write_all(&[byte]).await.is_err() {
            break;
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(node.counters().handshakes_late, 1);
}

/// The other way round: whoever is dialled accepts and says nothing.
#[tokio::test(start_paused = true)]
async fn a_listener_that_stalls_is_given_up() {
    let setup = Setup::new();
    let mut listener = setup.network.bind(&Address::from("2")).await.unwrap();
    setup.book.set(2, &Address::from("2"));
    let mut config = setup.config(1);
    short(&mut config);
    let (begun, node) = (Instant::now(), setup.start_good(config).await);
    node.send(&mut vec![vote(1, 1, 2, 1)]);
    let (silent, _) = listener.accept().await.unwrap();
    until(&node, |counters| counters.dial_errors == 1).await;
    assert_eq!(begun.elapsed().as_secs(), 1);
    drop(silent);
    let accepting =
        tokio::spawn(async move { listener.accept().await.map(|stream| (stream, listener)) });
    let client = setup.client();
    let Err(CallError::NotSent { reason }) = ask(&client, 2).await else { panic!("it was sent") };
    assert!(reason.contains("did not end in time"), "{reason}");
    accepting.abort();
}

#[tokio::test(start_paused = true)]
async fn garbage_is_refused_and_counted() {
    let setup = Setup::new();
    let node = setup.node(2).await;
    let client = setup.client();
    undisturbed(&client, 2).await;
    let mut random = fastrand::Rng::with_seed(3);
    for round in 0..200 {
        let mut bytes = vec![0; random.usize(20..3000)];
        random.fill(&mut bytes);
        match round % 4 {
            0 => {}
            // A record of a handshake, an alert, or data, of any length and with anything in it.
            1 => bytes[..5].copy_from_slice(&[22, 3, 3, random.u8(..0x40), random.u8(..)]),
            2 => bytes[..5].copy_from_slice(&[random.u8(20..24), 3, 3, 0, 10]),
            // A ClientHello, with garbage for its fields.
            _ => bytes[..11].copy_from_slice(&[22, 3, 1, 0, 15, 1, 0, 0, 11, 3, 3]),
        }
        let before = node.counters();
        let mut stream = setup.dial(2).await;
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let mut rest = Vec::new();
        let _ = soon(stream.read_to_end(&mut rest)).await;
        assert!(rest.len() < 100, "it was answered: {rest:?}");
        let after = node.counters();
        assert_eq!(tls_faults(&after), tls_faults(&before) + 1, "round {round}: {after:?}");
    }
    undisturbed(&client, 2).await;
    assert_eq!((node.counters().client_connections, node.counters().peer_connections), (1, 0));
}

/// A cluster of which one half was told to use TLS.
#[tokio::test(start_paused = true)]
async fn plaintext_against_tls() {
    let setup = Setup::new();
    let (log, _guard) = Log::start();
    let node = setup.node(2).await;
    let plain = setup.start(1, Security::Plaintext).await;
    plain.send(&mut vec![vote(1, 1, 2, 1)]);
    until(&node, |counters| counters.refused_plaintext >= 1).await;
    until(&plain, |counters| counters.refused_tls >= 1).await;
    let logged = log.take();
    assert!(
        logged.contains("handshake with this process failed: the other side does not speak TLS"),
        "{logged}"
    );
    assert_eq!((node.counters().peer_connections, plain.counters().peer_connections), (0, 0));

    let client = setup.caller(Security::Plaintext);
    let Err(CallError::NotSent { reason }) = ask(&client, 2).await else { panic!("it was sent") };
    assert!(reason.contains("the other side speaks TLS, and here it is not spoken"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn tls_against_plaintext() {
    let setup = Setup::new();
    let (log, _guard) = Log::start();
    let plain = setup.start(2, Security::Plaintext).await;
    let node = setup.node(1).await;
    node.send(&mut vec![vote(1, 1, 2, 1)]);
    until(&plain, |counters| counters.refused_tls >= 1).await;
    until(&node, |counters| counters.tls_errors + counters.refused_plaintext >= 1).await;
    let logged = log.take();
    let says =
        "handshake with this process failed: the other side speaks TLS, and here it is not spoken";
    assert!(logged.contains(says), "{logged}");
    assert_eq!((node.counters().peer_connections, plain.counters().peer_connections), (0, 0));

    let Err(CallError::NotSent { reason }) = ask(&setup.client(), 2).await else {
        panic!("it was sent")
    };
    assert!(reason.contains("not speak TLS"), "{reason}");
}
