//! Votes, terms, and who leads: entries 1 to 5 and 16 of the museum.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use raft_core::node::{GroupConfig, Node, NodeConfig};
use raft_core::{Membership, NodeId, Role, Term};
use raft_sim::cluster::GROUP;
use raft_sim::disk::{OpKind, SyncGate};
use raft_sim::net::{HostId, Kind, Letter, Verdict};
use raft_sim::{Cluster, Keep, Sim};
use raft_storage::MemoryStorage;

use super::ledger::Ledger;
use super::support::*;

/// Three nodes: `a` and `b` are candidates of the same term, and `voter` has not voted in it. Nobody's
/// request for a vote has arrived yet.
struct Race {
    cluster: Cluster<Journal>,
    ledger: Ledger,
    a: usize,
    b: usize,
    voter: usize,
    term: Term,
    /// Once set, nobody asks for pre-votes any more, and so nobody goes on to another term.
    closed: Arc<AtomicBool>,
}

impl Race {
    /// `rule` decides about requests for votes and their answers.
    fn begin(
        seed: u64,
        rule: impl Fn(&Letter<'_>, [HostId; 3]) -> Verdict + Send + 'static,
    ) -> Self {
        let (mut cluster, voter) = led(seed, 3);
        let rest = others(&cluster, &[voter]);
        let (a, b) = (rest[0], rest[1]);
        let hosts = [a, b, voter].map(|at| cluster.host(at));
        let before = term(&cluster, voter);
        let closed = Arc::new(AtomicBool::new(false));
        let shut = Arc::clone(&closed);
        let ledger = Ledger::keep(&cluster, move |letter| match letter.kind {
            // Asked of each other, the second would learn of the first one's term.
            Kind::PreVote if letter.to != hosts[2] || shut.load(Ordering::Relaxed) => Verdict::Drop,
            Kind::RequestVote | Kind::RequestVoteReply => rule(letter, hosts),
            _ => Verdict::Pass,
        });
        // The leader forgets that it leads: it would vote for anybody whose log is good.
        cluster.reboot(voter);
        cluster.run_for(20 * MS);
        for at in [a, b] {
            cluster.group(at).expect("it runs").campaign();
        }
        let racing = |c: &Cluster<Journal>| {
            [a, b]
                .iter()
                .all(|at| role(c, *at) == Some(Role::Candidate) && term(c, *at) == before.next())
        };
        assert!(cluster.run_until(100 * MS, racing).reached(), "there are two candidates");
        closed.store(true, Ordering::Relaxed);
        Self { cluster, ledger, a, b, voter, term: before.next(), closed }
    }

    fn vote(&self) -> Vec<HostId> {
        self.ledger.vote(self.cluster.host(self.voter), self.term)
    }

    fn refused(&self) -> Vec<HostId> {
        self.ledger.refused(self.cluster.host(self.voter), self.term)
    }

    fn end(mut self) {
        self.closed.store(false, Ordering::Relaxed);
        self.ledger.check(&self.cluster, Term(self.term.0 - 1));
        settle(&mut self.cluster, &mut Client::default());
    }
}

/// `a` is heard by the voter after 30 ms and `b` after 150; they do not hear each other, and `a` hears no answer.
fn one_after_the_other(letter: &Letter<'_>, [a, b, voter]: [HostId; 3]) -> Verdict {
    match letter.kind {
        Kind::RequestVote if (letter.from, letter.to) == (a, voter) => Verdict::Delay(30 * MS),
        Kind::RequestVote if (letter.from, letter.to) == (b, voter) => Verdict::Delay(150 * MS),
        Kind::RequestVote => Verdict::Drop,
        _ if letter.to == a => Verdict::Drop,
        _ => Verdict::Pass,
    }
}

/// Museum 1: the voter loses its power as soon as its vote has left, and the other candidate asks it after its
/// restart.
#[test]
fn m01_a_vote_that_was_given_outlives_a_loss_of_power() {
    each_seed(10, |seed| {
        for keep in [Keep::Nothing, Keep::RandomSectors] {
            let mut race = Race::begin(seed, one_after_the_other);
            let (ledger, voter) = (race.ledger.clone(), race.voter);
            let (host, term) = (race.cluster.host(voter), race.term);
            // Long enough for the power to go before a vote that was not waited for is on the disk.
            race.cluster.disk(voter).set_latency(OpKind::Sync, 10 * MS..=10 * MS);
            let voted = move |_: &Cluster<Journal>| !ledger.vote(host, term).is_empty();
            assert!(race.cluster.run_until(100 * MS, voted).reached(), "it votes");
            race.cluster.power_loss(voter, keep);
            race.cluster.restart(voter);
            race.cluster.run_for(200 * MS);
            assert_eq!(race.vote(), [race.cluster.host(race.a)]);
            assert_eq!(race.refused(), [race.cluster.host(race.b)], "the other one has asked");
            race.end();
        }
    });
}

/// Museum 1, the other side: while the disk does not say that the vote is there, it does not leave; and what
/// was never promised binds nobody.
#[test]
fn m01_a_vote_waits_for_the_disk() {
    each_seed(5, |seed| {
        let mut race = Race::begin(seed, one_after_the_other);
        let voter = race.voter;
        race.cluster.disk(voter).set_sync_gate(SyncGate::Stalled);
        race.cluster.run_for(120 * MS);
        assert_eq!((race.vote(), race.refused()), (vec![], vec![]));
        race.cluster.power_loss(voter, Keep::Nothing);
        race.cluster.disk(voter).calm();
        race.cluster.restart(voter);
        race.cluster.run_for(100 * MS);
        assert_eq!(race.vote(), [race.cluster.host(race.b)]);
        race.end();
    });
}

/// Museum 2: a candidate that steps down within its term has voted for itself in it, and stays with that.
#[test]
fn m02_stepping_down_within_a_term_gives_no_vote_back() {
    each_seed(10, |seed| {
        let late = |letter: &Letter<'_>, [a, b, _]: [HostId; 3]| match letter.kind {
            Kind::RequestVote if (letter.from, letter.to) == (b, a) => Verdict::Delay(700 * MS),
            Kind::RequestVote => Verdict::Drop,
            _ => Verdict::Pass,
        };
        let mut race = Race::begin(seed, late);
        let (a, host, own) = (race.a, race.cluster.host(race.a), race.cluster.id(race.a));
        let down = |c: &Cluster<Journal>| role(c, a) != Some(Role::Candidate);
        assert!(race.cluster.run_until(TIMEOUT + 50 * MS, down).reached(), "it steps down");
        let ledger = race.ledger.clone();
        let (asker, term) = (race.cluster.host(race.b), race.term);
        let asked = move |_: &Cluster<Journal>| ledger.refused(host, term) == [asker];
        assert!(race.cluster.run_until(SECOND, asked).reached(), "it refuses");
        let status = race.cluster.status(a).expect("it runs");
        assert_eq!((status.term, status.voted_for), (race.term, Some(own)));
        race.end();
    });
}

