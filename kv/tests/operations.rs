//! What each operation does, and what bad input gets.

mod common;

use bytes::Bytes;
use common::{HOUR, Log, append, put};
use kv::command::{self, Ticket};
use kv::{CommandError, Expect, Limits, Op, OpOutcome, Outcome, Refusal, Scan, StoreConfig};
use proptest::prelude::*;
use raft_core::LogIndex;

fn small() -> StoreConfig {
    let mut config = StoreConfig::default();
    config.limits = limits();
    config
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.key_bytes_max = 8;
    limits.value_bytes_max = 10;
    limits.batch_ops_max = 3;
    limits.batch_bytes_max = 40;
    limits.scan_entries_max = 5;
    limits.scan_bytes_max = 60;
    limits
}

/// Applies one operation under a new sequence number.
fn outcome(log: &mut Log, op: Op<'_>) -> Outcome {
    let session = log.open(HOUR);
    log.write(session, 1, 1, op).expect("a turn").outcome
}

fn batch(log: &mut Log, ops: &[Op<'_>]) -> Outcome {
    let session = log.open(HOUR);
    let ticket = Ticket { session, seq: 1, acked: 1 };
    log.apply(command::batch(log.now, ticket, ops)).expect("a turn").outcome
}

#[test]
fn every_operation_says_what_it_did() {
    let mut log = Log::new(StoreConfig::default());
    assert_eq!(outcome(&mut log, put(b"k", b"ab")), Outcome::One(OpOutcome::Put));
    let version = log.store.get(b"k").expect("a value").version;
    assert_eq!(version, LogIndex(2), "the index of the write");
    assert_eq!(
        outcome(&mut log, append(b"k", b"c")),
        Outcome::One(OpOutcome::Append { length: 3 })
    );
    assert_eq!(log.value(b"k"), Some(b"abc".to_vec()));
    assert_eq!(
        outcome(&mut log, append(b"new", b"x")),
        Outcome::One(OpOutcome::Append { length: 1 })
    );
    let delete = Op::Delete { key: b"k" };
    assert_eq!(outcome(&mut log, delete), Outcome::One(OpOutcome::Delete { existed: true }));
    assert_eq!(outcome(&mut log, delete), Outcome::One(OpOutcome::Delete { existed: false }));
    assert_eq!(log.value(b"k"), None);
}

#[test]
fn compare_and_set_expects_absence_a_value_or_a_version() {
    let mut log = Log::new(StoreConfig::default());
    let cas = |expect, then| Op::CompareAndSet { key: b"k", expect, then };
    let swapped = Outcome::One(OpOutcome::Swapped);
    let mismatch = |current| Outcome::One(OpOutcome::Mismatch { current });
    assert_eq!(outcome(&mut log, cas(Expect::Value(b""), Some(b"x"))), mismatch(None));
    assert_eq!(outcome(&mut log, cas(Expect::Version(LogIndex(0)), Some(b"x"))), mismatch(None));
    assert_eq!(outcome(&mut log, cas(Expect::Absent, Some(b"a"))), swapped);
    let first = log.store.get(b"k").expect("set").version;
    assert_eq!(outcome(&mut log, cas(Expect::Absent, Some(b"b"))), mismatch(Some(first)));
    assert_eq!(outcome(&mut log, cas(Expect::Value(b"a"), Some(b"b"))), swapped);
    let second = log.store.get(b"k").expect("set").version;
    assert_eq!(outcome(&mut log, cas(Expect::Version(first), None)), mismatch(Some(second)));
    assert_eq!(log.value(b"k"), Some(b"b".to_vec()), "left as it was");
    assert_eq!(outcome(&mut log, cas(Expect::Version(second), None)), swapped);
    assert_eq!(log.value(b"k"), None);
}

#[test]
fn a_batch_is_done_whole_or_not_at_all() {
    let mut log = Log::new(small());
    outcome(&mut log, put(b"a", b"1"));
    let digest_of_data = |log: &Log| log.store.scan(&Scan::range("", None));
    let cas = |expect| Op::CompareAndSet { key: b"b", expect, then: Some(b"3") };
    // Each operation sees what those before it did.
    let ops = [append(b"a", b"2"), put(b"b", b"2"), cas(Expect::Value(b"2"))];
    let done = [OpOutcome::Append { length: 2 }, OpOutcome::Put, OpOutcome::Swapped];
    assert_eq!(batch(&mut log, &ops), Outcome::Batch(done.into()));
    assert_eq!(log.value(b"b"), Some(b"3".to_vec()));
    let before = digest_of_data(&log);
    let version = log.store.get(b"b").map(|item| item.version);
    let ops = [Op::Delete { key: b"a" }, put(b"new", b"x"), cas(Expect::Absent)];
    let mismatch = Outcome::BatchMismatch { op: 2, current: version };
    assert_eq!(batch(&mut log, &ops), mismatch);
    assert_eq!(digest_of_data(&log), before, "undone");
    let ops = [put(b"a", b"x"), put(b"a", b"0123456789"), append(b"a", b"x")];
    let refused = Refusal::ValueTooLarge { bytes: 11, bytes_max: 10 };
    assert_eq!(batch(&mut log, &ops), Outcome::Refused(refused));
    assert_eq!(digest_of_data(&log), before, "undone");
    assert_eq!(log.store.digest(), log.store.recomputed_digest());
    assert_eq!(batch(&mut log, &[]), Outcome::Batch([].into()));
}

#[test]
fn limits_hold_when_a_command_is_applied() {
    let mut log = Log::new(small());
    assert_eq!(outcome(&mut log, put(b"12345678", b"0123456789")), Outcome::One(OpOutcome::Put));
    let key = Refusal::KeyTooLarge { bytes: 9, bytes_max: 8 };
    let value = Refusal::ValueTooLarge { bytes: 11, bytes_max: 10 };
    assert_eq!(outcome(&mut log, put(b"123456789", b"")), Outcome::Refused(key));
    assert_eq!(outcome(&mut log, put(b"", b"0123456789a")), Outcome::Refused(value));
    assert_eq!(outcome(&mut log, append(b"12345678", b"x")), Outcome::Refused(value));
    assert_eq!(log.value(b"12345678"), Some(b"0123456789".to_vec()));
    let expect = Expect::Value(b"0123456789a");
    let cas = Op::CompareAndSet { key: b"", expect, then: None };
    assert_eq!(outcome(&mut log, cas), Outcome::Refused(value));
    let long = Refusal::BatchTooLong { ops: 4, ops_max: 3 };
    assert_eq!(batch(&mut log, &[put(b"a", b""); 4]), Outcome::Refused(long));
    let large = Refusal::BatchTooLarge { bytes: 41, bytes_max: 40 };
    let ten = put(b"123", b"0123456789");
    let full = [put(b"1234", b"0123456789"), ten, ten];
    assert_eq!(batch(&mut log, &full), Outcome::Batch([OpOutcome::Put; 3].into()));
    let over = [put(b"12345", b"0123456789"), ten, ten];
    assert_eq!(batch(&mut log, &over), Outcome::Refused(large));
}

#[test]
fn any_bytes_are_a_key() {
    let mut log = Log::new(StoreConfig::default());
    let keys: [&[u8]; 5] = [b"", b"\0", b"\xff\xfe\x00", b"../", "\u{fffd}".as_bytes()];
    for (at, key) in keys.into_iter().enumerate() {
        outcome(&mut log, put(key, &[at as u8]));
    }
    outcome(&mut log, put(b"empty value", b""));
    for (at, key) in keys.into_iter().enumerate() {
        assert_eq!(log.value(key), Some(vec![at as u8]));
    }
    assert_eq!(log.value(b"empty value"), Some(Vec::new()));
    let first = log.store.scan(&Scan::range("", None)).entries.remove(0);
    assert_eq!(first.0.as_slice(), b"", "the empty key is the first");
}

#[test]
fn scans_go_page_by_page_and_are_bounded() {
    let mut log = Log::new(small());
    for n in 0..12_u8 {
        outcome(&mut log, put(&[b'k', n], b"0123456789"));
    }
    outcome(&mut log, put(b"j\xff", b"x"));
    outcome(&mut log, put(b"l", b"x"));
    let mut keys = Vec::new();
    let mut scan = Scan::prefix("k");
    let mut pages = 0;
    loop {
        let page = log.store.scan(&scan);
        assert!(page.entries.len() <= 5);
        let bytes: usize =
            page.entries.iter().map(|(k, v, _)| k.as_slice().len() + v.as_slice().len()).sum();
        assert!(bytes <= 60, "{bytes}");
        keys.extend(page.entries.iter().map(|(key, _, _)| key.as_slice().to_vec()));
        pages += 1;
        let Some(next) = page.next else { break };
        scan = scan.after(next.as_slice());
    }
    assert_eq!(keys, (0..12).map(|n| vec![b'k', n]).collect::<Vec<_>>());
    assert_eq!(pages, 3);
    // Even an entry beyond every limit is listed, alone: a scan always gets on.
    let mut one = Scan::range("k", Some(b"l".to_vec())).limit(0);
    one.bytes_max = 0;
    assert_eq!(log.store.scan(&one).entries.len(), 1);
    let all = log.store.scan(&Scan::prefix([0xff, 0xff]));
    assert!(all.entries.is_empty() && all.next.is_none());
    // A cursor before the range does not widen it.
    let odd = Scan::range("l", None).after("a");
    assert_eq!(log.store.scan(&odd).entries.len(), 1);
}

#[test]
fn bytes_that_are_no_command_are_answered() {
    let mut log = Log::new(StoreConfig::default());
    let session = log.open(HOUR);
    let good = command::write(0, Ticket { session, seq: 1, acked: 1 }, put(b"k", b"v"));
    let digest = log.store.digest();
    for cut in 0..good.len() {
        assert_eq!(log.apply(good.slice(..cut)), Err(CommandError::Malformed));
    }
    let longer = Bytes::from([&good[..], b"x"].concat());
    assert_eq!(log.apply(longer), Err(CommandError::Malformed));
    for (at, byte) in [(0, 0), (0, 2), (1, 2), (28, 9)] {
        let mut other = good.to_vec();
        other[at] = byte;
        assert_eq!(log.apply(other.into()), Err(CommandError::Malformed), "byte {at}");
    }
    assert_eq!(log.store.digest(), digest, "nothing changed");
    assert!(log.apply(good).is_ok());
}

proptest! {
    #[test]
    fn no_bytes_panic(data in proptest::collection::vec(any::<u8>(), 0..80), kind in 0..2_u8) {
        let mut log = Log::new(StoreConfig::default());
        log.open(HOUR);
        let _ = log.apply(data.clone().into());
        // Further than random bytes get: past the envelope, and into the operation of session 1.
        let mut command = vec![1, kind];
        command.extend_from_slice(&0_u64.to_le_bytes());
        command.extend_from_slice(&1_u64.to_le_bytes());
        command.extend_from_slice(&1_u64.to_le_bytes());
        command.extend_from_slice(&0_u16.to_le_bytes());
        command.extend_from_slice(&data);
        let _ = log.apply(command.into());
        prop_assert_eq!(log.store.digest(), log.store.recomputed_digest());
    }
}
