//! A store that nobody needs any more is freed bit by bit, all of it, and next to a view that somebody still has.

mod common;

use allocation_counter::measure;
use common::{HOUR, Log, put};
use kv::{Remains, StoreConfig};

const KEYS: u64 = 5000;
const STEP: usize = 100;

/// Keys with values of their own allocation, and all of them changed while changes were numbered.
fn filled() -> Log {
    let mut log = Log::new(StoreConfig::default());
    let session = log.open(HOUR);
    log.store.track();
    for n in 0..KEYS {
        let ticket = kv::command::Ticket { session, seq: n + 1, acked: n + 1 };
        let key = format!("key-{n:060}");
        let put = kv::command::write(0, ticket, put(key.as_bytes(), &[7; 100]));
        log.apply_and_forget(put).expect("applied");
    }
    log
}

#[test]
fn all_is_freed_and_never_much_at_once() {
    let mut steps = 0;
    let rest = measure(|| {
        let mut remains = Remains::from(filled().store);
        while remains.free(STEP) {
            steps += 1;
        }
    });
    assert_eq!(rest.bytes_current, 0, "something was not freed");
    // The keys, their changes by name and by number, a session and when it ends.
    let entries = 3 * KEYS as usize + 3;
    assert!((entries / STEP..=entries / STEP + 1).contains(&steps), "{steps} steps");
}

#[test]
fn a_step_frees_little() {
    let mut remains = Remains::from(filled().store);
    let (mut largest, mut more) = (0, true);
    while more {
        let freed = measure(|| more = remains.free(STEP));
        largest = largest.max(-freed.bytes_current);
    }
    // A leaf of the tree is freed with its last entry.
    assert!(largest > 0 && largest < 8 * (STEP as i64) * 400, "{largest} bytes in one step");
}

#[test]
fn a_view_stays_whole() {
    let log = filled();
    let view = log.store.clone();
    let mut remains = Remains::from(log.store);
    while remains.free(STEP) {}
    assert_eq!(view.keys(), KEYS as usize);
    assert_eq!(view.digest(), filled().store.digest());
}
