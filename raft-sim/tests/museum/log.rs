//! The log: entries 6 to 9 of the museum.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use raft_core::{LogIndex, Message, Role};
use raft_sim::disk::{OpKind, SyncGate};
use raft_sim::net::{HostId, Kind, PerMille, Verdict};
use raft_sim::{Cluster, ClusterConfig, Keep};

use super::ledger::{Ledger, check_commit};
use super::support::*;

/// Museum 6: for every size of a group and every number of followers whose answers arrive.
#[test]
fn m06_nothing_is_committed_without_the_answers_of_a_majority() {
    for nodes in 1..=7 {
        for answering in 0..nodes {
            each_seed(2, |seed| {
                let (mut cluster, leader) = led(seed, nodes);
                for silent in others(&cluster, &[leader]).into_iter().skip(answering as usize) {
                    // With the even seed they do not hear either.
                    if seed % 2 == 0 {
                        cluster.net().cut(cluster.host(leader), cluster.host(silent));
                    }
                    cluster.net().cut(cluster.host(silent), cluster.host(leader));
                }
                let before = cluster.status(leader).expect("it runs").commit;
                let mut client = Client::default();
                let number = client.propose(&mut cluster, leader);
                cluster.run_for(100 * MS);
                let enough = 1 + answering > nodes / 2;
                let place = format!("{answering} answer of {nodes}");
                assert_eq!(matches!(client.outcome(number), Some(Ok(_))), enough, "{place}");
                let after = cluster.status(leader).expect("it runs").commit;
                assert_eq!(after > before, enough, "{place}");
                check_commit(&cluster);
                settle(&mut cluster, &mut client);
            });
        }
    }
}

/// Museum 6: answers come late, twice and in any order, or never, and are of different followers at every
/// moment; what is called committed is on a majority of the disks at every moment.
#[test]
fn m06_commit_counts_copies_that_exist() {
    each_seed(5, |seed| {
        let (mut cluster, _) = led(seed, 5);
        cluster.net().change_links(|link| {
            (link.loss, link.duplicates, link.detours) =
                (PerMille(100), PerMille(100), PerMille(100));
            link.detour = SECOND;
        });
        for at in 0..5 {
            cluster.disk(at).set_latency(OpKind::Sync, MS..=(at as u32 * 20 + 1) * MS);
        }
        let mut client = Client::default();
        for _ in 0..1000 {
            client.propose_somewhere(&mut cluster);
            cluster.run_for(5 * MS);
            check_commit(&cluster);
        }
        assert!(client.acked().len() > 100, "only {}", client.acked().len());
        cluster.net().change_links(|link| *link = Default::default());
        settle(&mut cluster, &mut client);
    });
}

/// Museum 6: copies of an entry of an earlier term are no reason to call it committed: somebody without it, and
/// with an entry of a later term, may still be elected (paper, figure 8).
#[test]
fn m06_entries_of_an_earlier_term_are_not_committed_by_counting() {
    each_seed(10, |seed| {
        let mut config = ClusterConfig::new(seed, 5);
        // Each entry travels alone.
        config.raft = |raft| raft.append_bytes_max = 1;
        let (mut cluster, first) = led_by(config);
        let [second, third, fourth, last] = others(&cluster, &[first])[..] else { unreachable!() };
        let (old, mut client) = (term(&cluster, first), Client::default());
        let stands = Arc::new(AtomicU32::new(0));
        let who = Arc::clone(&stands);
        cluster.net().set_filter(move |letter| match letter.envelope.map(|it| &it.message) {
            Some(Message::PreVote(_)) if letter.from.0 != who.load(Ordering::Relaxed) => {
                Verdict::Drop
            }
            Some(Message::AppendEntries(request))
                if request.entries.iter().any(|entry| entry.id.term > old) =>
            {
                Verdict::Drop
            }
            _ => Verdict::Pass,
        });
        let stand = |cluster: &mut Cluster<Journal>, at: usize| {
            stands.store(cluster.host(at).0, Ordering::Relaxed);
            let newest = (0..5).map(|at| term(cluster, at)).max();
            let leads = |c: &Cluster<Journal>| c.leader() == Some(at) && Some(term(c, at)) > newest;
            assert!(cluster.run_until(RECOVERY, leads).reached(), "nobody else stands");
        };
        // (a), (b): an entry on two nodes; then an entry of a later term on one.
        let sides = [cluster.hosts(&[first, second]), cluster.hosts(&[third, fourth, last])];
        cluster.net().partition(&[&sides[0], &sides[1]]);
        let number = client.propose(&mut cluster, first);
        let index = cluster.status(first).expect("it runs").last.index;
        stand(&mut cluster, last);
        cluster.run_for(20 * MS);
        cluster.kill(last);
        // (c): the entry on four nodes, by a leader of a third term, none of whose own entries is.
        cluster.net().heal();
        stand(&mut cluster, first);
        cluster.run_for(100 * MS);
        for at in [second, third, fourth] {
            let has = cluster.status(at).map(|status| (status.durable, status.last.term));
            assert_eq!(has, Some((index, old)), "node {at} has the entry");
        }
        assert!(cluster.status(first).expect("it runs").commit < index, "by counting");
        // (d): it is overwritten.
        cluster.kill(first);
        cluster.restart(last);
        stand(&mut cluster, last);
        settle(&mut cluster, &mut client);
        assert!(!cluster.peek(0, Journal::numbers).expect("it runs").contains(&number));
    });
}

