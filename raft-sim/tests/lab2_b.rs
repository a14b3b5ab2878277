//! The labs' scenarios of part 2B: replication.

mod lab_support;

use bytes::Bytes;
use lab_support::{ELECTION, Lab, MovedOn, Retry, Setup, Started, number, seeds};
use raft_core::Term;

/// Messages that are not replies: the labs count RPCs.
fn requests(lab: &Lab) -> u64 {
    lab.cluster.net().traffic().requests()
}

/// `basic_agree_2b`, `TestBasicAgree2B`: nothing is committed before it is proposed, and indexes are 1, 2, 3.
#[test]
fn basic_agree_2b() {
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 5));
        for index in 1..=3 {
            assert_eq!(lab.committed(index).0, 0, "some have committed before it was proposed");
            assert_eq!(lab.one(number(index * 100), 5, Retry::No), index);
        }
        lab.finish()
    });
}

/// `TestRPCBytes2B` (Go only): each command is sent to each peer once.
#[test]
fn rpc_bytes_2b() {
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 3));
        lab.one(number(99), 3, Retry::No);
        let before = lab.cluster.net().traffic().total().bytes;
        let mut sent = 0;
        for index in 2..12 {
            let command: Bytes = (0..5000).map(|_| lab.rng.alphanumeric() as u8).collect();
            sent += command.len() as u64;
            assert_eq!(lab.one(command, 3, Retry::No), index);
        }
        let bytes = lab.cluster.net().traffic().total().bytes - before;
        // The original allows one copy for each server. The leader needs none, so ours has to do with two.
        assert_eq!(sent, 50_000);
        assert!(bytes <= 2 * sent + 50_000, "too many bytes: {bytes} for {sent}");
        lab.finish()
    });
}

/// `fail_agree_2b`, `TestFailAgree2B`: agreement goes on without a follower, which catches up when it is back.
#[test]
fn fail_agree_2b() {
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 3));
        lab.one(number(101), 3, Retry::No);
        let follower = lab.check_one_leader() + 1;
        let follower = lab.next(follower, 0);
        lab.disconnect(follower);
        lab.one(number(102), 2, Retry::No);
        lab.one(number(103), 2, Retry::No);
        lab.sleep(ELECTION);
        lab.one(number(104), 2, Retry::No);
        lab.one(number(105), 2, Retry::No);
        lab.connect(follower);
        lab.one(number(106), 3, Retry::Yes);
        lab.sleep(ELECTION);
        lab.one(number(107), 3, Retry::Yes);
        lab.finish()
    });
}

/// `fail_no_agree_2b`, `TestFailNoAgree2B`: no agreement when too many followers are cut off.
#[test]
fn fail_no_agree_2b() {
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 5));
        lab.one(number(10), 5, Retry::No);
        let leader = lab.check_one_leader();
        (1..=3).for_each(|by| lab.disconnect(lab.next(leader, by)));
        let started = lab.propose(leader, number(20)).expect("the leader takes it");
        assert_eq!(started.index, 2);
        lab.sleep(2 * ELECTION);
        assert_eq!(lab.committed(2).0, 0, "committed without a majority");
        lab.connect_all();
        // The majority may have elected one of its own, without the second command.
        let leader = lab.check_one_leader();
        let started = lab.propose(leader, number(30)).expect("the leader takes it");
        assert!((2..=3).contains(&started.index), "{started:?}");
        lab.one(number(1000), 5, Retry::Yes);
        lab.finish()
    });
}

/// `concurrent_starts_2b`, `TestConcurrentStarts2B`: proposals that are made at once all commit.
#[test]
fn concurrent_starts_2b() {
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 3));
        let succeeded = (0..5).any(|attempt| {
            if attempt > 0 {
                lab.sleep(3 * ELECTION);
            }
            concurrent_starts(&mut lab).is_some()
        });
        assert!(succeeded, "the term changed too often");
        lab.finish()
    });
}