/// Museum 3: a vote that arrives when its candidate is at a later election counts for nothing, be it the tenth.
#[test]
fn m03_votes_of_an_earlier_term_do_not_count() {
    each_seed(5, |seed| {
        let (mut cluster, voter) = led(seed, 3);
        let rest = others(&cluster, &[voter]);
        let (candidate, gone) = (rest[0], rest[1]);
        let host = cluster.host(voter);
        let (before, elections) = (term(&cluster, voter), cluster.coverage().elections);
        let ledger = Ledger::keep(&cluster, move |letter| match letter.kind {
            // Later than any election lasts.
            Kind::RequestVoteReply => Verdict::Delay(1200 * MS),
            Kind::PreVote if letter.from == host => Verdict::Drop,
            _ => Verdict::Pass,
        });
        cluster.kill(gone);
        cluster.reboot(voter);
        cluster.run_for(10 * SECOND);
        assert_eq!(cluster.coverage().elections, elections, "an old vote was enough");
        let votes =
            (before.0..=term(&cluster, candidate).0).map(|term| ledger.vote(host, Term(term)));
        assert!(votes.flatten().count() > 10, "too few votes");
        ledger.check(&cluster, before);
        settle(&mut cluster, &mut Client::default());
    });
}

/// Museum 4: pre-votes that arrive after the election was won change nothing any more.
#[test]
fn m04_late_pre_votes_do_not_disturb_a_leader() {
    each_seed(10, |seed| {
        let (mut cluster, old) = led(seed, 5);
        let rest = others(&cluster, &[old]);
        let candidate = cluster.host(rest[0]);
        let late = [rest[2], rest[3]].map(|at| cluster.host(at));
        let ledger = Ledger::keep(&cluster, move |letter| match letter.kind {
            Kind::PreVoteReply if late.contains(&letter.from) => Verdict::Delay(300 * MS),
            Kind::PreVote if letter.from != candidate => Verdict::Drop,
            _ => Verdict::Pass,
        });
        cluster.kill(old);
        let leads = |c: &Cluster<Journal>| role(c, rest[0]) == Some(Role::Leader);
        assert!(cluster.run_until(3 * SECOND, leads).reached(), "two pre-votes are enough");
        let before = cluster.status(rest[0]).expect("it runs");
        cluster.run_for(SECOND);
        let after = cluster.status(rest[0]).expect("it runs");
        assert_eq!((after.role, after.term), (Role::Leader, before.term));
        assert!(after.dropped > before.dropped, "none was late");
        ledger.check(&cluster, Term(before.term.0 - 1));
        settle(&mut cluster, &mut Client::default());
    });
}