/// Museum 7: late and doubled AppendEntries speak of a log that has grown since: what matches stays.
#[test]
fn m07_a_late_append_truncates_nothing_that_matches() {
    each_seed(10, |seed| {
        let (mut cluster, leader) = led(seed, 3);
        let before = (cluster.coverage().elections, cluster.coverage().truncations);
        cluster.net().change_links(|link| {
            link.latency.1 = 40 * MS;
            (link.duplicates, link.detours) = (PerMille(900), PerMille(200));
            link.detour = 300 * MS;
        });
        let mut client = Client::default();
        for _ in 0..500 {
            client.propose(&mut cluster, leader);
            cluster.run_for(4 * MS);
        }
        let after = (cluster.coverage().elections, cluster.coverage().truncations);
        assert_eq!(after, before, "elections and truncations");
        cluster.net().change_links(|link| *link = Default::default());
        settle(&mut cluster, &mut client);
        assert_eq!(client.acked().len(), 501);
    });
}

/// `a` leads two of five nodes and writes what will never be committed; the others elect somebody and commit
/// something else. Gives the new leader.
fn diverge(cluster: &mut Cluster<Journal>, a: usize, b: usize, client: &mut Client) -> usize {
    let rest = others(cluster, &[a, b]);
    let (minority, majority) = (cluster.hosts(&[a, b]), cluster.hosts(&rest));
    cluster.net().partition(&[&minority, &majority]);
    for _ in 0..10 {
        client.propose(cluster, a);
        cluster.run_for(10 * MS);
    }
    let elected = |c: &Cluster<Journal>| c.leader().is_some_and(|at| rest.contains(&at));
    assert!(cluster.run_until(RECOVERY, elected).reached(), "the majority has a leader");
    let leader = cluster.leader().expect("just now");
    for _ in 0..5 {
        client.propose(cluster, leader);
        cluster.run_for(10 * MS);
    }
    leader
}

/// Museum 8: a follower's disk is slow, and what is being written, or was written, is replaced meanwhile. That it
/// is durable says nothing about what came in its place.
#[test]
fn m08_the_disk_that_has_the_old_entries_does_not_have_the_new_ones() {
    for latency in [20, 300, 1500] {
        each_seed(4, |seed| {
            let (mut cluster, a) = led(seed, 5);
            let b = others(&cluster, &[a])[0];
            let ledger = Ledger::keep(&cluster, pass);
            cluster.disk(b).set_latency(OpKind::Sync, latency * MS..=latency * MS);
            let mut client = Client::default();
            let before = (cluster.coverage().truncations, term(&cluster, a));
            diverge(&mut cluster, a, b, &mut client);
            cluster.net().heal();
            for _ in 0..50 {
                client.propose_somewhere(&mut cluster);
                cluster.run_for(100 * MS);
            }
            assert!(cluster.coverage().truncations >= before.0 + 2, "both had to replace entries");
            assert!(ledger.acknowledgements() > 50);
            ledger.check(&cluster, before.1);
            cluster.disk(b).calm();
            settle(&mut cluster, &mut client);
        });
    }
}

