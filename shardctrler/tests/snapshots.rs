//! Snapshots: the same bytes for the same state, restored from any pieces, refused when anything is wrong.

mod common;

use common::log::{HOUR, Log, restore, snapshot};
use common::{join, leave, move_shard};
use raft_core::StateMachine;
use shardctrler::{ConfigNumber, Controller, Limits, Refusal};

/// A controller with a history, sessions with several kept replies, and some time passed.
fn filled(changes: u64, limits: Limits) -> Log {
    let mut log = Log::new(10, limits);
    let sessions: Vec<_> = (0..4).map(|_| log.open(HOUR)).collect();
    for n in 0..changes {
        log.now += 7;
        let (session, seq) = (sessions[n as usize % 4], n / 4 + 1);
        let change = match n % 3 {
            0 => join([n + 1]),
            1 => move_shard(n as u16 % 12, n),
            _ => leave([n / 2]),
        };
        log.change(session, seq, seq.saturating_sub(3).max(1), &change).expect("a turn");
    }
    log
}

fn small() -> Limits {
    let mut limits = Limits::default();
    limits.history_max = 8;
    limits
}

#[test]
fn restored_and_taken_again_it_is_the_same_byte_for_byte() {
    let logs = [
        Log::unfounded(),
        filled(0, Limits::default()),
        filled(1, Limits::default()),
        filled(200, Limits::default()),
        filled(200, small()),
    ];
    for log in logs {
        let bytes = snapshot(&log.controller, 1 << 20);
        for (taken, pushed) in [(1, 1), (7, 13), (1000, 999), (1 << 20, 1 << 20)] {
            assert_eq!(snapshot(&log.controller, taken), bytes, "in pieces of {taken}");
            let restored = restore(&bytes, pushed).expect("restored");
            assert_eq!(restored.digest(), log.controller.digest());
            assert_eq!(restored.settings(), log.controller.settings());
            assert_eq!(restored.newest(), log.controller.newest());
            assert_eq!(snapshot(&restored, 1 << 20), bytes);
        }
    }
}

#[test]
fn a_restored_controller_goes_on_as_the_first_would() {
    let mut log = filled(100, small());
    let mut restored = restore(&snapshot(&log.controller, 4096), 4096).expect("restored");
    let gone = restored.configuration(ConfigNumber(3));
    assert!(matches!(gone, Err(Refusal::Compacted { .. })), "{gone:?}");
    let from = log.commands.len();
    // A repeated request among new ones: the sessions are part of the snapshot.
    let again = log.commands[from - 1].data.clone();
    let first = log.apply(again);
    log.once(&join([1_000]));
    for n in 0..10 {
        log.once(&move_shard(n, 1_000));
    }
    let outputs = restored.apply(&log.commands[from..]);
    assert_eq!(outputs[0], first);
    assert_eq!(restored.digest(), log.controller.digest());
    assert_eq!(snapshot(&restored, 100), snapshot(&log.controller, 100));
}

#[test]
fn a_view_does_not_see_what_is_changed_after_it() {
    let mut log = filled(100, small());
    let before = snapshot(&log.controller, 1 << 20);
    let mut view = log.controller.snapshot();
    let mut bytes = Vec::new();
    let mut pieces = 0;
    while let Some(chunk) = view.next_chunk(100) {
        bytes.extend_from_slice(&chunk);
        pieces += 1;
        log.once(&join([1_000 + pieces]));
    }
    assert!(pieces > 20);
    assert_eq!(bytes, before);
}

#[test]
fn anything_wrong_is_refused() {
    let log = filled(20, small());
    let good = snapshot(&log.controller, 1 << 20);
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
            if let Ok(controller) = restore(&bad, 64) {
                assert_eq!(controller.digest(), log.controller.digest(), "byte {at} ^ {mask}");
            }
        }
    }
    let error = restore(b"rsc\x02....", 64).err().expect("refused");
    assert_eq!(error.reason, "unknown format 2");
    let error = restore(b"rsc\x01\xff\xff\xff\xff", 64).err().expect("refused");
    assert_eq!(error.reason, "a record of 4294967295 bytes");
}

#[test]
fn an_error_is_final() {
    let good = snapshot(&filled(3, small()).controller, 1 << 20);
    let mut restoring = Controller::new().restore();
    assert!(restoring.push(b"nonsense").is_err());
    assert!(restoring.push(&good).is_err());
    assert!(restoring.finish().is_err());
}

/// The records of a snapshot, each with its length.
fn records(bytes: &[u8]) -> Vec<&[u8]> {
    let mut rest = &bytes[4..];
    let mut records = Vec::new();
    while let Some((length, _)) = rest.split_first_chunk() {
        let (record, after) = rest.split_at(4 + u32::from_le_bytes(*length) as usize);
        records.push(record);
        rest = after;
    }
    records
}

#[test]
fn records_are_refused_in_any_other_order() {
    let log = filled(20, small());
    let good = snapshot(&log.controller, 1 << 20);
    let records = records(&good);
    let build = |records: &[&[u8]]| [&good[..4], &records.concat()].concat();
    assert_eq!(build(&records), good);
    for at in 0..records.len() {
        let mut without = records.clone();
        without.remove(at);
        assert!(restore(&build(&without), 64).is_err(), "without record {at}");
        let mut twice = records.clone();
        twice.insert(at, records[at]);
        assert!(restore(&build(&twice), 64).is_err(), "record {at} twice");
        for other in 0..at {
            let mut swapped = records.clone();
            swapped.swap(at, other);
            assert!(restore(&build(&swapped), 64).is_err(), "records {other} and {at} swapped");
        }
    }
}
