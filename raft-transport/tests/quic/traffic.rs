//! Messages and calls.

use raft_core::{Envelope, Transport};
use raft_core::{InstallSnapshot, LogId, Membership, Message, Round, SnapshotChunk, SnapshotMeta};

use crate::common::*;
use crate::setup::*;

#[tokio::test]
async fn nodes_and_clients_talk() {
    let setup = Setup::new();
    let (one, two) = (setup.node(1).await, setup.node(2).await);
    let there: Vec<_> = (0..500).map(|n| vote(n % 50, 1, 2, n)).collect();
    let back: Vec<_> = (0..500).map(|n| vote(n % 50, 2, 1, n)).collect();
    one.send(&mut there.clone());
    two.send(&mut back.clone());
    // What is of one group keeps its order, and so does what is of all of them.
    assert_eq!(receive(&two, 500).await, there);
    assert_eq!(receive(&one, 500).await, back);
    let client = setup.client();
    undisturbed(&client, &one).await;
    undisturbed(&client, &two).await;
    for node in [&one, &two] {
        let counters = node.counters();
        assert_eq!((counters.peer_connections, counters.client_connections), (1, 1));
        assert_eq!(counters.tls_errors + counters.tls_alerts + counters.rejected_payload, 0);
    }
}

/// The node with the higher id has something to say, and none to say it to yet: it knocks.
#[tokio::test]
async fn the_higher_id_is_dialled_when_it_knocks() {
    let setup = Setup::new();
    let two = setup.node(2).await;
    two.send(&mut vec![vote(1, 2, 1, 1)]);
    let one = setup.node(1).await;
    two.send(&mut vec![vote(1, 2, 1, 2)]);
    let heard = receive(&one, 1).await;
    assert!(heard.iter().all(|message| message.from == two_id()), "{heard:?}");
    assert_eq!((one.counters().peer_connections, two.counters().peer_connections), (1, 1));
}

fn two_id() -> raft_core::NodeId {
    raft_core::NodeId(2)
}

fn chunk(number: u64) -> Envelope {
    let data = bytes::Bytes::from(vec![number as u8; 512 << 10]);
    let checksum = crc32fast::hash(&data);
    let (offset, total) = (number * data.len() as u64, u64::MAX);
    let chunk = SnapshotChunk { offset, total, data, checksum };
    let meta = SnapshotMeta { last: LogId::ZERO, membership: Membership::default() };
    let install = InstallSnapshot { meta, chunk, round: Round(number) };
    Envelope { message: Message::InstallSnapshot(install), ..vote(1, 1, 2, number) }
}

/// A heartbeat that is sent while a snapshot is on its way does not wait for the rest of it.
#[tokio::test]
async fn what_is_large_holds_up_nothing() {
    const CHUNKS: u64 = 64;
    const SENT_AT: u64 = 4;
    let setup = Setup::new();
    let (one, two) = (setup.node(1).await, setup.node(2).await);
    one.send(&mut vec![vote(1, 1, 2, 0)]);
    receive(&two, 1).await;
    one.send(&mut (0..CHUNKS).map(chunk).collect());
    let (mut inbox, mut arrived, mut heard) = (Vec::new(), 0, None);
    while arrived < CHUNKS {
        soon(two.receive(&mut inbox)).await.unwrap();
        for message in inbox.drain(..) {
            match message.message {
                Message::InstallSnapshot(_) => arrived += 1,
                _ => heard = Some(arrived),
            }
            if arrived == SENT_AT && heard.is_none() {
                one.send(&mut vec![vote(1, 1, 2, 99)]);
            }
        }
    }
    // 2 MiB, four of them, were on their way when it was sent.
    let heard = heard.expect("it arrived");
    assert!(heard < CHUNKS / 2, "it came after {heard} of {CHUNKS}");
}
