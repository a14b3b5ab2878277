//! The labs' scenarios of part 2C: persistence. A crash ends the process, or cuts its power, in turns by the seed.

mod lab_support;

use std::collections::BTreeSet;

use bytes::Bytes;
use lab_support::{Clients, ELECTION, Lab, Net, One, Retry, Setup, long_reordering, number, seeds};

/// `persist1_2c`, `TestPersist1`: all crash, then the leader, then the new leader, then a follower.
#[test]
fn persist1_2c() {
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 3).crashing());
        assert_eq!(lab.one(number(11), 3, Retry::Yes), 1);
        (0..3).for_each(|at| lab.crash(at));
        (0..3).for_each(|at| lab.revive(at));
        lab.one(number(12), 3, Retry::Yes);
        let leader = lab.check_one_leader();
        lab.reboot(leader);
        lab.one(number(13), 3, Retry::Yes);
        let leader = lab.check_one_leader();
        lab.disconnect(leader);
        let index = lab.one(number(14), 2, Retry::Yes);
        lab.reboot(leader);
        assert_eq!(lab.wait(index, 3, None), Ok(number(14)), "the old leader has it, too");
        let leader = lab.check_one_leader();
        let follower = lab.next(leader, 1);
        lab.disconnect(follower);
        lab.one(number(15), 2, Retry::Yes);
        lab.reboot(follower);
        lab.one(number(16), 3, Retry::Yes);
        assert_in_order(&lab, 11..=16);
        lab.finish()
    });
}

/// Each of the commands is there, in this order. One that was proposed anew may be there again, later.
fn assert_in_order(lab: &Lab, commands: impl Iterator<Item = u64>) {
    let mut book = lab.book().into_iter();
    for command in commands {
        assert!(
            book.any(|there| there == number(command)),
            "{command} is missing, or out of order"
        );
    }
}

/// `persist2_2c`, `TestPersist2`: five rounds of cuts and restarts, with commits by three of five.
#[test]
fn persist2_2c() {
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 5).crashing());
        let mut next = 10;
        let mut command = || {
            next += 1;
            number(next)
        };
        for _ in 0..5 {
            lab.one(command(), 5, Retry::Yes);
            let leader = lab.check_one_leader();
            let at = |by| (leader + by) % 5;
            [1, 2].map(at).into_iter().for_each(|at| lab.disconnect(at));
            lab.one(command(), 3, Retry::Yes);
            [0, 3, 4].map(at).into_iter().for_each(|at| lab.disconnect(at));
            [1, 2].map(at).into_iter().for_each(|at| lab.reboot(at));
            lab.sleep(ELECTION);
            lab.reboot(at(3));
            lab.one(command(), 3, Retry::Yes);
            [4, 0].map(at).into_iter().for_each(|at| lab.connect(at));
        }
        lab.one(number(1000), 5, Retry::Yes);
        assert_in_order(&lab, 11..=25);
        lab.finish()
    });
}

/// `persist3_2c`, `TestPersist3`: the leader that restarts and the follower that missed a commit must agree.
#[test]
fn persist3_2c() {
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 3).crashing());
        lab.one(number(101), 3, Retry::Yes);
        let leader = lab.check_one_leader();
        let (first, second) = (lab.next(leader, 1), lab.next(leader, 2));
        lab.disconnect(second);
        lab.one(number(102), 2, Retry::Yes);
        lab.crash(leader);
        lab.crash(first);
        lab.connect(second);
        lab.revive(leader);
        lab.one(number(103), 2, Retry::Yes);
        lab.revive(first);
        lab.one(number(104), 3, Retry::Yes);
        assert_in_order(&lab, 101..=104);
        lab.finish()
    });
}

/// Half a second now and then, else a few milliseconds: mostly too short to commit.
fn pause(lab: &mut Lab) {
    let most = if lab.chance(100) { ELECTION.as_millis() as u64 / 2 } else { 13 };
    let ms = lab.rng.u64(..most);
    lab.sleep_ms(ms);
}

/// Proposes at all servers, connected or not; gives the last that took it, and is among `candidates`.
fn propose_at_all(lab: &mut Lab, candidates: impl Fn(&Lab, usize) -> bool) -> Option<usize> {
    let command = lab.fresh();
    let mut leader = None;
    for at in 0..lab.servers() {
        if lab.propose(at, command.clone()).is_some() && candidates(lab, at) {
            leader = Some(at);
        }
    }
    leader
}

