//! Linearizable reads: entries 17 and 26 of the museum.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use raft_core::Role;
use raft_sim::Cluster;
use raft_sim::disk::OpKind;
use raft_sim::net::{PerMille, Verdict};

use super::support::*;

/// What reads that were begun after a number was answered have said: none may miss it.
fn check_reads(reads: &[Query], number: u64) -> usize {
    let mut served = 0;
    for read in reads {
        if let Some(Ok(numbers)) = read.get() {
            assert!(numbers.contains(&number), "a stale read, without {number}: {numbers:?}");
            served += 1;
        }
    }
    served
}

/// Proposes at whoever leads but `not` until it is answered. Gives the number.
fn write_elsewhere(cluster: &mut Cluster<Journal>, client: &mut Client, not: usize) -> u64 {
    let another = |c: &Cluster<Journal>| c.leader().is_some_and(|at| at != not);
    assert!(cluster.run_until(RECOVERY, another).reached(), "nobody else leads");
    let leader = cluster.leader().expect("just now");
    let number = client.propose(cluster, leader);
    let done = |_: &Cluster<Journal>| matches!(client.outcome(number), Some(Ok(_)));
    assert!(cluster.run_until(SECOND, done).reached(), "it does not serve");
    number
}

/// Museum 17 and 26: a leader is paused, deposed, and wakes. It believes that it leads: in its inbox are old
/// answers to its heartbeats, or nothing, because the network has lost what came meanwhile; and a client's read.
#[test]
fn m17_a_leader_that_was_paused_serves_no_stale_read() {
    each_seed(20, |seed| {
        let (mut cluster, leader) = led(seed, 3);
        let host = cluster.host(leader);
        let mut client = Client::default();
        client.propose(&mut cluster, leader);
        cluster.run_for(50 * MS);
        // Some reads are under way when it falls asleep.
        let early: Vec<Query> = (0..3).map(|_| read(&mut cluster, leader)).collect();
        let nap = MS * cluster.sim().rng().u32(0..8);
        cluster.run_for(nap);
        cluster.sim().pause(host);
        if seed % 2 == 0 {
            cluster.isolate(leader);
        }
        let number = write_elsewhere(&mut cluster, &mut client, leader);
        let mut reads = vec![read(&mut cluster, leader)];
        cluster.sim().resume(host);
        for _ in 0..200 {
            reads.push(read(&mut cluster, leader));
            cluster.run_for(5 * MS);
        }
        check_reads(&reads, number);
        assert!(early.iter().all(|read| read.get().is_some()), "a read was forgotten");
        settle(&mut cluster, &mut client);
        let last = read(&mut cluster, 0);
        cluster.run_for(100 * MS);
        assert!(last.get().is_some(), "a read was forgotten");
    });
}

/// Museum 17: the round of a read is confirmed by a majority, for every size of a group.
#[test]
fn m17_a_read_needs_the_answers_of_a_majority() {
    for nodes in 1..=7 {
        for answering in 0..nodes {
            let (mut cluster, leader) = led(nodes * 10 + answering, nodes);
            for silent in others(&cluster, &[leader]).into_iter().skip(answering as usize) {
                cluster.net().cut(cluster.host(silent), cluster.host(leader));
            }
            let asked = read(&mut cluster, leader);
            cluster.run_for(100 * MS);
            let served = matches!(asked.get(), Some(Ok(_)));
            assert_eq!(served, 1 + answering > nodes / 2, "{answering} answer of {nodes}");
            cluster.run_for(2 * TIMEOUT);
            assert!(asked.get().is_some(), "it is refused when the leader steps down");
            cluster.check().expect("nothing is broken");
        }
    }
}

