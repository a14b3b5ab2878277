//! The state machine: each change once, the founding, the history and its end.

mod common;

use common::log::{HOUR, Log, settings};
use common::{CLUSTER, join, leave, move_shard, reference, shards};
use kv::CommandError;
use kv::command::{SessionId, Ticket};
use raft_core::{ClusterId, Command, LogId, LogIndex, StateMachine, Term};
use shardctrler::{
    ConfigNumber, Controller, Limits, Outcome, Refusal, Reply, SESSION_WINDOW, Settings, command,
};

fn changed(number: u64) -> Outcome {
    Outcome::Changed(ConfigNumber(number))
}

#[test]
fn a_repeated_request_is_answered_and_not_done_again() {
    let mut log = Log::new(10, Limits::default());
    let session = log.open(HOUR);
    let first = log.change(session, 1, 1, &join([1])).expect("done");
    assert_eq!(first.outcome, changed(1));
    assert_eq!(log.change(session, 1, 1, &join([1])), Ok(first));
    // A refusal is an answer as any other: it does not come true later.
    let refused = log.change(session, 2, 1, &leave([2])).expect("a turn");
    assert_eq!(refused.outcome, Outcome::Refused(Refusal::UnknownGroup { group: 2.into() }));
    assert_eq!(log.change(session, 3, 1, &join([2])).expect("done").outcome, changed(2));
    assert_eq!(log.change(session, 2, 1, &leave([2])), Ok(refused));
    assert_eq!(log.newest().groups().len(), 2);
    assert_eq!(log.newest().number(), ConfigNumber(2));
    // Acknowledged: nobody may ask any more.
    assert_eq!(log.change(session, 4, 3, &move_shard(0, 2)).expect("done").outcome, changed(3));
    let stale = Err(CommandError::StaleSequence);
    assert_eq!(log.change(session, 1, 1, &join([3])), stale);
    assert_eq!(log.change(session, 2, 2, &join([3])), stale);
    assert_eq!(log.newest().number(), ConfigNumber(3));
}

#[test]
fn requests_may_come_in_any_order_and_acknowledgements_do_not_go_back() {
    let mut log = Log::new(10, Limits::default());
    let session = log.open(HOUR);
    let third = log.change(session, 3, 1, &join([3])).expect("done");
    let first = log.change(session, 1, 1, &join([1])).expect("done");
    let second = log.change(session, 2, 1, &join([2])).expect("done");
    assert_eq!([first.outcome, second.outcome, third.outcome], [2, 3, 1].map(changed));
    assert_eq!(log.change(session, 2, 1, &join([2])), Ok(second));
    log.change(session, 4, 3, &leave([1])).expect("done");
    assert_eq!(log.change(session, 2, 1, &join([2])), Err(CommandError::StaleSequence));
    assert_eq!(log.change(session, 3, 1, &join([3])), Ok(third));
}

#[test]
fn the_window_is_bounded() {
    let mut log = Log::new(10, Limits::default());
    let (session, window) = (log.open(HOUR), u64::from(SESSION_WINDOW));
    assert!(log.change(session, window, 1, &join([1])).is_ok());
    let beyond = Err(CommandError::SessionWindow { window: SESSION_WINDOW });
    assert_eq!(log.change(session, window + 1, 1, &join([2])), beyond);
    assert_eq!(log.change(session, 1 << 40, 1, &join([2])), beyond);
    assert!(log.change(session, window + 1, 2, &join([2])).is_ok());
}

#[test]
fn a_session_ends_by_the_logs_time_and_is_used_by_changing() {
    let mut log = Log::new(10, Limits::default());
    let (idle, busy) = (log.open(6_000), log.open(6_000));
    for seq in 1..=10 {
        log.now += 5_000;
        log.change(busy, seq, seq, &join([seq])).expect("in use");
    }
    assert_eq!(log.change(idle, 1, 1, &join([20])), Err(CommandError::SessionExpired));
    assert_eq!(log.controller.sessions(), 1, "removed");
    log.now += 60_000;
    // A retry after its session's end is not done a second time.
    assert_eq!(log.change(busy, 10, 10, &join([10])), Err(CommandError::SessionExpired));
    // Time does not go back with a leader whose clock is behind.
    log.now = 0;
    assert_eq!(log.change(busy, 11, 11, &join([11])), Err(CommandError::SessionExpired));
    assert_eq!((log.controller.log_time(), log.newest().number()), (110_000, ConfigNumber(10)));
    let nobody = SessionId(LogIndex(77));
    assert_eq!(log.change(nobody, 1, 1, &join([1])), Err(CommandError::SessionExpired));
}

#[test]
fn the_longest_unused_session_makes_room() {
    let mut limits = Limits::default();
    limits.sessions_max = 3;
    let mut log = Log::new(10, limits);
    let first = log.open(HOUR);
    let mut others = Vec::new();
    for _ in 0..2 {
        log.now += 1_000;
        others.push(log.open(HOUR));
    }
    log.now += 1_000;
    log.change(first, 1, 1, &join([1])).expect("in use");
    log.open(HOUR);
    assert_eq!(log.controller.sessions(), 3);
    assert_eq!(log.change(others[0], 1, 1, &join([2])), Err(CommandError::SessionExpired));
    assert!(log.change(first, 2, 1, &join([2])).is_ok());
    assert!(log.change(others[1], 1, 1, &join([3])).is_ok());
}