/// `figure_8_2c`, `TestFigure8`: leaders crash soon after they were given a command, again and again.
#[test]
fn figure_8_2c() {
    seeds(|seed| {
        let mut lab = Lab::new(Setup::reliable(seed, 5).crashing());
        let command = lab.fresh();
        lab.one(command, 1, Retry::Yes);
        for _ in 0..1000 {
            let leader = propose_at_all(&mut lab, |_, _| true);
            pause(&mut lab);
            if let Some(leader) = leader {
                lab.crash(leader);
            }
            let at = lab.any_server();
            if (0..5).filter(|at| lab.is_up(*at)).count() < 3 && !lab.is_up(at) {
                lab.revive(at);
            }
        }
        for at in 0..5 {
            if !lab.is_up(at) {
                lab.revive(at);
            }
        }
        let command = lab.fresh();
        lab.one(command, 5, Retry::Yes);
        lab.finish()
    })
    .floor(1000, "crashes", |seen| seen.coverage.crashes)
    .floor(50, "logs cut", |seen| seen.coverage.truncations)
    .floor(50, "lost sectors", |seen| seen.lost_sectors);
}

/// `unreliable_agree_2c`, `TestUnreliableAgree`: many commands at once while messages get lost.
#[test]
fn unreliable_agree_2c() {
    seeds(|seed| {
        let mut lab = Lab::new(Setup::unreliable(seed, 5));
        let mut ones = Vec::new();
        for round in 1..50 {
            for at in 0..4 {
                ones.push(One::new(&mut lab, number(100 * round + at), 1, Retry::Yes));
            }
            ones.push(One::new(&mut lab, number(round), 1, Retry::Yes));
            // Goes on when the last is agreed on; the others may take longer.
            lab.work_on(&mut ones, |ones| ones.last().is_some_and(|one| one.agreed().is_some()));
            ones.retain(|one| one.agreed().is_none());
        }
        lab.set_net(Net::Reliable);
        lab.work_on(&mut ones, |ones| ones.iter().all(|one| one.agreed().is_some()));
        lab.one(number(100), 5, Retry::Yes);
        lab.finish()
    });
}

/// `figure_8_unreliable_2c`, `TestFigure8Unreliable`: leaders are cut off soon after they were given a command,
/// while messages get lost and, after a while, replies come much too late.
#[test]
fn figure_8_unreliable_2c() {
    seeds(|seed| {
        let mut lab = Lab::new(Setup::unreliable(seed, 5));
        let command = lab.fresh();
        lab.one(command, 1, Retry::Yes);
        for round in 0..1000 {
            if round == 200 {
                lab.cluster.net().set_filter(long_reordering(seed));
            }
            let leader = propose_at_all(&mut lab, |lab, at| lab.is_connected(at));
            pause(&mut lab);
            if let Some(leader) = leader.filter(|_| lab.rng.bool()) {
                lab.disconnect(leader);
            }
            let at = lab.any_server();
            if (0..5).filter(|at| lab.is_connected(*at)).count() < 3 {
                lab.connect(at);
            }
        }
        lab.connect_all();
        // Nothing of the rest gets better.
        let command = lab.fresh();
        lab.one(command, 5, Retry::Yes);
        lab.finish()
    })
    .floor(150, "elections", |seen| seen.coverage.elections)
    .floor(50, "logs cut", |seen| seen.coverage.truncations);
}

/// `reliable_churn_2c`, `TestReliableChurn2C`.
#[test]
fn reliable_churn_2c() {
    churn(Setup::reliable);
}

/// `unreliable_churn_2c`, `TestUnreliableChurn2C`.
#[test]
fn unreliable_churn_2c() {
    churn(Setup::unreliable);
}

/// Servers come and go while clients propose: whatever a client saw committed is there in the end.
fn churn(setup: fn(u64, u64) -> Setup) {
    let mut seen = 0;
    seeds(|seed| {
        let mut lab = Lab::new(setup(seed, 5).crashing());
        let mut clients = Clients::new(3);
        for _ in 0..20 {
            let [cut, back, crashed] = std::array::from_fn(|_| lab.any_server());
            if lab.chance(200) {
                lab.disconnect(cut);
            }
            if lab.chance(500) {
                match lab.is_up(back) {
                    true => lab.connect(back),
                    false => lab.revive(back),
                }
            }
            if lab.chance(200) && lab.is_up(crashed) {
                lab.crash(crashed);
            }
            clients.go_on(&mut lab, ELECTION * 7 / 10);
        }
        clients.go_on(&mut lab, ELECTION);
        lab.set_net(Net::Reliable);
        (0..5)
            .filter(|at| !lab.is_up(*at))
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|at| lab.start(at));
        lab.connect_all();
        lab.sleep(ELECTION);
        let command = lab.fresh();
        let last = lab.one(command, 5, Retry::Yes);
        let there: BTreeSet<Bytes> = lab.book().into_iter().collect();
        for index in 1..=last {
            lab.wait(index, 5, None).expect("no term was given");
        }
        for command in clients.seen() {
            assert!(there.contains(command), "{command:?} was seen committed and is not there");
            seen += 1;
        }
        lab.finish()
    })
    .floor(40, "crashes", |seen| seen.coverage.crashes)
    .floor(30, "elections", |seen| seen.coverage.elections)
    .enough(2000, "commands seen committed", seen);
}
