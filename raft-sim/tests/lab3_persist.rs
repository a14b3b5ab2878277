//! Lab 3A of MIT 6.824 with crashes: all servers go down at once, by a loss of power or without.

mod kv_support;

use kv_support::{Generic, Keys, Over, Seen, seeds};

fn operations(seen: &Seen) -> u64 {
    seen.judged.operations as u64
}

fn over(scenario: Generic) -> Over {
    let over = seeds(|seed| scenario.run(seed));
    over.floor(20 * 3 * scenario.servers, "crashes", |seen| seen.coverage.crashes);
    over
}

#[test]
fn persist_one_client_3a() {
    over(Generic::reliable(1).crashing()).floor(20 * 400, "operations", operations);
}

#[test]
fn persist_concurrent_3a() {
    // Few writes are under way when the power goes, as a disk is fast: ten sectors in all were lost.
    over(Generic::reliable(5).crashing()).floor(20 * 2000, "operations", operations).floor(
        5,
        "lost sectors",
        |seen| seen.lost_sectors,
    );
}

#[test]
fn persist_concurrent_unreliable_3a() {
    over(Generic::reliable(5).unreliable().crashing())
        .floor(20 * 250, "operations", operations)
        .floor(15 * 500, "lost messages", |seen| seen.lost_messages);
}

#[test]
fn persist_partition_3a() {
    over(Generic::reliable(5).crashing().partitioned())
        .floor(20 * 300, "operations", operations)
        .floor(20 * 6, "elections", |seen| seen.coverage.elections);
}

#[test]
fn persist_partition_unreliable_3a() {
    over(Generic::reliable(5).unreliable().crashing().partitioned())
        .floor(20 * 100, "operations", operations)
        .floor(20 * 6, "elections", |seen| seen.coverage.elections);
}

#[test]
fn persist_partition_unreliable_linearizable_3a() {
    let scenario = Generic { servers: 7, keys: Keys::Shared, ..Generic::reliable(15) };
    over(scenario.unreliable().crashing().partitioned())
        .floor(20 * 300, "operations", operations)
        .floor(20 * 6, "elections", |seen| seen.coverage.elections);
}
