//! Histories of clients, in logs.

use raft_sim::history::{jepsen, kv_log as log};

/// A log of Jepsen's of a register. There is nothing that writes one.
pub fn jepsen_log(input: &[u8]) -> bool {
    let Ok(history) = jepsen::parse(input) else { return false };
    assert!(history.len() <= input.len(), "more operations than bytes");
    assert!(history.unknown() <= history.len());
    !history.is_empty()
}

/// A log of a key/value store.
pub fn kv_log(input: &[u8]) -> bool {
    let Ok(history) = log::parse(input) else { return false };
    let first = log::write(&history);
    let again = log::parse(first.as_bytes()).expect("what was written is a log");
    assert_eq!(log::write(&again), first, "it is written otherwise than it was read");
    assert_eq!(again.len(), history.len());
    !history.is_empty()
}