/// `None` when the term has changed, and no more can be expected.
fn concurrent_starts(lab: &mut Lab) -> Option<()> {
    let leader = lab.check_one_leader();
    let first = lab.propose(leader, number(1))?;
    let (term, wanted) = (first.id.term, (100..105).map(number).collect::<Vec<_>>());
    let started = lab.propose_together(leader, wanted.clone());
    let started: Vec<Started> = started.into_iter().collect::<Option<_>>()?;
    if started.iter().any(|started| started.id.term != term) {
        return None;
    }
    let mut decided = Vec::new();
    for Started { index, .. } in started {
        decided.push(lab.wait(index, 3, Some(term)).ok()?);
    }
    decided.sort();
    let mut wanted = wanted;
    wanted.sort();
    assert_eq!(decided, wanted, "each is there, and once");
    Some(())
}

/// `rejoin_2b`, `TestRejoin2B`: a leader that was cut off comes back with entries that nobody else has.
#[test]
fn rejoin_2b() {
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 3));
        lab.one(number(101), 3, Retry::Yes);
        let first = lab.check_one_leader();
        lab.disconnect(first);
        for doomed in [1102, 1103, 1104] {
            assert!(lab.propose(first, number(doomed)).is_some(), "it does not know yet");
        }
        // The new leader commits at the indexes of the doomed ones.
        assert_eq!(lab.one(number(103), 2, Retry::Yes), 2);
        let second = lab.check_one_leader();
        lab.disconnect(second);
        lab.connect(first);
        lab.one(number(104), 2, Retry::Yes);
        lab.connect(second);
        lab.one(number(105), 3, Retry::Yes);
        let doomed = [1102, 1103, 1104].map(number);
        assert!(!lab.book().iter().any(|command| doomed.contains(command)));
        lab.finish()
    })
    .floor(20, "logs cut", |seen| seen.coverage.truncations);
}

/// `backup_2b`, `TestBackup2B`: logs that differ in many entries are made equal fast.
#[test]
fn backup_2b() {
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 5));
        let command = lab.fresh();
        lab.one(command, 5, Retry::Yes);
        // A leader and one follower are cut off with many entries that will not commit.
        let first = lab.check_one_leader();
        (2..=4).for_each(|by| lab.disconnect(lab.next(first, by)));
        doomed(&mut lab, first);
        lab.sleep(ELECTION / 2);
        (0..=1).for_each(|by| lab.disconnect(lab.next(first, by)));
        // Many that do, elsewhere.
        (2..=4).for_each(|by| lab.connect(lab.next(first, by)));
        agreed(&mut lab);
        // Once more, with another leader and one follower that is alone.
        let second = lab.check_one_leader();
        let other = [2, 3].map(|by| lab.next(first, by)).into_iter().find(|at| *at != second);
        let other = other.expect("two are there");
        lab.disconnect(other);
        doomed(&mut lab, second);
        lab.sleep(ELECTION / 2);
        // The first leader is back, and needs the follower that was alone.
        (0..5).for_each(|at| lab.disconnect(at));
        [first, lab.next(first, 1), other].into_iter().for_each(|at| lab.connect(at));
        agreed(&mut lab);
        lab.connect_all();
        let (begin, before) = (lab.now(), requests(&lab));
        let command = lab.fresh();
        lab.one(command, 5, Retry::Yes);
        // The originals allow ten seconds. To go back entry by entry would take a request for each of the 50.
        assert!(lab.now() - begin <= ELECTION, "{:?}", lab.now() - begin);
        assert!(requests(&lab) - before <= 40, "{} requests", requests(&lab) - before);
        assert!(lab.cluster.coverage().truncations >= 4, "two logs were cut, twice");
        lab.finish()
    });
}

fn doomed(lab: &mut Lab, leader: usize) {
    for _ in 0..50 {
        let command = lab.fresh();
        assert!(lab.propose(leader, command).is_some(), "it does not know yet");
    }
}

