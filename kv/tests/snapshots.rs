//! Snapshots: the same bytes for the same state, restored from any pieces, refused when anything is wrong.

mod common;

use common::{HOUR, Log, append, put, restore, snapshot};
use kv::command::{self, Ticket};
use kv::{Op, Store, StoreConfig};
use raft_core::StateMachine;

/// A store with keys, sessions with several kept replies, and some time passed.
fn filled(keys: u32) -> Log {
    let mut log = Log::new(StoreConfig::default());
    let sessions: Vec<_> = (0..5).map(|_| log.open(HOUR)).collect();
    for n in 0..keys {
        log.now += 7;
        let session = sessions[n as usize % 5];
        let value = vec![n as u8; (n as usize * 13) % 300];
        let seq = u64::from(n / 5) + 1;
        log.write(session, seq, seq.saturating_sub(3).max(1), put(&n.to_be_bytes(), &value))
            .expect("applied");
    }
    let ticket = Ticket { session: sessions[0], seq: u64::from(keys), acked: u64::from(keys / 5) };
    let ops = [append(b"a", b"b"), Op::Delete { key: b"a" }];
    log.apply(command::batch(log.now, ticket, &ops)).expect("applied");
    log
}

#[test]
fn restored_and_taken_again_it_is_the_same_byte_for_byte() {
    for keys in [0, 1, 700] {
        let log = filled(keys);
        let bytes = snapshot(&log.store, 1 << 20);
        for (taken, pushed) in [(1, 1), (7, 13), (1000, 999), (1 << 20, 1 << 20)] {
            assert_eq!(snapshot(&log.store, taken), bytes, "in pieces of {taken}");
            let restored = restore(&bytes, pushed).expect("restored");
            assert_eq!(restored.digest(), log.store.digest());
            assert_eq!(restored.recomputed_digest(), log.store.digest());
            assert_eq!(snapshot(&restored, 1 << 20), bytes);
        }
    }
}

#[test]
fn a_restored_store_goes_on_as_the_first_would() {
    let mut log = filled(100);
    let mut restored = restore(&snapshot(&log.store, 4096), 4096).expect("restored");
    let from = log.commands.len();
    // A repeated request among new ones: the sessions are part of the snapshot.
    let again = log.commands[from - 1].data.clone();
    let first = log.apply(again);
    let session = log.open(HOUR);
    log.write(session, 1, 1, put(b"new", b"x")).expect("applied");
    let outputs = restored.apply(&log.commands[from..]);
    assert_eq!(outputs[0], first);
    assert_eq!(restored.digest(), log.store.digest());
}

#[test]
fn a_view_does_not_see_what_is_written_after_it() {
    let mut log = filled(500);
    let before = snapshot(&log.store, 1 << 20);
    let mut view = log.store.snapshot();
    let mut bytes = Vec::new();
    let session = log.open(HOUR);
    let mut seq = 0;
    while let Some(chunk) = view.next_chunk(1000) {
        bytes.extend_from_slice(&chunk);
        seq += 1;
        let key = (seq as u32 * 3).to_be_bytes();
        log.write(session, seq, seq, append(&key, b"changed")).expect("applied");
        log.write(session, seq, seq, Op::Delete { key: &[0, 0, 1, seq as u8] }).expect("repeated");
    }
    assert!(seq > 20);
    assert_eq!(bytes, before);
}

#[test]
fn anything_wrong_is_refused() {
    let log = filled(20);
    let good = snapshot(&log.store, 1 << 20);
    for cut in 0..good.len() {
        assert!(restore(&good[..cut], 64).is_err(), "cut at {cut}");
    }
    assert!(restore(&[&good[..], b"x"].concat(), 64).is_err(), "longer");
    assert!(restore(&[&good[..], &good[..]].concat(), 64).is_err(), "twice");
    for at in 0..good.len() {
        for mask in [0x01, 0x80] {
            let mut bad = good.clone();
            bad[at] ^= mask;
            // A changed byte must never pass for another state.
            if let Ok(store) = restore(&bad, 64) {
                assert_eq!(store.digest(), log.store.digest(), "byte {at} ^ {mask}");
            }
        }
    }
    let error = restore(b"rkv\x02....", 64).err().expect("refused");
    assert_eq!(error.reason, "unknown format 2");
}

#[test]
fn an_error_is_final() {
    let good = snapshot(&filled(3).store, 1 << 20);
    let mut restoring = Store::default().restore();
    assert!(restoring.push(b"nonsense").is_err());
    assert!(restoring.push(&good).is_err());
    assert!(restoring.finish().is_err());
}

#[test]
fn one_key_and_a_few_sessions_are_small() {
    let mut log = Log::new(StoreConfig::default());
    let sessions: Vec<_> = (0..5).map(|_| log.open(HOUR)).collect();
    for seq in 1..=200 {
        for session in &sessions {
            log.write(*session, seq, seq, put(b"x", &seq.to_string().into_bytes()))
                .expect("applied");
        }
    }
    let bytes = snapshot(&log.store, 1 << 20).len();
    assert!(bytes <= 300, "{bytes}");
}

#[test]
fn what_bounds_the_store_is_part_of_it() {
    let mut config = StoreConfig::default();
    config.limits.value_bytes_max = 5;
    let store = Store::new(config.clone());
    assert_ne!(store.digest(), Store::default().digest());
    let restored = restore(&snapshot(&store, 1 << 20), 64).expect("restored");
    assert_eq!(restored.config(), &config);
}