/// Museum 17: answers to the heartbeats of an earlier leadership come late, and are of high rounds. They confirm
/// nothing when the same node leads again, and hears nobody.
#[test]
fn m17_late_answers_of_an_earlier_term_confirm_no_read() {
    each_seed(10, |seed| {
        let (mut cluster, a) = led(seed, 3);
        let host = cluster.host(a);
        // It has led for a while, and its rounds are high; the answers take up to four seconds.
        cluster.run_for(2 * SECOND);
        cluster.net().change_links(|link| link.detour = 4 * SECOND);
        for other in others(&cluster, &[a]) {
            let from = cluster.host(other);
            cluster.net().change_link(from, host, |link| link.detours = PerMille(500));
        }
        cluster.run_for(SECOND);
        cluster.net().change_links(|link| link.detours = PerMille(0));
        // It loses its lead by a restart of the others' making: a pause.
        cluster.sim().pause(host);
        let mut client = Client::default();
        write_elsewhere(&mut cluster, &mut client, a);
        cluster.sim().resume(host);
        cluster.run_for(50 * MS);
        let deaf = Arc::new(AtomicBool::new(false));
        let is_deaf = Arc::clone(&deaf);
        cluster.net().set_filter(move |letter| {
            let lost = letter.to == host && is_deaf.load(Ordering::Relaxed);
            if lost { Verdict::Drop } else { Verdict::Pass }
        });
        // It leads again.
        let leader = cluster.leader().expect("somebody leads");
        cluster.reboot(leader);
        cluster.run_for(20 * MS);
        cluster.group(a).expect("it runs").campaign();
        let leads = |c: &Cluster<Journal>| c.leader() == Some(a);
        if !cluster.run_until(RECOVERY, leads).reached() {
            return settle(&mut cluster, &mut client);
        }
        cluster.run_for(20 * MS);
        deaf.store(true, Ordering::Relaxed);
        let mut reads = Vec::new();
        while role(&cluster, a) == Some(Role::Leader) {
            reads.push(read(&mut cluster, a));
            cluster.run_for(5 * MS);
        }
        // The first few may have had their answers under way.
        let served = reads.iter().skip(3).filter(|read| matches!(read.get(), Some(Ok(_))));
        assert_eq!(served.count(), 0, "confirmed by the past");
        assert!(reads.len() > 20, "it steps down at once");
        settle(&mut cluster, &mut client);
    });
}

/// Museum 17: a new leader has everything that was ever answered, and does not know yet that it is committed. It
/// serves no read before it does.
#[test]
fn m17_a_new_leader_reads_what_its_predecessor_has_answered() {
    each_seed(10, |seed| {
        let (mut cluster, old) = led(seed, 3);
        let [next, third] = others(&cluster, &[old])[..] else { unreachable!("three nodes") };
        let mut client = Client::default();
        let number = client.propose(&mut cluster, old);
        let last = |c: &Cluster<Journal>, at| c.status(at).map(|status| status.durable);
        let has = |c: &Cluster<Journal>| last(c, next) == c.status(old).map(|s| s.last.index);
        assert!(cluster.run_until(100 * MS, has).reached(), "it gets the entry");
        // And not that it is committed.
        cluster.net().cut(cluster.host(old), cluster.host(next));
        cluster.run_for(50 * MS);
        assert!(matches!(client.outcome(number), Some(Ok(_))), "answered");
        assert!(!cluster.peek(next, Journal::numbers).expect("up").contains(&number));
        cluster.kill(old);
        cluster.disk(third).set_latency(OpKind::Sync, 100 * MS..=100 * MS);
        cluster.isolate(third);
        cluster.run_for(2 * TIMEOUT);
        cluster.rejoin(third);
        cluster.group(next).expect("it runs").campaign();
        let mut reads = Vec::new();
        for _ in 0..1000 {
            if role(&cluster, next) == Some(Role::Leader) {
                reads.push(read(&mut cluster, next));
            }
            cluster.run_for(MS);
        }
        let leads = role(&cluster, next) == Some(Role::Leader);
        assert_eq!(check_reads(&reads, number) > 100, leads, "reads are served in the end");
        cluster.disk(third).calm();
        settle(&mut cluster, &mut client);
    });
}

/// Museum 26: there is no lease. A leader whose clock goes at half or a quarter of the speed, and whom nobody
/// hears, leads on for long by that clock; meanwhile another one is elected and writes. It serves no read.
#[test]
fn m26_no_read_rests_on_a_clock() {
    each_seed(10, |seed| {
        for rate in [500, 250] {
            let (mut cluster, old) = led(seed, 5);
            let host = cluster.host(old);
            let mut client = Client::default();
            client.propose(&mut cluster, old);
            cluster.run_for(50 * MS);
            cluster.sim().set_rate(host, rate);
            cluster.isolate(old);
            let number = write_elsewhere(&mut cluster, &mut client, old);
            let mut reads = Vec::new();
            while role(&cluster, old) == Some(Role::Leader) {
                reads.push(read(&mut cluster, old));
                cluster.run_for(5 * MS);
            }
            assert_eq!(check_reads(&reads, number), 0);
            assert!(rate == 500 || reads.len() > 20, "two leaders for too short a time");
            cluster.sim().set_rate(host, 1000);
            settle(&mut cluster, &mut client);
        }
    });
}