fn agreed(lab: &mut Lab) {
    for _ in 0..50 {
        let command = lab.fresh();
        lab.one(command, 3, Retry::Yes);
    }
}

/// `count_2b`, `TestCount2B`: not too many messages. Requests are counted, as the labs count RPCs: heartbeats and
/// pre-votes among them.
#[test]
fn count_2b() {
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 3));
        // The originals count when they first see a leader, half a second after the start at the latest if
        // there is one. Here it counts then, and when there is one.
        lab.sleep_ms(550);
        assert!(requests(&lab) <= 30, "{} requests in half a second", requests(&lab));
        let mut electing = Lab::new(Setup::reliable(seed, 3));
        electing.time_to_elect(Term(0));
        let until_elected = requests(&electing);
        assert!((1..=30).contains(&until_elected), "{until_elected} requests to elect a leader");
        let succeeded = (0..5).any(|attempt| {
            if attempt > 0 {
                lab.sleep(3 * ELECTION);
            }
            count(&mut lab).is_some()
        });
        assert!(succeeded, "the term changed too often");
        let before = requests(&lab);
        lab.sleep(ELECTION);
        let idle = requests(&lab) - before;
        assert!(idle <= 60, "{idle} requests in an idle second");
        lab.finish()
    });
}

/// `None` when the term has changed, and no more can be expected.
fn count(lab: &mut Lab) -> Option<()> {
    let leader = lab.check_one_leader();
    let before = requests(lab);
    let first = lab.propose(leader, number(1))?;
    let commands: Vec<Bytes> = (0..11).map(|_| lab.fresh()).collect();
    for (at, command) in commands.iter().enumerate() {
        let started = lab.propose(leader, command.clone())?;
        if started.id.term != first.id.term {
            return None;
        }
        assert_eq!(started.index, first.index + 1 + at as u64);
    }
    for (at, command) in commands.iter().enumerate() {
        match lab.wait(first.index + 1 + at as u64, 3, Some(first.id.term)) {
            Ok(decided) => assert_eq!(decided, command),
            Err(MovedOn) => return None,
        }
    }
    let sent = requests(lab) - before;
    if (0..3).any(|at| lab.term(at) != Some(first.id.term)) {
        return None;
    }
    assert!(sent <= (10 + 1 + 3) * 3, "{sent} requests for 12 proposals");
    Some(())
}

/// `TestFollowerFailure3B` (2023 and later): commits with one follower gone, none with both.
#[test]
fn follower_failure_2b() {
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 3));
        lab.one(number(101), 3, Retry::No);
        let leader = lab.check_one_leader();
        lab.disconnect(lab.next(leader, 1));
        lab.one(number(102), 2, Retry::No);
        lab.sleep(ELECTION);
        lab.one(number(103), 2, Retry::No);
        let leader = lab.check_one_leader();
        (1..=2).for_each(|by| lab.disconnect(lab.next(leader, by)));
        let started = lab.propose(leader, number(104)).expect("the leader takes it");
        assert_eq!(started.index, 4);
        lab.sleep(2 * ELECTION);
        assert_eq!(lab.committed(4).0, 0, "committed without a majority");
        lab.finish()
    });
}

/// `TestLeaderFailure3B` (2023 and later): commits with one leader gone, none with two.
#[test]
fn leader_failure_2b() {
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 3));
        lab.one(number(101), 3, Retry::No);
        let first = lab.check_one_leader();
        lab.disconnect(first);
        lab.one(number(102), 2, Retry::Yes);
        lab.sleep(ELECTION);
        lab.one(number(103), 2, Retry::No);
        let second = lab.check_one_leader();
        lab.disconnect(second);
        let takers = (0..3).filter_map(|at| lab.propose(at, number(104))).collect::<Vec<_>>();
        assert!(takers.iter().any(|started| started.index == 4), "{takers:?}");
        lab.sleep(2 * ELECTION);
        assert_eq!(lab.committed(4).0, 0, "committed without a majority");
        lab.finish()
    });
}