/// Museum 4: whoever is refused a pre-vote by a later term learns of that term from the refusal, even if it
/// hears nothing else; and it has disturbed nobody.
#[test]
fn m04_a_refused_pre_vote_brings_the_later_term() {
    each_seed(10, |seed| {
        let (mut cluster, old) = led(seed, 3);
        let behind = others(&cluster, &[old])[0];
        let host = cluster.host(behind);
        cluster.isolate(behind);
        for _ in 0..3 {
            let leader = await_leader(&mut cluster);
            cluster.reboot(leader);
        }
        let leader = await_leader(&mut cluster);
        let (early, late) = (term(&cluster, behind), term(&cluster, leader));
        assert!(early < late, "its term does not grow while it is alone, and theirs does");
        cluster.net().set_filter(move |letter| match letter.kind {
            Kind::PreVoteReply => Verdict::Pass,
            _ if letter.to == host => Verdict::Drop,
            _ => Verdict::Pass,
        });
        cluster.rejoin(behind);
        let learnt = |c: &Cluster<Journal>| term(c, behind) == late;
        assert!(cluster.run_until(4 * TIMEOUT, learnt).reached(), "it learns of the term");
        cluster.run_for(SECOND);
        assert_eq!(cluster.leaders(), [(leader, late)]);
        settle(&mut cluster, &mut Client::default());
    });
}

/// Museum 5: of five nodes one reaches only the second, another one only the third (Cloudflare, 2020). Whoever
/// leads at first, one of the three in the middle leads soon, stays, and serves.
#[test]
fn m05_there_is_a_stable_leader_though_links_are_missing() {
    for first in 0..5 {
        each_seed(3, |seed| {
            let (cluster, nodes) = led_at(seed, 5, first);
            let hosts = cluster.hosts(&nodes);
            let sides: [&[HostId]; 3] = [&hosts[..3], &[hosts[1], hosts[3]], &[hosts[2], hosts[4]]];
            cluster.net().partition(&sides);
            serves_without_elections(cluster, &nodes[..3]);
        });
    }
}

/// Museum 5: a star, and the leader is not its centre. Nobody but the centre reaches a majority, and it would
/// hear the leader for ever if that did not step down (CheckQuorum).
#[test]
fn m05_a_leader_at_the_edge_of_a_star_makes_way_for_the_centre() {
    each_seed(5, |seed| {
        let (cluster, nodes) = led_at(seed, 5, 1);
        let hosts = cluster.hosts(&nodes);
        let sides: Vec<[HostId; 2]> = hosts[1..].iter().map(|edge| [hosts[0], *edge]).collect();
        let sides: Vec<&[HostId]> = sides.iter().map(|side| &side[..]).collect();
        cluster.net().partition(&sides);
        serves_without_elections(cluster, &nodes[..1]);
    });
}

/// Museum 5: a chain of three, and the leader is at an end. The other end hears no leader, asks the middle
/// again and again, and is refused, because the middle hears one (PreVote). Without writes, for its log would
/// be behind after one.
#[test]
fn m05_who_does_not_hear_the_leader_does_not_depose_it() {
    each_seed(5, |seed| {
        let (mut cluster, nodes) = led_at(seed, 3, 0);
        cluster.run_for(SECOND);
        let before = cluster.leaders();
        let hosts = cluster.hosts(&nodes);
        cluster.net().partition(&[&[hosts[0], hosts[1]], &[hosts[1], hosts[2]]]);
        for _ in 0..300 {
            cluster.run_for(100 * MS);
            assert_eq!(cluster.leaders(), before, "deposed");
        }
        assert_eq!(term(&cluster, nodes[2]), before[0].1, "and will depose it later");
        serves_without_elections(cluster, &nodes[..2]);
    });
}

