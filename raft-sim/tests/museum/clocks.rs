//! Clocks that are wrong and processes that stand still: items 30, 31, 68 to 70 and 73 of the catalogue.
//!
//! Item 68 has no wall clock to change here: `clippy.toml` forbids to read one. The monotonic clock jumps instead,
//! which is worse.

use std::time::Duration;

use raft_core::{Role, Term};
use raft_sim::net::Kind;
use raft_sim::{Cluster, ClusterConfig, Keep};

use super::support::*;

const HOUR: Duration = Duration::from_secs(3600);

/// Proposes at whoever leads, every 10 ms.
fn serve_for(cluster: &mut Cluster<Journal>, client: &mut Client, time: Duration) {
    let until = cluster.sim().now() + time;
    while cluster.sim().now() < until {
        client.propose_somewhere(cluster);
        cluster.run_for(10 * MS);
    }
}

/// Nobody has so much as asked for a pre-vote since the counters were reset.
fn nobody_stands(cluster: &Cluster<Journal>) {
    let asked = cluster.net().traffic().sum(|_, _, kind| kind == Kind::PreVote).messages;
    assert_eq!(asked, 0, "somebody's election timeout was over");
}

fn terms(cluster: &Cluster<Journal>) -> Vec<Term> {
    (0..cluster.len()).map(|at| term(cluster, at)).collect()
}

/// Item 68: the clock of one node, or of all, is an hour or a year later all at once. Timers that were due meanwhile
/// are one tick: nobody campaigns, and everything is answered.
#[test]
fn c68_a_jump_of_the_clock_is_one_tick() {
    each_seed(5, |seed| {
        for (jump, all) in [(HOUR, false), (HOUR, true), (24 * 365 * HOUR, false)] {
            let (mut cluster, leader) = led(seed, 3);
            let (mut client, before) = (Client::default(), terms(&cluster));
            cluster.net().reset_traffic();
            serve_for(&mut cluster, &mut client, 200 * MS);
            for at in 0..3 {
                if all || (at == leader) == (seed % 2 == 0) {
                    let host = cluster.host(at);
                    cluster.sim().jump(host, jump);
                }
            }
            serve_for(&mut cluster, &mut client, 2 * SECOND);
            nobody_stands(&cluster);
            assert_eq!(terms(&cluster), before, "an election");
            assert!(client.acked().len() >= 218, "only {} of 220", client.acked().len());
            settle(&mut cluster, &mut client);
        }
    });
}

/// Item 69: clocks go at half the speed, or half again as fast, each at its own: the margin between heartbeats and
/// elections takes that, whoever leads.
#[test]
fn c69_clocks_that_drift_by_half_disturb_nobody() {
    each_seed(4, |seed| {
        for slow_leader in [true, false] {
            let (mut cluster, leader) = led(seed, 5);
            for at in 0..5 {
                let drift = cluster.sim().rng().u32(100..=500);
                let slow = (at == leader) == slow_leader;
                let (host, rate) =
                    (cluster.host(at), if slow { 1000 - drift } else { 1000 + drift });
                cluster.sim().set_rate(host, rate);
            }
            let (mut client, before) = (Client::default(), terms(&cluster));
            cluster.net().reset_traffic();
            // Nothing but heartbeats, and then entries besides.
            cluster.run_for(10 * SECOND);
            serve_for(&mut cluster, &mut client, SECOND);
            nobody_stands(&cluster);
            assert_eq!(terms(&cluster), before, "an election");
            assert!(client.acked().len() >= 98, "only {} of 100", client.acked().len());
            settle(&mut cluster, &mut client);
        }
    });
}

/// Item 69: the same clocks while leaders crash. Nobody who is quick keeps the others from being elected.
#[test]
fn c69_clocks_that_drift_by_half_elect_a_leader() {
    each_seed(5, |seed| {
        let (mut cluster, _) = led(seed, 5);
        for at in 0..5 {
            let (host, rate) = (cluster.host(at), cluster.sim().rng().u32(500..=1500));
            cluster.sim().set_rate(host, rate);
        }
        let mut client = Client::default();
        for _ in 0..4 {
            let leader = await_leader(&mut cluster);
            client.propose(&mut cluster, leader);
            cluster.power_loss(leader, Keep::RandomSectors);
            let another = |c: &Cluster<Journal>| c.leader().is_some();
            // The slowest clock takes a second for the longest timeout.
            let limit = 2 * 4 * TIMEOUT;
            assert!(cluster.run_until(limit, another).reached(), "nobody is elected");
            cluster.restart(leader);
        }
        settle(&mut cluster, &mut client);
    });
}

/// Item 31: one node does everything ten times as slowly as the others. A follower disturbs nobody; a leader like that
/// is deposed, once, and what it has answered stays.
#[test]
fn c31_a_node_that_is_starved_disturbs_nobody_for_long() {
    each_seed(5, |seed| {
        for leads in [true, false] {
            let (mut cluster, leader) = led(seed, 3);
            let slow = if leads { leader } else { others(&cluster, &[leader])[0] };
            let host = cluster.host(slow);
            let (mut client, elections) = (Client::default(), cluster.coverage().elections);
            cluster.net().reset_traffic();
            // It runs for a tenth of the time, and is late for ten ticks of eleven.
            for _ in 0..35 {
                cluster.sim().pause(host);
                serve_for(&mut cluster, &mut client, 270 * MS);
                cluster.sim().resume(host);
                serve_for(&mut cluster, &mut client, 30 * MS);
            }
            if !leads {
                nobody_stands(&cluster);
            }
            let elections = cluster.coverage().elections - elections;
            assert!(elections <= u64::from(leads), "{elections} elections");
            assert!(client.acked().len() > 800, "only {} of 1050", client.acked().len());
            settle(&mut cluster, &mut client);
        }
    });
}

