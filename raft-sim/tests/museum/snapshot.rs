//! Snapshots, and what they are of: entries 10 and 19 of the museum.

use raft_core::LogIndex;
use raft_sim::net::{Kind, PerMille, Verdict};
use raft_sim::{Cluster, ClusterConfig, Keep};

use super::support::*;

/// Nodes that take a snapshot of all they have every few commands, and keep nothing of the log behind it.
fn forgetful(seed: u64, nodes: u64) -> ClusterConfig {
    let mut config = ClusterConfig::new(seed, nodes);
    config.snapshot_bytes = Some(1000);
    config.snapshot_chunk_bytes = 256;
    config.raft = |raft| raft.trailing_bytes_max = 0;
    config
}

fn await_leader_besides(cluster: &mut Cluster<Journal>, not: usize) -> usize {
    let led = |c: &Cluster<Journal>| c.leader().is_some_and(|at| at != not);
    assert!(cluster.run_until(RECOVERY, led).reached(), "nobody leads");
    cluster.leader().expect("just now")
}

fn propose_many(cluster: &mut Cluster<Journal>, client: &mut Client, count: u64) {
    for _ in 0..count {
        client.propose_somewhere(cluster);
        cluster.run_for(2 * MS);
    }
}

/// Museum 10: a follower needs entries that nobody has any more. It gets the snapshot (openraft afd6508b).
#[test]
fn m10_who_is_behind_a_purged_log_gets_the_snapshot() {
    each_seed(10, |seed| {
        let (mut cluster, leader) = led_by(forgetful(seed, 3));
        let behind = others(&cluster, &[leader])[0];
        let mut client = Client::default();
        cluster.isolate(behind);
        propose_many(&mut cluster, &mut client, 100);
        let status = cluster.status(leader).expect("it runs");
        let had = cluster.status(behind).expect("it runs").last.index;
        assert!(status.compacted.index > had, "nothing was purged");
        cluster.rejoin(behind);
        settle(&mut cluster, &mut client);
        assert_eq!(cluster.coverage().snapshots_received, 1);
    });
}

/// Museum 10: one snapshot after the other, to the same follower, and newer ones, or another leader's, while it gets
/// the old one, chunk by chunk over a lossy link (etcd#18055).
#[test]
fn m10_a_snapshot_follows_a_snapshot() {
    each_seed(10, |seed| {
        let mut config = forgetful(seed, 3);
        config.snapshot_chunk_bytes = 512;
        let (mut cluster, leader) = led_by(config);
        let behind = others(&cluster, &[leader])[0];
        let mut client = Client::default();
        for round in 0..4 {
            cluster.isolate(behind);
            propose_many(&mut cluster, &mut client, 100);
            cluster.rejoin(behind);
            cluster.net().change_links(|link| link.loss = PerMille(100));
            // The log moves on while the snapshot travels.
            propose_many(&mut cluster, &mut client, 10);
            if round % 2 == 1 {
                let leader = await_leader_besides(&mut cluster, behind);
                cluster.power_loss(leader, Keep::Nothing);
                await_leader_besides(&mut cluster, behind);
                cluster.restart(leader);
            }
            propose_many(&mut cluster, &mut client, 200);
            cluster.net().change_links(|link| link.loss = PerMille::NEVER);
            await_leader(&mut cluster);
            let last = cluster.leader().and_then(|leader| Some(cluster.status(leader)?.commit));
            let there =
                |c: &Cluster<Journal>| c.status(behind).map(|status| status.applied) >= last;
            assert!(cluster.run_until(RECOVERY, there).reached(), "it stays behind");
        }
        assert!(cluster.coverage().snapshots_received >= 4, "too few");
        settle(&mut cluster, &mut client);
    });
}

