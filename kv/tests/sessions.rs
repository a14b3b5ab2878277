//! Exactly once, and what bounds the sessions.

mod common;

use common::{HOUR, Log, append, put};
use kv::command::{self, SessionId, Ticket};
use kv::{CommandError, Op, Outcome, SESSION_WINDOW, StoreConfig};
use raft_core::LogIndex;

#[test]
fn a_repeated_request_gets_the_first_reply_and_is_not_applied() {
    let mut log = Log::new(StoreConfig::default());
    let session = log.open(HOUR);
    let first = log.write(session, 1, 1, append(b"k", b"a")).expect("applied");
    log.write(session, 2, 1, append(b"k", b"b")).expect("applied");
    assert_eq!(log.write(session, 1, 1, append(b"k", b"a")), Ok(first));
    assert_eq!(log.value(b"k"), Some(b"ab".to_vec()));
}

#[test]
fn requests_may_come_in_any_order() {
    let mut log = Log::new(StoreConfig::default());
    let session = log.open(HOUR);
    let order = [5, 1, 9, 3, 2, 8, 4];
    let replies: Vec<_> =
        order.iter().map(|seq| log.write(session, *seq, 1, append(b"k", b"x"))).collect();
    for (seq, reply) in order.iter().zip(&replies) {
        assert_eq!(&log.write(session, *seq, 1, append(b"k", b"x")), reply);
    }
    assert_eq!(log.value(b"k").map(|value| value.len()), Some(order.len()));
    assert_eq!(log.store.digest(), log.store.recomputed_digest());
}

#[test]
fn acknowledged_replies_are_dropped_and_never_applied_again() {
    let mut log = Log::new(StoreConfig::default());
    let session = log.open(HOUR);
    for seq in 1..=100 {
        log.write(session, seq, 1, append(b"k", b"x")).expect("applied");
    }
    let full = log.store.reply_bytes();
    log.write(session, 101, 101, put(b"other", b"")).expect("applied");
    assert!(log.store.reply_bytes() * 50 < full, "one reply is kept");
    for seq in [1, 50, 100] {
        assert_eq!(
            log.write(session, seq, 1, append(b"k", b"x")),
            Err(CommandError::StaleSequence),
            "even if this copy of the request knows of no acknowledgement"
        );
    }
    assert_eq!(log.value(b"k").map(|value| value.len()), Some(100));
    assert_eq!(log.store.digest(), log.store.recomputed_digest());
}

/// A delayed copy of a request knows of fewer acknowledgements than what came before it.
#[test]
fn acknowledgements_do_not_go_back() {
    let mut log = Log::new(StoreConfig::default());
    let session = log.open(HOUR);
    for seq in 1..=100 {
        log.write(session, seq, seq, append(b"k", b"x")).expect("applied");
    }
    log.write(session, 103, 90, put(b"late", b"")).expect("applied");
    let stale = Err(CommandError::StaleSequence);
    assert_eq!(log.write(session, 95, 90, append(b"k", b"x")), stale);
    assert_eq!(log.value(b"k").map(|value| value.len()), Some(100));
}

#[test]
fn the_window_is_bounded() {
    let mut log = Log::new(StoreConfig::default());
    let session = log.open(HOUR);
    let window = u64::from(SESSION_WINDOW);
    assert!(log.write(session, window, 1, put(b"last", b"")).is_ok());
    let beyond = Err(CommandError::SessionWindow { window: SESSION_WINDOW });
    assert_eq!(log.write(session, window + 1, 1, put(b"no", b"")), beyond);
    // Further than the field on the wire can say.
    assert_eq!(log.write(session, 1 << 40, 1, put(b"no", b"")), beyond);
    assert_eq!(log.value(b"no"), None);
    assert!(log.write(session, window + 1, 2, put(b"yes", b"")).is_ok());
}

#[test]
fn a_session_ends_by_the_logs_time_and_is_used_by_writing() {
    let mut log = Log::new(StoreConfig::default());
    let (idle, busy) = (log.open(6_400), log.open(6_400));
    for seq in 1..=10 {
        log.now += 5_000;
        log.write(busy, seq, seq, append(b"k", b"x")).expect("in use");
    }
    assert_eq!(log.write(idle, 1, 1, put(b"no", b"")), Err(CommandError::SessionExpired));
    assert_eq!(log.value(b"no"), None);
    assert_eq!(log.store.sessions(), 1, "removed");
    // A retry after its session's end is not applied a second time.
    log.now += 60_000;
    assert_eq!(log.write(busy, 10, 10, append(b"k", b"x")), Err(CommandError::SessionExpired));
    assert_eq!(log.value(b"k").map(|value| value.len()), Some(10));
    // Time does not go back with a leader whose clock is behind.
    log.now = 0;
    assert_eq!(log.write(busy, 11, 11, append(b"k", b"x")), Err(CommandError::SessionExpired));
    assert_eq!(log.store.log_time(), 110_000);
}

#[test]
fn many_sessions_that_end_at_once_are_removed_some_at_a_time() {
    let mut log = Log::new(StoreConfig::default());
    let sessions: Vec<_> = (0..100).map(|_| log.open(1_000)).collect();
    log.now = 10_000;
    let last = sessions[99];
    assert_eq!(log.write(last, 1, 1, put(b"k", b"")), Err(CommandError::SessionExpired));
    assert!(log.store.sessions() > 50, "not all at once: {}", log.store.sessions());
    for _ in 0..10 {
        log.open(HOUR);
    }
    assert_eq!(log.store.sessions(), 10);
    assert_eq!(log.store.digest(), log.store.recomputed_digest());
}

#[test]
fn the_longest_unused_session_makes_room() {
    let mut config = StoreConfig::default();
    config.sessions_max = 3;
    let mut log = Log::new(config);
    let first = log.open(HOUR);
    let mut others = Vec::new();
    for _ in 0..2 {
        log.now += 100_000;
        others.push(log.open(HOUR));
    }
    log.now += 100_000;
    log.write(first, 1, 1, put(b"k", b"")).expect("in use");
    log.open(HOUR);
    assert_eq!(log.store.sessions(), 3);
    assert_eq!(log.write(others[0], 1, 1, put(b"k", b"")), Err(CommandError::SessionExpired));
    assert!(log.write(first, 2, 1, put(b"k", b"")).is_ok());
}

#[test]
fn the_bytes_of_all_replies_are_bounded() {
    let mut config = StoreConfig::default();
    config.reply_bytes_max = 100_000;
    let mut log = Log::new(config);
    let ops = [Op::Delete { key: b"k" }; 100];
    let mut most = 0;
    for session in 0..30 {
        let session_id = log.open(HOUR);
        log.now += 100_000 + session;
        for seq in 1..=10 {
            let ticket = Ticket { session: session_id, seq, acked: 1 };
            let reply = log.apply(command::batch(log.now, ticket, &ops)).expect("applied");
            assert!(matches!(reply.outcome, Outcome::Batch(outcomes) if outcomes.len() == 100));
            most = most.max(log.store.reply_bytes());
            assert!(log.store.reply_bytes() <= 100_000);
        }
    }
    assert!(most > 60_000, "the bound was reached: {most}");
    assert!(log.store.sessions() < 30);
    assert_eq!(log.store.digest(), log.store.recomputed_digest());
}

#[test]
fn a_session_that_never_was_is_an_expired_one() {
    let mut log = Log::new(StoreConfig::default());
    let nobody = SessionId(LogIndex(77));
    assert_eq!(log.write(nobody, 1, 1, put(b"k", b"")), Err(CommandError::SessionExpired));
}