/// Items 30 and 70: a node stands still for half to ten election timeouts, and hears nothing of what was sent
/// meanwhile, or all of it. It catches up on no ticks: the others' leader stays, and their term.
#[test]
fn c30_c70_a_follower_that_wakes_up_deposes_nobody() {
    each_seed(5, |seed| {
        for halves in [1, 2, 4, 20] {
            for deaf in [false, true] {
                let (mut cluster, leader) = led(seed, 3);
                let asleep = others(&cluster, &[leader])[0];
                let (host, before) = (cluster.host(asleep), terms(&cluster));
                let mut client = Client::default();
                cluster.sim().pause(host);
                if deaf {
                    cluster.isolate(asleep);
                }
                serve_for(&mut cluster, &mut client, TIMEOUT / 2 * halves);
                cluster.rejoin(asleep);
                cluster.net().reset_traffic();
                cluster.sim().resume(host);
                serve_for(&mut cluster, &mut client, 2 * SECOND);
                nobody_stands(&cluster);
                assert_eq!(terms(&cluster), before, "an election");
                settle(&mut cluster, &mut client);
            }
        }
    });
}

/// Items 30 and 70: the leader stands still. The others elect another one if it is for longer than they wait, once;
/// and when it wakes up it does not lead in the old term for longer than it takes to hear of the new one.
#[test]
fn c30_c70_a_leader_that_wakes_up_steps_down_and_stays_down() {
    each_seed(5, |seed| {
        for halves in [1, 2, 4, 20] {
            let (mut cluster, old) = led(seed, 3);
            let (host, before) = (cluster.host(old), term(&cluster, old));
            let elections = cluster.coverage().elections;
            let mut client = Client::default();
            client.propose(&mut cluster, old);
            cluster.sim().pause(host);
            serve_for(&mut cluster, &mut client, TIMEOUT / 2 * halves);
            let another = others(&cluster, &[old])
                .into_iter()
                .any(|at| role(&cluster, at) == Some(Role::Leader));
            assert!(halves < 4 || another, "nobody took over");
            cluster.sim().resume(host);
            cluster.run_for(100 * MS);
            let leads_on = cluster.leaders().contains(&(old, before));
            assert!(!(another && leads_on), "it leads a term that is over");
            serve_for(&mut cluster, &mut client, 2 * SECOND);
            let elections = cluster.coverage().elections - elections;
            assert!(elections <= 1 + u64::from(!another), "{elections} elections");
            settle(&mut cluster, &mut client);
        }
    });
}

/// Items 30 and 70: all stand still, and wake up together. Nobody has missed a tick, so nobody campaigns.
#[test]
fn c30_c70_when_all_wake_up_the_leader_is_the_same() {
    each_seed(5, |seed| {
        let (mut cluster, _) = led(seed, 5);
        let (mut client, before) = (Client::default(), terms(&cluster));
        for halves in [1, 2, 20] {
            let hosts = cluster.hosts(&[0, 1, 2, 3, 4]);
            serve_for(&mut cluster, &mut client, 100 * MS);
            hosts.iter().for_each(|host| cluster.sim().pause(*host));
            cluster.run_for(TIMEOUT / 2 * halves);
            hosts.iter().for_each(|host| cluster.sim().resume(*host));
            serve_for(&mut cluster, &mut client, SECOND);
        }
        assert_eq!(terms(&cluster), before, "an election");
        settle(&mut cluster, &mut client);
    });
}

/// Item 73: all nodes draw from the same seed, over links that are all the same, and start at once. Ids are mixed
/// in, so that their timeouts are not the same: there is a leader soon, again and again.
#[test]
fn c73_equal_seeds_make_no_storm_of_split_votes() {
    let mut elections = 0;
    each_seed(10, |seed| {
        for nodes in [3, 5, 7] {
            let mut config = ClusterConfig::new(seed, nodes);
            config.raft = |raft| raft.seed = 4711;
            let mut cluster = journals(config);
            cluster.net().change_links(|link| link.latency = (MS, MS));
            let mut client = Client::default();
            for _ in 0..3 {
                let leader = await_leader(&mut cluster);
                client.propose(&mut cluster, leader);
                cluster.run_for(20 * MS);
                // All of them forget everything that was drawn.
                (0..cluster.len()).for_each(|at| cluster.power_loss(at, Keep::Nothing));
                (0..cluster.len()).for_each(|at| cluster.restart(at));
                let led = |c: &Cluster<Journal>| c.leader().is_some();
                assert!(cluster.run_until(4 * TIMEOUT, led).reached(), "nobody is elected");
            }
            elections += cluster.coverage().elections;
            settle(&mut cluster, &mut client);
        }
    });
    assert!(elections < 30 * 6, "{elections} elections");
}