#[test]
fn the_first_founding_counts_and_nothing_is_done_before_it() {
    let mut log = Log::unfounded();
    assert!(log.controller.newest().is_none() && log.controller.settings().is_none());
    assert_eq!(log.controller.configuration(ConfigNumber(0)), Err(Refusal::NotFounded));
    let opened = log.apply(command::open_session(0, HOUR)).expect("a turn");
    assert_eq!(opened.outcome, Outcome::Refused(Refusal::NotFounded));
    let refused = log.change(SessionId(opened.index), 1, 1, &join([1]));
    assert_eq!(refused, Err(CommandError::SessionExpired));

    let founded = |index| Ok(Reply { index: LogIndex(index), outcome: Outcome::Founded });
    let settings = settings(10, Limits::default());
    assert_eq!(log.apply(command::found(0, &settings)), founded(3));
    let other = Settings::new(ClusterId(99), shards(16));
    assert_eq!(log.apply(command::found(0, &other)), founded(4));
    assert_eq!(log.controller.settings(), Some(&settings));
    assert_eq!((log.newest().cluster(), log.newest().shard_count()), (CLUSTER, shards(10)));
    assert_eq!(log.once(&join([1])), changed(1));
}

#[test]
fn all_configurations_are_kept_as_they_were() {
    let mut log = Log::new(10, Limits::default());
    let mut were = vec![log.newest()];
    for id in 1..=20 {
        log.once(&join([id]));
        were.push(log.newest());
        log.once(&move_shard(id as u16 % 10, id));
        were.push(log.newest());
    }
    for (number, was) in were.iter().enumerate() {
        assert_eq!(&log.at(number as u64), was);
    }
    were.windows(2).for_each(|two| reference::check_step(&two[0], &two[1]).expect("right"));
    assert_eq!(log.controller.configuration(ConfigNumber(41)), Ok(None));
    assert_eq!(log.controller.configuration(ConfigNumber(u64::MAX)), Ok(None));
}

#[test]
fn the_oldest_configurations_go_and_say_so() {
    let mut limits = Limits::default();
    limits.history_max = 5;
    let mut log = Log::new(10, limits);
    for id in 1..=4 {
        log.once(&join([id]));
    }
    assert_eq!(log.at(0).groups().len(), 0);
    for id in 5..=20 {
        log.once(&join([id]));
    }
    assert_eq!(log.controller.oldest(), ConfigNumber(16));
    assert_eq!(log.at(16).groups().len(), 16);
    let gone = Refusal::Compacted { asked: ConfigNumber(15), oldest: ConfigNumber(16) };
    assert_eq!(log.controller.configuration(ConfigNumber(15)), Err(gone));
    assert_eq!(gone.to_string(), "configuration #15 is gone: the oldest that is kept is #16");
}

#[test]
fn the_history_is_bounded_in_bytes_and_keeps_the_newest_whatever_its_size() {
    let mut limits = Limits::default();
    limits.history_bytes_max = 1;
    let mut log = Log::new(10, limits.clone());
    for id in 1..=3 {
        log.once(&join([id]));
        assert_eq!(log.controller.oldest(), ConfigNumber(id));
        assert_eq!(log.at(id).groups().len() as u64, id);
    }
    limits.history_bytes_max = 1_000;
    let mut log = Log::new(10, limits);
    for id in 1..=40 {
        log.once(&join([id]));
        // A configuration has at least 12 bytes for each group.
        let kept = id - log.controller.oldest().0 + 1;
        assert!(kept == 1 || kept * id * 12 < 3_000, "{kept} with {id} groups");
    }
    assert!(log.controller.oldest() > ConfigNumber(30));
}

#[test]
fn limits_that_cannot_be_are_as_near_as_possible() {
    let mut limits = Limits::default();
    (limits.history_max, limits.sessions_max) = (0, 0);
    limits.address_bytes_max = u16::MAX;
    limits.configuration_bytes_max = u32::MAX;
    let mut log = Log::new(10, limits);
    assert_eq!(log.once(&join([1])), changed(1));
    assert_eq!((log.controller.oldest(), log.controller.sessions()), (ConfigNumber(1), 1));
    let sane = &log.controller.settings().expect("founded").limits;
    assert_eq!((sane.address_bytes_max, sane.configuration_bytes_max), (1_024, 2 << 20));
}

/// The same log in batches of any size makes the same state.
#[test]
fn batches_make_no_difference() {
    let mut log = Log::new(10, Limits::default());
    for id in 1..=10 {
        log.now += 10;
        log.once(&join([id, 100 + id]));
        log.once(&leave([100 + id]));
    }
    for size in [1, 2, 7, 100] {
        let mut other = Controller::new();
        log.commands.chunks(size).for_each(|batch| drop(other.apply(batch)));
        assert_eq!(other.digest(), log.controller.digest());
    }
    let mut longer = log.controller.clone();
    let ticket = Ticket { session: SessionId(LogIndex(2)), seq: 9, acked: 9 };
    let data = command::change(log.now, ticket, &join([50]));
    longer.apply(&[Command { id: LogId::new(Term(1), LogIndex(1_000)), data }]);
    assert_ne!(longer.digest(), log.controller.digest());
}
