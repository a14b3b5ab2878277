//! Lab 3B of MIT 6.824: a key/value service whose log is cut.

mod kv_support;

use kv_support::{Crashes, Generic, Keys, Net, Over, SECOND, Seen, World, seeds};

const LIMIT: u64 = 1000;

/// The labs' bound on the bytes of a snapshot in [`snapshot_size_3b`].
const SNAPSHOT_BYTES_MAX: u64 = 500;

fn operations(seen: &Seen) -> u64 {
    seen.judged.operations as u64
}

/// A server that was away while the log was cut must be sent a snapshot.
#[test]
fn snapshot_rpc_3b() {
    let over = seeds(|seed| {
        let mut world = World::new(seed, 3, Net::Reliable, Some(LIMIT));
        let all = world.kv.client();
        world.put(all, "a", "A");
        world.expect(all, "a", "A");
        let one = world.kv.client_of(&[0, 1]);
        world.split([(&[0, 1], &[one]), (&[2], &[])]);
        for n in 0..50 {
            world.put(one, &n.to_string(), &n.to_string());
        }
        world.put(one, "b", "B");
        // Longer than a connection lives that is not heard from: what waits in it is gone, too.
        world.sleep(5 * SECOND);
        world.check_sizes();
        let received = world.kv.nodes().coverage().snapshots_received;
        let other = world.kv.client_of(&[0, 2]);
        world.split([(&[0, 2], &[other]), (&[1], &[one])]);
        world.put(other, "c", "C");
        world.put(other, "d", "D");
        for (key, value) in [("a", "A"), ("b", "B"), ("1", "1"), ("49", "49")] {
            world.expect(other, key, value);
        }
        let seen = world.kv.nodes().coverage();
        assert!(seen.snapshots_received > received, "server 2 was sent no snapshot");
        world.heal();
        world.put(all, "e", "E");
        for (key, value) in [("c", "C"), ("e", "E"), ("1", "1")] {
            world.expect(all, key, value);
        }
        world.end()
    });
    over.floor(20, "restores", |seen| seen.coverage.restores);
}

/// Snapshots hold what there is, not what there was.
#[test]
fn snapshot_size_3b() {
    let over = seeds(|seed| {
        let mut world = World::new(seed, 3, Net::Reliable, Some(LIMIT));
        let client = world.kv.client();
        for _ in 0..200 {
            for value in ["0", "1"] {
                world.put(client, "x", value);
                world.expect(client, "x", value);
            }
        }
        world.sleep(SECOND);
        for at in 0..3 {
            let bytes = world.kv.nodes().snapshot_bytes(at).expect("a snapshot");
            assert!(bytes <= SNAPSHOT_BYTES_MAX, "a snapshot of {bytes} bytes");
        }
        world.end()
    });
    over.floor(20 * 100, "snapshots", |seen| seen.coverage.snapshots_taken);
}

fn over(scenario: Generic) -> Over {
    let over = seeds(|seed| scenario.limited(LIMIT).run(seed));
    let crashes = if scenario.crashes == Crashes::All { 20 * 3 * scenario.servers } else { 0 };
    over.floor(crashes, "crashes", |seen| seen.coverage.crashes).floor(
        20 * 20,
        "snapshots",
        |seen| seen.coverage.snapshots_taken,
    );
    over
}

#[test]
fn snapshot_recover_3b() {
    over(Generic::reliable(1).crashing()).floor(20 * 400, "operations", operations).floor(
        20 * 15,
        "restores",
        |seen| seen.coverage.restores,
    );
}

#[test]
fn snapshot_recover_many_clients_3b() {
    over(Generic::reliable(20).crashing()).floor(20 * 5000, "operations", operations).floor(
        20 * 15,
        "restores",
        |seen| seen.coverage.restores,
    );
}

#[test]
fn snapshot_unreliable_3b() {
    over(Generic::reliable(5).unreliable()).floor(20 * 250, "operations", operations);
}

#[test]
fn snapshot_unreliable_recover_3b() {
    over(Generic::reliable(5).unreliable().crashing())
        .floor(20 * 250, "operations", operations)
        .floor(20 * 15, "restores", |seen| seen.coverage.restores);
}

#[test]
fn snapshot_unreliable_recover_concurrent_partition_3b() {
    over(Generic::reliable(5).unreliable().crashing().partitioned())
        .floor(20 * 100, "operations", operations)
        .floor(20, "snapshots received", |seen| seen.coverage.snapshots_received);
}

#[test]
fn snapshot_unreliable_recover_concurrent_partition_linearizable_3b() {
    let scenario = Generic { servers: 7, keys: Keys::Shared, ..Generic::reliable(15) };
    over(scenario.unreliable().crashing().partitioned())
        .floor(20 * 300, "operations", operations)
        .floor(20, "snapshots received", |seen| seen.coverage.snapshots_received);
}
