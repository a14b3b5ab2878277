//! Much at once: items 36, 97 and 98 of the catalogue.

use std::collections::BTreeSet;

use kv::Op;
use kv::command::Ticket;
use kv::raw::AttemptError;
use raft_core::node::ProposalError;
use raft_sim::cluster::{Wire, address_of};
use raft_sim::disk::OpKind;
use raft_sim::{Cluster, ClusterConfig};

use super::serving::*;
use super::support::*;

/// Item 36: a leader with a thousand proposals and two hundred reads in flight is shut down. It ends soon, everybody
/// is answered before it does, and whoever is told that nothing was done can rely on it.
#[test]
fn c36_a_node_that_is_shut_down_answers_everybody() {
    let (mut done, mut unknown, mut not_done) = (0, 0, 0);
    each_seed(5, |seed| {
        for nodes in [1, 3] {
            let (mut cluster, leader) = led(seed, nodes);
            let mut client = Client::default();
            let numbers: Vec<u64> =
                (0..1000).map(|_| client.propose(&mut cluster, leader)).collect();
            let reads: Vec<_> = (0..200).map(|_| read(&mut cluster, leader)).collect();
            let later = cluster.sim().rng().u32(0..6);
            cluster.run_for(MS * later);
            assert!(cluster.shutdown(leader, SECOND).reached(), "it does not end");
            assert!(reads.iter().all(|read| read.get().is_some()), "a read has no answer");
            let mut refused = BTreeSet::new();
            for number in &numbers {
                match client.outcome(*number).expect("an answer") {
                    Ok(_) => done += 1,
                    Err(ProposalError::Unknown { .. }) => unknown += 1,
                    Err(ProposalError::Stopped | ProposalError::Rejected(_)) => {
                        not_done += 1;
                        refused.insert(*number);
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            settle(&mut cluster, &mut client);
            let there: BTreeSet<u64> =
                cluster.peek(0, Journal::numbers).expect("it runs").into_iter().collect();
            assert!(there.is_disjoint(&refused), "done, and said not to be");
        }
    });
    assert!(done > 500 && unknown > 500, "{done} done, {unknown} unknown, {not_done} not done");
}

/// Item 36, for clients: a thousand requests of twenty clients are at the leader when it is shut down. Each attempt
/// ends with an answer of the state machine, with the certainty that nothing was done, or in doubt; and the one that
/// is repeated elsewhere is done once.
#[test]
fn c36_clients_of_a_server_that_is_shut_down_know_where_they_are() {
    for (seed, wire) in [(1, Wire::Messages), (2, Wire::Streams), (3, Wire::Messages)] {
        let mut config = config(seed);
        config.cluster.wire = wire;
        let (mut kv, leader) = serving(config);
        let address = address_of(kv.nodes().id(leader));
        let mut jobs = Vec::new();
        for client in 0..20 {
            let (it, address) = (kv.client(), address.clone());
            let session = session(&mut kv, it, leader);
            for n in 1..=50 {
                let (ticket, address) = (Ticket { session, seq: n, acked: 1 }, address.clone());
                jobs.push(kv.spawn(it, move |clerk| async move {
                    let value = format!("<{client}.{n}>");
                    let key = format!("{client}");
                    let op = Op::Append { key: key.as_bytes(), value: value.as_bytes() };
                    let answer = clerk.attempt(&address, ticket, op, 2 * SECOND).await;
                    (
                        key.clone(),
                        value.clone(),
                        match answer {
                            Ok(_) => Fate::Done,
                            Err(AttemptError::NotLeader(_) | AttemptError::Unavailable) => {
                                Fate::NotDone
                            }
                            Err(AttemptError::Call(raft_core::CallError::NotSent { .. })) => {
                                Fate::NotDone
                            }
                            Err(_) => Fate::Unknown,
                        },
                    )
                }));
            }
        }
        kv.nodes_mut().run_for(4 * MS);
        assert!(kv.nodes_mut().shutdown(leader, SECOND).reached(), "it does not end");
        let answers = kv.finish_all(3 * SECOND, &jobs).expect("answered in bounded time");
        let reader = kv.client();
        for client in 0..20 {
            let key = format!("{client}");
            let fates: Vec<_> = answers.iter().filter(|(of, ..)| *of == key).collect();
            let fates: Vec<_> =
                fates.into_iter().map(|(_, it, fate)| (it.clone(), *fate)).collect();
            check_fates(&value(&mut kv, reader, &key), &fates);
        }
        judge(&mut kv);
    }
}

/// A group that may have little under way to a follower.
fn narrow(seed: u64, snapshots: Option<u64>) -> ClusterConfig {
    let mut config = ClusterConfig::new(seed, 3);
    config.snapshot_bytes = snapshots;
    config.wal.segment_bytes = 256 << 10;
    config.raft = |raft| {
        (raft.window_bytes_max, raft.append_bytes_max) = (64 << 10, 16 << 10);
        raft.trailing_bytes_max = 10_000;
    };
    config
}

/// How many bytes of entries a node has been sent and has not on its disk: 40 bytes count for 104. A snapshot is no
/// entry.
fn waiting(cluster: &Cluster<Journal>, at: usize) -> u64 {
    let status = cluster.status(at).expect("it runs");
    (status.last.index.0 - status.durable.0.max(status.compacted.index.0)) * 104
}

/// Item 97: a follower comes back twenty thousand entries behind. It gets them, or a snapshot, in bounded pieces;
/// meanwhile nobody campaigns, and the others are served as quickly as ever.
#[test]
fn c97_a_follower_far_behind_catches_up_and_disturbs_nobody() {
    each_seed(1, |seed| {
        for snapshots in [None, Some(100_000)] {
            let (mut cluster, leader) = led_by(narrow(seed, snapshots));
            let behind = others(&cluster, &[leader])[0];
            // In order: else nothing but what comes next would be taken.
            cluster.net().change_links(|link| link.latency = (MS, MS));
            cluster.isolate(behind);
            for round in 0..200 {
                for n in 0..100 {
                    cluster.offer(leader, command(1_000_000 + round * 100 + n, 40));
                }
                cluster.run_for(4 * MS);
            }
            cluster.run_for(200 * MS);
            let far = cluster.status(leader).expect("it runs").commit.0;
            assert!(far > 20_000, "only {far} entries");
            let (mut client, before) = (Client::default(), cluster.leaders());
            cluster.disk(behind).set_latency(OpKind::Sync, 3 * MS..=5 * MS);
            cluster.rejoin(behind);
            let mut rounds = 0;
            while cluster.status(behind).is_some_and(|status| status.applied.0 < far) {
                let number = client.propose(&mut cluster, leader);
                for _ in 0..20 {
                    cluster.run_for(MS);
                    let waiting = waiting(&cluster, behind);
                    assert!(waiting <= 2 * (64 << 10), "{waiting} bytes, and not its window");
                }
                assert!(client.outcome(number).is_some(), "the others wait for it");
                rounds += 1;
                assert!(rounds < 250, "five seconds are not enough");
            }
            assert_eq!(cluster.leaders(), before, "an election");
            cluster.disk(behind).calm();
            assert_eq!(cluster.coverage().snapshots_received, u64::from(snapshots.is_some()));
            settle(&mut cluster, &mut client);
        }
    });
}