/// Museum 10: a snapshot arrives again when its receiver has committed more than is in it (openraft ac3e5a89).
/// Its state never goes back.
#[test]
fn m10_a_late_snapshot_takes_nothing_back() {
    each_seed(10, |seed| {
        let mut config = forgetful(seed, 3);
        // Whole in one message.
        config.snapshot_chunk_bytes = 1 << 20;
        let (mut cluster, leader) = led_by(config);
        let behind = others(&cluster, &[leader])[0];
        cluster.net().set_filter(|letter| match letter.kind {
            Kind::InstallSnapshot => Verdict::Duplicate,
            _ => Verdict::Pass,
        });
        let mut client = Client::default();
        let (mut newest, mut late) = (LogIndex::ZERO, 0);
        for _ in 0..5 {
            cluster.isolate(behind);
            propose_many(&mut cluster, &mut client, 60);
            cluster.rejoin(behind);
            // One copy may be quick, and the other one takes up to a second.
            let (from, to) = (cluster.host(leader), cluster.host(behind));
            cluster.net().change_link(from, to, |link| {
                (link.detours, link.detour) = (PerMille(500), SECOND);
            });
            for _ in 0..100 {
                client.propose_somewhere(&mut cluster);
                cluster.run_for(10 * MS);
                let status = cluster.status(behind).expect("it runs");
                assert!(status.commit >= newest, "{} after {newest}", status.commit);
                newest = status.commit;
            }
            let sent = cluster.net().reset_traffic();
            late += sent.sum(|_, _, kind| kind == Kind::InstallSnapshot).messages;
        }
        assert!(late > 5, "too few");
        settle(&mut cluster, &mut client);
    });
}

/// Museum 10: the snapshot is ahead of a log whose end was never committed: all of the log goes.
#[test]
fn m10_a_snapshot_replaces_a_log_that_ended_elsewhere() {
    each_seed(10, |seed| {
        let (mut cluster, old) = led_by(forgetful(seed, 5));
        let other = others(&cluster, &[old])[0];
        let rest = others(&cluster, &[old, other]);
        let sides = [cluster.hosts(&[old, other]), cluster.hosts(&rest)];
        cluster.net().partition(&[&sides[0], &sides[1]]);
        let mut client = Client::default();
        // It ends before what the snapshot is of, or far behind it.
        let never = if seed % 2 == 0 { 10 } else { 500 };
        for _ in 0..never {
            client.propose(&mut cluster, old);
        }
        let led = |c: &Cluster<Journal>| c.leader().is_some_and(|at| rest.contains(&at));
        assert!(cluster.run_until(RECOVERY, led).reached(), "the majority has a leader");
        propose_many(&mut cluster, &mut client, 100);
        let received = cluster.coverage().snapshots_received;
        settle(&mut cluster, &mut client);
        assert_eq!(cluster.coverage().snapshots_received, received + 2);
        let journal = cluster.peek(other, Journal::numbers).expect("it runs");
        assert!((1..=never).all(|number| !journal.contains(&number)), "never committed, and there");
    });
}

/// Museum 19: the state and the index up to which it is applied are one: whatever the moment at which the power
/// goes, and while snapshots are being taken, installed and restored, every command has its effect once.
#[test]
fn m19_every_command_is_applied_once_whenever_the_power_goes() {
    each_seed(6, |seed| {
        let mut config = forgetful(seed, 3);
        // With odd seeds nearly every command makes a snapshot.
        config.snapshot_bytes = Some(if seed % 2 == 0 { 1000 } else { 100 });
        let (mut cluster, _) = led_by(config);
        let mut client = Client::default();
        let keeps = [Keep::Nothing, Keep::Everything, Keep::Prefix, Keep::RandomSectors];
        for round in 0..20 {
            let until = cluster.sim().rng().u64(5..60);
            propose_many(&mut cluster, &mut client, until);
            // All at once, or one after the other.
            for at in 0..3 {
                cluster.power_loss(at, keeps[(round + at) % 4]);
                if round % 2 == 0 {
                    cluster.restart(at);
                }
            }
            for at in 0..3 {
                if !cluster.is_up(at) {
                    cluster.restart(at);
                }
            }
            await_leader(&mut cluster);
        }
        assert!(cluster.coverage().restores > 20, "too few restarts with a snapshot");
        assert!(client.acked().len() > 200, "only {}", client.acked().len());
        settle(&mut cluster, &mut client);
    });
}