/// A cluster, and its nodes in an order in which the leader is at this place.
fn led_at(seed: u64, count: u64, place: usize) -> (Cluster<Journal>, Vec<usize>) {
    let (cluster, leader) = led(seed, count);
    let mut nodes = vec![leader];
    nodes.extend(others(&cluster, &[leader]));
    nodes.swap(0, place);
    (cluster, nodes)
}

/// One of `able` leads soon; then there is no election for half a minute, and everything is answered.
fn serves_without_elections(mut cluster: Cluster<Journal>, able: &[usize]) {
    let led =
        |c: &Cluster<Journal>| c.leader().is_some_and(|at| able.contains(&at) && is_steady(c, at));
    assert!(cluster.run_until(10 * TIMEOUT, led).reached(), "nobody who could leads");
    cluster.run_for(4 * TIMEOUT);
    let before = cluster.leaders();
    let mut client = Client::default();
    for _ in 0..300 {
        client.propose_somewhere(&mut cluster);
        cluster.run_for(100 * MS);
    }
    assert_eq!(cluster.leaders(), before, "another election in 30 s");
    assert!(client.acked().len() > 295, "only {} of 300", client.acked().len());
    settle(&mut cluster, &mut client);
}

fn is_steady(cluster: &Cluster<Journal>, leader: usize) -> bool {
    let status = cluster.status(leader);
    status.is_some_and(|status| status.commit == status.last.index)
}

/// Museum 5: what it rests on. A leader that a majority does not answer steps down, even if it is heard; and
/// who reaches nobody does not count its term up.
#[test]
fn m05_a_leader_that_is_not_answered_steps_down() {
    each_seed(10, |seed| {
        let (mut cluster, leader) = led(seed, 5);
        let (host, before) = (cluster.host(leader), term(&cluster, leader));
        for other in others(&cluster, &[leader]) {
            cluster.net().cut(cluster.host(other), host);
        }
        let down = |c: &Cluster<Journal>| role(c, leader) != Some(Role::Leader);
        assert!(cluster.run_until(TIMEOUT + 50 * MS, down).reached(), "it steps down");
        let anew = |c: &Cluster<Journal>| c.leader().is_some_and(|at| at != leader);
        assert!(cluster.run_until(RECOVERY, anew).reached(), "another one leads");
        cluster.run_for(10 * SECOND);
        assert_eq!(term(&cluster, leader), before, "alone, and its term grows");
        settle(&mut cluster, &mut Client::default());
    });
}

/// Museum 16: a node that believes to be a learner votes when it is asked: the candidate may know a membership
/// in which it is a voter.
#[test]
fn m16_a_learner_votes_when_it_is_asked() {
    each_seed(5, |seed| {
        let mut sim = Sim::new(seed);
        let hosts: Vec<HostId> = (1..=3).map(|n| sim.add_host(&format!("n{n}"))).collect();
        let voters = Membership::of_voters([1, 2, 3].map(NodeId));
        let mut older = Membership::of_voters([1, 2].map(NodeId));
        older.learners.insert(NodeId(3));
        let leads = Arc::new(AtomicBool::new(false));
        // The second voter is down.
        for (id, membership) in [(1, voters), (3, older)] {
            let leads = Arc::clone(&leads);
            sim.start(hosts[id - 1], |process| async move {
                let id = NodeId(id as u64);
                let (storage, transport) = (MemoryStorage::new(), process.transport(id));
                let node = Node::start(NodeConfig::new(id), Arc::new(storage), Arc::new(transport));
                let mut config = GroupConfig::new(id, GROUP, membership);
                config.raft.seed = process.seed();
                let group = node.add_group(config, Journal::default()).await.expect("it starts");
                while group.status().role != Role::Leader {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                assert_eq!(id, NodeId(1), "a learner does not lead");
                leads.store(true, Ordering::Relaxed);
                node.stopped().await;
            });
        }
        let led = sim.run_until(10 * SECOND, |_| leads.load(Ordering::Relaxed));
        assert!(led.reached(), "the learner's vote is needed, and was not given");
    });
}
