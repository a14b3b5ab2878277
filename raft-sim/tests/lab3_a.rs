//! Lab 3A of MIT 6.824: a linearizable key/value service, on good and on bad networks.

mod kv_support;

use std::time::Duration;

use kv_support::{Generic, Net, SECOND, Seen, World, seeds};

fn operations(seen: &Seen) -> u64 {
    seen.judged.operations as u64
}

#[test]
fn basic_3a() {
    seeds(|seed| Generic::reliable(1).run(seed)).floor(20 * 500, "operations", operations);
}

#[test]
fn concurrent_3a() {
    seeds(|seed| Generic::reliable(5).run(seed)).floor(20 * 2500, "operations", operations);
}

#[test]
fn unreliable_3a() {
    seeds(|seed| Generic::reliable(5).unreliable().run(seed))
        .floor(20 * 250, "operations", operations)
        .floor(15 * 500, "lost messages", |seen| seen.lost_messages);
}

/// Five clients append to one key: each append is there once, and each client's in order.
#[test]
fn unreliable_one_key_3a() {
    seeds(|seed| {
        let mut world = World::new(seed, 3, Net::Unreliable, None);
        let first = world.kv.client();
        world.put(first, "k", "");
        let jobs: Vec<_> = (0..5)
            .map(|n| {
                let client = world.kv.client();
                world.kv.spawn(client, move |mut clerk| async move {
                    for count in 0..10 {
                        clerk.append("k", format!("x {n} {count} y")).await?;
                    }
                    Ok::<(), kv::ClerkError>(())
                })
            })
            .collect();
        for done in world.kv.finish_all(60 * SECOND, &jobs).expect("clients end") {
            done.expect("appended");
        }
        let read = world.call(10 * SECOND, first, |mut clerk| async move { clerk.get("k").await });
        let value = String::from_utf8(read.expect("a value").value.to_vec()).expect("a text");
        for n in 0..5 {
            let places: Vec<Vec<usize>> = (0..10)
                .map(|count| {
                    let appended = format!("x {n} {count} y");
                    value.match_indices(&appended).map(|(at, _)| at).collect()
                })
                .collect();
            assert!(places.iter().all(|found| found.len() == 1), "client {n}: {places:?}");
            assert!(places.is_sorted(), "client {n}: {places:?}");
        }
        assert_eq!(value.len(), 50 * "x 0 0 y".len(), "nothing else is there");
        world.end()
    });
}

/// A thousand appends one after the other: each is replicated at once, and waits for no heartbeat.
fn speed(seed: u64, net: Net, limit: Option<u64>) -> (Seen, Duration) {
    const APPENDS: u32 = 1000;
    let mut world = World::new(seed, 3, net, limit);
    world.instant_disks();
    let client = world.kv.client();
    world.put(client, "x", "");
    let begun = world.kv.nodes_mut().sim().now();
    world.call(120 * SECOND, client, |mut clerk| async move {
        for n in 0..APPENDS {
            clerk.append("x", format!("x 0 {n} y")).await?;
        }
        Ok(())
    });
    let each = (world.kv.nodes_mut().sim().now() - begun) / APPENDS;
    assert!(each <= Duration::from_secs(1) / 30, "{each:?} for an append");
    let all: String = (0..APPENDS).map(|n| format!("x 0 {n} y")).collect();
    world.expect(client, "x", &all);
    (world.end(), each)
}

#[test]
fn speed_3a() {
    seeds(|seed| speed(seed, Net::Instant, None).0);
    seeds(|seed| speed(seed, Net::Reliable, None).0);
}

#[test]
fn speed_3b() {
    let snapshots = |seen: &Seen| seen.coverage.snapshots_taken;
    seeds(|seed| speed(seed, Net::Instant, Some(1000)).0).floor(20 * 100, "snapshots", snapshots);
    seeds(|seed| speed(seed, Net::Reliable, Some(1000)).0).floor(20 * 100, "snapshots", snapshots);
}

/// The leader is in the minority: the majority goes on, in the minority nothing returns, and after the
/// partition everything does.
#[test]
fn one_partition_3a() {
    let seen = seeds(|seed| {
        let mut world = World::new(seed, 5, Net::Reliable, None);
        let client = world.kv.client();
        world.put(client, "1", "13");
        let leader = world.leader();
        let mut majority: Vec<usize> = (0..5).filter(|at| *at != leader).collect();
        world.rng.shuffle(&mut majority);
        let minority = [leader, majority.pop().expect("four others")];
        let outside = world.kv.client_of(&majority);
        let inside = [world.kv.client_of(&minority), world.kv.client_of(&minority)];
        world.split([(&majority, &[outside]), (&minority, &inside)]);
        world.put(outside, "1", "14");
        world.expect(outside, "1", "14");
        let put = world.kv.spawn(inside[0], |mut clerk| async move { clerk.put("1", "15").await });
        let get = world.kv.spawn(inside[1], |mut clerk| async move { clerk.get("1").await });
        world.sleep(SECOND);
        assert!(!put.is_done(), "a put returned in the minority");
        assert!(!get.is_done(), "a get returned in the minority");
        world.expect(outside, "1", "14");
        world.put(outside, "1", "16");
        world.expect(outside, "1", "16");
        assert!(!put.is_done() && !get.is_done(), "something returned in the minority");
        world.heal();
        let put = world.kv.finish(3 * SECOND, &put).expect("the put returns within 3 s");
        put.expect("it was done");
        let get = world.kv.finish(3 * SECOND, &get).expect("the get returns within 3 s");
        let read = get.expect("it was read").expect("a value").value;
        assert!(read == "15" || read == "16", "read {read:?}");
        world.expect(client, "1", "15");
        world.end()
    });
    seen.floor(20 * 2, "elections", |seen| seen.coverage.elections);
}

#[test]
fn many_partitions_one_client_3a() {
    seeds(|seed| Generic::reliable(1).partitioned().run(seed))
        .floor(20 * 50, "operations", operations)
        .floor(20 * 4, "elections", |seen| seen.coverage.elections);
}

#[test]
fn many_partitions_many_clients_3a() {
    seeds(|seed| Generic::reliable(5).partitioned().run(seed))
        .floor(20 * 300, "operations", operations)
        .floor(20 * 4, "elections", |seen| seen.coverage.elections);
}
