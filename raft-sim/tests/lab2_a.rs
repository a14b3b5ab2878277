//! The labs' scenarios of part 2A: election.

mod lab_support;

use std::time::Duration;

use lab_support::{ELECTION, Lab, Setup, seeds};
use raft_core::Term;

/// Of the elections over all seeds, all but `slow_per_cent` take less than the labs' bound, and none takes more
/// than `most`: votes may be split once, but not again and again.
fn assert_prompt(took: &[Duration], slow_per_cent: usize, most: Duration) {
    let slow = took.iter().filter(|time| **time > ELECTION).count();
    assert!(slow <= (took.len() * slow_per_cent / 100).max(1), "{slow} were slow: {took:?}");
    assert!(took.iter().all(|time| *time <= most), "{took:?}");
}

/// `initial_election_2a`, `TestInitialElection2A`: a leader appears; all agree on its term, which stays when
/// nothing fails.
#[test]
fn initial_election_2a() {
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 3));
        let leader = lab.check_one_leader();
        // Let everybody learn of it.
        lab.sleep_ms(50);
        let term = lab.check_terms();
        assert!(term >= Term(1));
        lab.sleep(2 * ELECTION);
        // The originals only warn.
        assert_eq!(lab.check_terms(), term);
        assert_eq!(lab.check_one_leader(), leader);
        lab.finish()
    });
}

/// `reelection_2a`, `TestReElection2A`: a new leader when the old one is gone, none without a quorum.
#[test]
fn reelection_2a() {
    let mut took = Vec::new();
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 3));
        let first = lab.check_one_leader();
        let term = lab.check_terms();
        lab.disconnect(first);
        took.push(lab.time_to_elect(term));
        lab.check_one_leader();
        // The old leader rejoins and disturbs nobody.
        let term = lab.check_terms();
        lab.connect(first);
        let second = lab.check_one_leader();
        assert_eq!(lab.check_terms(), term);
        // No quorum, no leader.
        lab.disconnect(second);
        lab.disconnect(lab.next(second, 1));
        lab.sleep(2 * ELECTION);
        lab.check_no_leader();
        // A quorum again.
        lab.connect(lab.next(second, 1));
        took.push(lab.time_to_elect(term));
        lab.check_one_leader();
        // The last one rejoins.
        lab.connect(second);
        lab.check_one_leader();
        lab.finish()
    });
    assert_prompt(&took, 5, 2 * ELECTION);
}

/// `many_election_2a`, `TestManyElections2A`: whichever three of seven are cut off, the others have a leader,
/// be it the old one or one of their own.
#[test]
fn many_election_2a() {
    let mut took = Vec::new();
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 7));
        let mut leader = lab.check_one_leader();
        for _ in 0..10 {
            for _ in 0..3 {
                let victim = lab.any_server();
                lab.disconnect(victim);
            }
            if !lab.is_connected(leader) {
                took.push(lab.time_to_elect(Term(0)));
            }
            lab.check_one_leader();
            lab.connect_all();
            leader = lab.check_one_leader();
        }
        lab.finish()
    })
    .enough(40, "leaders cut off", took.len() as u64);
    assert_prompt(&took, 5, 2 * ELECTION);
}

/// Ours: the default timing on a network that delays and loses. Losses alone depose nobody, and a leader that
/// is gone is replaced about as fast as on a good network.
#[test]
fn unreliable_reelection_2a() {
    let mut took = Vec::new();
    let mut changes = 0;
    seeds(|seed| {
        let mut lab = Lab::new(Setup::unreliable(seed, 3));
        lab.check_one_leader();
        for _ in 0..3 {
            let leader = lab.check_one_leader();
            let term = lab.check_terms();
            lab.sleep(5 * ELECTION);
            changes += u32::from(lab.term(leader) != Some(term));
            let term = lab.check_terms();
            let leader = lab.check_one_leader();
            lab.disconnect(leader);
            took.push(lab.time_to_elect(term));
            lab.check_one_leader();
            lab.connect(leader);
        }
        lab.finish()
    });
    assert_eq!(changes, 0, "300 s without a fault but losses");
    assert_prompt(&took, 10, 3 * ELECTION);
}
