//! The "rsm" scenarios of the labs of 2025, parts 4A and 4C: what becomes of commands that were submitted. A
//! command counts up by one; what it answers is the count, which every server has.

mod lab_support;

use std::time::Duration;

use bytes::Bytes;
use lab_support::{ELECTION, Lab, Setup, Submitted, seeds};
use raft_core::node::ProposalError;

const INCREMENT: Bytes = Bytes::from_static(b"increment");
const ALL: [usize; 3] = [0, 1, 2];
/// A submission returns within this time after the server was shut down.
const SHUTDOWN: Duration = Duration::from_secs(11);

fn increment(lab: &mut Lab) -> u64 {
    lab.submit_to_any(&INCREMENT, &ALL)
}

/// `TestBasic4A`: each increment is executed once, by every server.
#[test]
fn rsm_basic_4a() {
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 3));
        for count in 1..=10 {
            assert_eq!(increment(&mut lab), count);
            lab.check_count(count, 3);
        }
        lab.finish()
    });
}

/// `TestConcurrent4A`: the same, with many at once.
#[test]
fn rsm_concurrent_4a() {
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 3));
        let leader = lab.check_one_leader();
        let submitted = lab.submit(leader, &INCREMENT, 50);
        assert!(lab.known_within(Duration::from_secs(10), &submitted));
        let mut counts: Vec<u64> = submitted.iter().map(count).collect();
        counts.sort();
        assert_eq!(counts, (1..=50).collect::<Vec<u64>>(), "each was answered with its own count");
        lab.check_count(50, 3);
        lab.finish()
    });
}

fn count(submitted: &Submitted) -> u64 {
    match submitted.outcome() {
        Some(Ok(applied)) => applied.output,
        other => panic!("not applied: {other:?}"),
    }
}

/// `TestLeaderFailure4A`: a new leader executes increments, and so does the old one when it is back.
#[test]
fn rsm_leader_failure_4a() {
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 3));
        assert_eq!(increment(&mut lab), 1);
        lab.check_count(1, 3);
        let leader = lab.check_one_leader();
        lab.disconnect(leader);
        let others = ALL.map(|by| lab.next(leader, by));
        assert_eq!(lab.submit_to_any(&INCREMENT, &others[1..]), 2);
        lab.check_count(2, 2);
        lab.connect(leader);
        lab.check_count(2, 3);
        lab.finish()
    });
}

/// `TestLeaderPartition4A`: a leader that is cut off executes nothing, and whoever waits for it gets to know.
#[test]
fn rsm_leader_partition_4a() {
    let decrement = Bytes::from_static(b"decrement");
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 3));
        assert_eq!(increment(&mut lab), 1);
        lab.check_count(1, 3);
        let leader = lab.check_one_leader();
        lab.disconnect(leader);
        let submitted = lab.submit(leader, &decrement, 100);
        lab.sleep_ms(10);
        assert!(submitted.iter().all(|submitted| submitted.outcome().is_none()));
        let others = ALL.map(|by| lab.next(leader, by));
        assert_eq!(lab.submit_to_any(&INCREMENT, &others[1..]), 2);
        lab.check_count(2, 2);
        // The original gives them a second after the cut is mended. Here nobody waits for that: a leader that
        // nobody answers gives up.
        assert!(lab.known_within(ELECTION, &submitted), "somebody waits in vain");
        lab.connect(leader);
        for submitted in &submitted {
            // They are in its log: to say that they were never appended would be wrong.
            let outcome = submitted.outcome().expect("it is known");
            assert!(matches!(outcome, Err(ProposalError::Unknown { .. })), "{outcome:?}");
        }
        lab.check_count(2, 3);
        assert!(!lab.book().contains(&decrement));
        lab.finish()
    });
}

/// `TestRestartReplay4A`: what was executed before a restart of all is executed again, exactly.
#[test]
fn rsm_restart_replay_4a() {
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 3).crashing());
        a_hundred(&mut lab);
        crash_all(&mut lab);
        assert_eq!(increment(&mut lab), 101);
        lab.sleep(ELECTION);
        lab.check_count(101, 3);
        lab.finish()
    });
}

fn a_hundred(lab: &mut Lab) {
    for count in 1..=100 {
        assert_eq!(increment(lab), count);
        lab.check_count(count, 3);
    }
}

fn crash_all(lab: &mut Lab) {
    ALL.into_iter().for_each(|at| lab.crash(at));
    ALL.into_iter().for_each(|at| lab.revive(at));
}

/// `TestShutdown4A`: whoever waits when the servers are shut down gets an answer.
#[test]
fn rsm_shutdown_4a() {
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 3).crashing());
        lab.check_one_leader();
        submit_and_shut_down(&mut lab);
        ALL.into_iter().for_each(|at| lab.start(at));
        let index = increment(&mut lab);
        lab.check_count(index, 3);
        lab.finish()
    });
}

/// Gives a hundred commands to the leader, and shuts all servers down before it can have applied them all. Every
/// one is answered; gives how many were applied.
fn submit_and_shut_down(lab: &mut Lab) -> u64 {
    let leader = lab.check_one_leader();
    // The first half may be applied; then nobody hears the leader any more.
    let mut submitted = lab.submit(leader, &INCREMENT, 50);
    let pause = lab.rng.u64(0..20);
    lab.sleep_ms(pause);
    lab.disconnect(leader);
    submitted.extend(lab.submit(leader, &INCREMENT, 50));
    // The server's own handle is there until the end: it is the node that has to answer.
    let handle = lab.cluster.group(leader);
    for at in ALL {
        assert!(lab.cluster.shutdown(at, SHUTDOWN).reached(), "server {at} did not stop");
    }
    assert!(handle.is_some());
    assert!(lab.known_within(Duration::ZERO, &submitted), "somebody was never answered");
    lab.connect_all();
    let of = |submitted: &Submitted| match submitted.outcome() {
        Some(Ok(_)) => 1,
        Some(Err(ProposalError::Unknown { .. })) => 0,
        other => panic!("all were appended, so this is wrong: {other:?}"),
    };
    assert!(submitted[50..].iter().all(|late| of(late) == 0));
    submitted.iter().map(of).sum()
}

/// `TestRestartSubmit4A`: commands after a restart are not taken for those before it.
#[test]
fn rsm_restart_submit_4a() {
    let mut answered = 0;
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 3).crashing());
        a_hundred(&mut lab);
        crash_all(&mut lab);
        assert_eq!(increment(&mut lab), 101);
        lab.sleep(ELECTION);
        lab.check_count(101, 3);
        let applied = submit_and_shut_down(&mut lab);
        answered += applied;
        ALL.into_iter().for_each(|at| lab.start(at));
        let count = increment(&mut lab);
        assert!((102 + applied..=202).contains(&count), "{applied} applied for certain: {count}");
        lab.sleep(ELECTION);
        lab.check_count(count, 3);
        lab.finish()
    })
    .enough(1, "commands applied before the end", answered);
}

/// `TestSnapshot4C`: the log stays short, and a server that starts from a snapshot goes on counting.
#[test]
fn rsm_snapshot_4c() {
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 3).crashing().snapshotting());
        a_hundred(&mut lab);
        for at in ALL {
            let bytes = lab.cluster.status(at).map(|status| status.log_bytes);
            assert!(bytes.is_some_and(|bytes| bytes <= 2 * 1000), "{bytes:?}");
        }
        crash_all(&mut lab);
        assert_eq!(increment(&mut lab), 101);
        lab.check_count(101, 3);
        lab.finish()
    })
    .floor(40, "restored snapshots", |seen| seen.coverage.restores);
}
