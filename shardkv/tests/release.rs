//! A shard that has left is freed in steps, with time for others in between.

use std::time::Duration;

use allocation_counter::measure;
use kv::{Remains, Store, StoreConfig};
use raft_core::LogIndex;
use tokio::time::sleep;

const KEYS: u64 = 5000;

fn large() -> Store {
    let mut store = Store::new(StoreConfig::default());
    let opened = store.apply_at(LogIndex(1), &kv::command::open_session(0, 1_000));
    let session = kv::command::SessionId(opened.expect("opened").index);
    for n in 1..=KEYS {
        let (key, value) = (format!("key-{n}"), [7; 100]);
        let put = kv::Op::Put { key: key.as_bytes(), value: &value };
        let ticket = kv::command::Ticket { session, seq: n, acked: n };
        store.apply_at(LogIndex(n + 1), &kv::command::write(0, ticket, put)).expect("done");
    }
    store
}

#[test]
fn a_shard_is_freed_in_steps_and_wholly() {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().expect("a runtime");
    let pass = |millis| runtime.block_on(async { sleep(Duration::from_millis(millis)).await });
    pass(1);
    let mut steps = Vec::new();
    let all = measure(|| {
        runtime.block_on(async { shardkv::free_in_steps(Remains::from(large())) });
        // Ten steps of 500 keys, each two milliseconds after the one before, and some time more.
        steps.extend((0..40).map(|_| -measure(|| pass(1)).bytes_current));
    });
    let (most, sum) = (steps.iter().max().copied().unwrap_or(0), steps.iter().sum::<i64>());
    assert!(most > 0 && most < sum / 5, "at once: {most} of {sum} bytes");
    let left = all.bytes_current - steps.capacity() as i64 * 8;
    assert!(left.abs() < 1024, "{left} bytes are left");
}