/// Museum 8: acknowledgements that are under way when their entries are replaced arrive when the same node leads
/// again, and fit the indexes of its new log.
#[test]
fn m08_acknowledgements_of_a_replaced_log_do_not_count() {
    each_seed(5, |seed| {
        let (mut cluster, a) = led(seed, 5);
        let rest = others(&cluster, &[a]);
        let (b, helper) = (rest[0], rest[1]);
        let [host, from] = [a, b].map(|at| cluster.host(at));
        // What `b` answers takes up to six seconds.
        cluster.net().change_link(from, host, |link| {
            (link.detours, link.detour) = (PerMille(1000), 6 * SECOND);
        });
        let mut client = Client::default();
        let leader = diverge(&mut cluster, a, b, &mut client);
        cluster.net().heal();
        let last = |c: &Cluster<Journal>, at| c.status(at).map(|status| status.last);
        let replaced = |c: &Cluster<Journal>| last(c, a) == last(c, leader);
        assert!(cluster.run_until(SECOND, replaced).reached(), "it follows");
        // From here on nobody but `a` stands, and it hears nobody but its helper when it leads.
        let helping = cluster.host(helper);
        let shut = Arc::new(AtomicBool::new(false));
        let closed = Arc::clone(&shut);
        cluster.net().set_filter(move |letter| match letter.kind {
            Kind::PreVote if letter.from != host => Verdict::Drop,
            _ if letter.to != host || letter.from == helping => Verdict::Pass,
            _ if closed.load(Ordering::Relaxed) => Verdict::Drop,
            _ => Verdict::Pass,
        });
        let mut windows = 0;
        let until = cluster.sim().now() + 6 * SECOND;
        while cluster.sim().now() < until {
            shut.store(false, Ordering::Relaxed);
            for other in others(&cluster, &[a]) {
                if role(&cluster, other) == Some(Role::Leader) {
                    cluster.reboot(other);
                }
            }
            cluster.group(a).expect("it runs").campaign();
            let leads = |c: &Cluster<Journal>| {
                c.leaders().iter().any(|(at, _)| *at == a) && c.leader() == Some(a)
            };
            assert!(cluster.run_until(4 * TIMEOUT, leads).reached(), "nobody else can");
            shut.store(true, Ordering::Relaxed);
            cluster.run_for(10 * MS);
            let before = cluster.status(a).map_or(LogIndex::ZERO, |status| status.commit);
            for _ in 0..20 {
                client.propose(&mut cluster, a);
            }
            let down = |c: &Cluster<Journal>| role(c, a) != Some(Role::Leader);
            assert!(cluster.run_until(2 * TIMEOUT, down).reached(), "too few answer");
            let after = cluster.status(a).map_or(LogIndex::ZERO, |status| status.commit);
            assert_eq!(after, before, "committed by two of five");
            windows += 1;
        }
        assert!(windows > 3, "it led only {windows} times");
        settle(&mut cluster, &mut client);
    });
}

/// Museum 9: a group of one answers when its disk has the entry, and what it has answered outlives any loss of
/// power.
#[test]
fn m09_a_group_of_one_waits_for_its_own_disk() {
    each_seed(10, |seed| {
        let (mut cluster, _) = led(seed, 1);
        let mut client = Client::default();
        for round in 0..10 {
            cluster.disk(0).set_latency(OpKind::Sync, MS..=30 * MS);
            for _ in 0..20 {
                client.propose_somewhere(&mut cluster);
                let pause = MS * cluster.sim().rng().u32(0..10);
                cluster.run_for(pause);
            }
            // And one that cannot be durable.
            cluster.disk(0).set_sync_gate(SyncGate::Stalled);
            cluster.run_for(50 * MS);
            let number = client.propose(&mut cluster, 0);
            cluster.run_for(100 * MS);
            assert!(client.outcome(number).is_none(), "answered in round {round}, and not durable");
            cluster.power_loss(0, Keep::Nothing);
            cluster.disk(0).calm();
            cluster.restart(0);
            await_leader(&mut cluster);
            let there = cluster.peek(0, Journal::numbers).expect("it runs");
            assert!(client.acked().iter().all(|number| there.contains(number)), "lost");
        }
        assert!(client.acked().len() > 50, "only {}", client.acked().len());
        settle(&mut cluster, &mut client);
    });
}

/// Museum 9: the leader of three counts itself by its disk: with one follower it has to wait for it, with two it
/// has not.
#[test]
fn m09_a_leader_counts_itself_when_its_disk_has_the_entry() {
    each_seed(10, |seed| {
        for followers in 1..=2 {
            let (mut cluster, leader) = led(seed, 3);
            let silent: Vec<HostId> = others(&cluster, &[leader])
                .into_iter()
                .skip(followers)
                .map(|at| cluster.host(at))
                .collect();
            for host in silent {
                cluster.net().isolate(host);
            }
            cluster.disk(leader).set_sync_gate(SyncGate::Stalled);
            let mut client = Client::default();
            let number = client.propose(&mut cluster, leader);
            cluster.run_for(150 * MS);
            let answered = matches!(client.outcome(number), Some(Ok(_)));
            assert_eq!(answered, followers == 2, "with {followers} followers");
            check_commit(&cluster);
            cluster.power_loss(leader, Keep::Nothing);
            cluster.disk(leader).calm();
            settle(&mut cluster, &mut client);
        }
    });
}
