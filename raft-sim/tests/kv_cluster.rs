//! The key/value service in the simulated world, and that what the harness checks can fail.

use std::time::Duration;

use kv::command::Ticket;
use kv::raw::AttemptError;
use kv::{Op, Scan};
use raft_sim::Keep;
use raft_sim::cluster::{Wire, address_of};
use raft_sim::kv::{Judged, KvCluster, KvConfig, Wrong};

const SECOND: Duration = Duration::from_secs(1);

/// Clients do a bit of everything while nodes crash.
fn run(seed: u64, wire: Wire) -> (Judged, u64) {
    let mut config = KvConfig::new(seed, 3);
    config.cluster.wire = wire;
    config.cluster.snapshot_bytes = Some(2000);
    config.clerk.deadline = 60 * SECOND;
    config.clerk.attempt_timeout = SECOND / 2;
    let mut kv = KvCluster::start(config);
    let jobs: Vec<_> = (0..3)
        .map(|n| {
            let client = kv.client();
            kv.spawn(client, move |mut clerk| async move {
                for round in 0..30 {
                    let value = format!("{n}.{round} ");
                    clerk.append("shared", &value).await?;
                    let own = format!("own {n}");
                    clerk.put(&own, &value).await?;
                    assert_eq!(clerk.get(&own).await?.expect("a value").value, value);
                    let ops = [
                        Op::Put { key: b"left", value: value.as_bytes() },
                        Op::Put { key: b"right", value: value.as_bytes() },
                    ];
                    clerk.batch(&ops).await?;
                    let page = clerk.scan(&Scan::range("", None)).await?;
                    let of = |key: &str| page.entries.iter().find(|(found, ..)| found == key);
                    assert_eq!(of("left").map(|left| left.2), of("right").map(|right| right.2));
                    if round % 7 == 6 {
                        clerk.delete(&own).await?;
                    }
                }
                Ok::<(), kv::ClerkError>(())
            })
        })
        .collect();
    for round in 0..4 {
        kv.nodes_mut().run_for(SECOND / 4);
        let at = kv.nodes().leader().unwrap_or(round % 3);
        match round % 2 {
            0 => kv.nodes_mut().power_loss(at, Keep::RandomSectors),
            _ => kv.nodes_mut().kill(at),
        }
        kv.nodes_mut().run_for(SECOND / 4);
        kv.nodes_mut().restart(at);
        kv.check().unwrap();
    }
    for done in kv.finish_all(60 * SECOND, &jobs).expect("done in time") {
        done.unwrap();
    }
    kv.nodes_mut().run_for(SECOND);
    let judged = kv.judge().unwrap();
    (judged, kv.nodes().trace_hash())
}

#[test]
fn every_operation_is_judged_over_messages_and_a_seed_is_a_run() {
    let (judged, hash) = run(1, Wire::Messages);
    assert_eq!((judged, hash), run(1, Wire::Messages));
    assert_eq!((judged.scans, judged.replicas), (90, 3), "{judged:?}");
    assert!(judged.operations > 6 * 90, "{judged:?}");
    assert_ne!(hash, run(2, Wire::Messages).1);
}

#[test]
fn every_operation_is_judged_over_streams_and_a_seed_is_a_run() {
    let (judged, hash) = run(1, Wire::Streams);
    assert_eq!((judged, hash), run(1, Wire::Streams));
    assert_eq!((judged.scans, judged.replicas), (90, 3), "{judged:?}");
}

fn elected(kv: &mut KvCluster) -> usize {
    assert!(kv.nodes_mut().run_until(5 * SECOND, |nodes| nodes.leader().is_some()).reached());
    kv.nodes().leader().expect("just seen")
}

#[test]
fn a_ticket_is_good_for_one_effect_and_always_the_same_reply() {
    for seed in 0..20 {
        let mut config = KvConfig::new(seed, 3);
        config.cluster.snapshot_bytes = Some(300);
        config.cluster.raft = |raft| raft.trailing_bytes_max = 0;
        let mut kv = KvCluster::start(config);
        let leader = elected(&mut kv);
        let (client, mut first) = (kv.client(), None);
        let address = address_of(kv.nodes().id(leader));
        let opened =
            kv.call(
                SECOND,
                client,
                |clerk| async move { clerk.open_session(&address, SECOND).await },
            );
        let session = opened.expect("in time").expect("a session");
        let ticket = Ticket { session, seq: 1, acked: 1 };
        let append = |kv: &mut KvCluster, ticket| {
            let leader = elected(kv);
            let address = address_of(kv.nodes().id(leader));
            let call = kv.call(2 * SECOND, client, |clerk| async move {
                clerk.attempt(&address, ticket, Op::Append { key: b"k", value: b"x" }, SECOND).await
            });
            call.expect("in time")
        };
        // Again; to another leader; after snapshots and restarts, with what is unsynced lost.
        for round in 0..4 {
            for _ in 0..2 {
                let reply = append(&mut kv, ticket).expect("a reply");
                assert_eq!(*first.get_or_insert(reply.clone()), reply, "seed {seed}");
            }
            let filling = kv.call(20 * SECOND, client, move |mut clerk| async move {
                for n in 0..10 {
                    clerk.put("filling", format!("{round}.{n}")).await?;
                }
                Ok::<(), kv::ClerkError>(())
            });
            filling.expect("in time").expect("done");
            for at in 0..3 {
                let lead = kv.nodes().leader() == Some(at);
                if round == 3 || lead {
                    kv.nodes_mut().power_loss(at, Keep::Nothing);
                }
            }
            kv.nodes_mut().run_for(SECOND);
            for at in 0..3 {
                if !kv.nodes().is_up(at) {
                    kv.nodes_mut().restart(at);
                }
            }
            kv.nodes_mut().run_for(SECOND);
        }
        assert_eq!(append(&mut kv, ticket).ok(), first, "seed {seed}");
        // What is acknowledged is refused, and not done again.
        append(&mut kv, Ticket { seq: 2, acked: 2, ..ticket }).expect("another one");
        let stale = append(&mut kv, ticket);
        let error = AttemptError::Command(kv::CommandError::StaleSequence);
        assert_eq!(stale, Err(error), "seed {seed}");
        let value = kv.call(10 * SECOND, client, |mut clerk| async move { clerk.get("k").await });
        let value = value.expect("in time").expect("read").expect("a value");
        assert_eq!(value.value, "xx", "seed {seed}");
        assert!(kv.nodes().coverage().snapshots_taken > 0);
        kv.judge().unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    }
}

#[test]
fn what_nobody_asked_for_is_noticed() {
    let mut kv = KvCluster::start(KvConfig::new(1, 3));
    let client = kv.client();
    let done = kv.call(10 * SECOND, client, |clerk| async move {
        // Behind the recorder's back.
        clerk.clerk().put(b"k", b"v").await
    });
    done.expect("in time").expect("done");
    assert!(matches!(kv.judge(), Err(Wrong::TooOften { times: 1, times_max: 0, .. })));
}
