//! What large values cost: each is held once, and handed out without a copy.

mod common;

use allocation_counter::measure;
use common::{HOUR, Log, put};
use kv::command::{self, Ticket};
use kv::{Op, StoreConfig};

const LARGE: usize = 10 << 20;
/// Everything else that a command costs.
const SMALL: i64 = 64 << 10;

#[test]
fn a_value_of_ten_mebibytes_is_held_once_and_read_without_a_copy() {
    let mut config = StoreConfig::default();
    config.limits.value_bytes_max = 32 << 20;
    let mut log = Log::new(config);
    let session = log.open(HOUR);
    let ticket = |seq| Ticket { session, seq, acked: seq };
    let value = vec![7; LARGE];
    let first = command::write(0, ticket(1), put(b"k", &value));
    // The log's entry stays where it is.
    let putting = measure(|| drop(log.apply_and_forget(first.clone()).expect("put")));
    assert!(putting.bytes_max < LARGE as u64 + SMALL as u64, "{putting:?}");
    assert!(putting.bytes_current < LARGE as i64 + SMALL, "{putting:?}");

    let mut kept = None;
    let reading = measure(|| kept = log.store.get(b"k").cloned());
    assert_eq!(kept.map(|item| item.value.as_slice().len()), Some(LARGE));
    assert_eq!(reading.bytes_total, 0, "a copy in {reading:?}");

    let more = command::write(0, ticket(2), Op::Append { key: b"k", value: b"more" });
    let appending = measure(|| drop(log.apply_and_forget(more).expect("appended")));
    // The old one, the new one, and what it is put together in.
    assert!(appending.bytes_max < 3 * LARGE as u64, "{appending:?}");
    assert!(appending.bytes_current < SMALL, "the old value is gone: {appending:?}");
    assert_eq!(log.store.get(b"k").map(|item| item.value.as_slice().len()), Some(LARGE + 4));
}
