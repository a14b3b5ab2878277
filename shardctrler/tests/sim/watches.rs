//! Long polls: a change reaches those who wait for it in milliseconds, and none is missed.

use std::time::Duration;

use raft_sim::ClusterConfig;
use raft_sim::net::PerMille;
use shardctrler::{Clerk, ConfigNumber, Configuration, Limits, Refusal};
use tokio::time::Instant;

use super::world::{MS, SECOND, World, seeds};
use crate::common::{join, leave};

/// Follows the configurations to number `last`, one at a time.
async fn follow(clerk: Clerk, last: u64) -> Vec<Configuration> {
    let mut followed = vec![clerk.query(ConfigNumber::ZERO).await.expect("answered")];
    while followed.len() <= last as usize {
        let number = followed[followed.len() - 1].number();
        match clerk.with_deadline(10 * SECOND).watch(number).await {
            Ok(Some(next)) => followed.push(next),
            Ok(None) => {}
            Err(error) => eprintln!("after {number}: {error}"),
        }
    }
    followed
}

#[test]
fn a_change_reaches_those_who_wait_in_milliseconds() {
    seeds(|seed| {
        let mut world = World::lab(seed);
        let (client, watcher) = (world.client(), world.client());
        let first = world.change(&client, join([1]));
        for round in 1..10 {
            let number = ConfigNumber(first.0 + round - 1);
            let job = world.begin(&watcher, |clerk| async move { clerk.watch(number).await });
            world.cluster.run_for(Duration::from_millis(700 * round % 4_000 + 30));
            assert!(!job.is_done(), "nothing has changed");
            world.change(&client, join([1 + round]));
            // One message's way.
            let waited = world.cluster.sim().run_until(7 * MS, |_| job.is_done());
            assert!(waited.reached(), "round {round}");
            let found = world.finish(&job).expect("answered").expect("changed");
            assert_eq!(found.number(), number.next());
        }
    });
}

#[test]
fn nothing_new_is_said_in_time() {
    let mut world = World::lab(1);
    let client = world.client();
    world.change(&client, join([1]));
    for ms in [50, 400, 1_000, 1_400, 1_600, 2_500, 7_000] {
        let deadline = Duration::from_millis(ms);
        let (answer, took) = world.ask(&client, |clerk| async move {
            let begun = Instant::now();
            let answer = clerk.with_deadline(deadline).watch(ConfigNumber(1)).await;
            (answer, begun.elapsed())
        });
        assert_eq!(answer, Ok(None), "{ms} ms");
        assert!(took >= deadline / 2 && took <= deadline, "{ms} ms: {took:?}");
    }
    // What is there already is told at once, one at a time.
    world.change(&client, join([2]));
    world.change(&client, join([3]));
    for number in 0..3 {
        let found = world
            .ask(&client, |clerk| async move { clerk.watch(ConfigNumber(number)).await })
            .expect("answered");
        assert_eq!(found.map(|it| it.number()), Some(ConfigNumber(number + 1)));
    }
}

#[test]
fn what_is_gone_is_refused() {
    let mut limits = Limits::default();
    limits.history_max = 2;
    let mut world = World::start(ClusterConfig::new(1, 3), limits);
    let client = world.client();
    for group in 1..=5 {
        world.change(&client, join([group]));
    }
    let watch = |number| move |clerk: Clerk| async move { clerk.watch(ConfigNumber(number)).await };
    let gone = Refusal::Compacted { asked: ConfigNumber(3), oldest: ConfigNumber(4) };
    assert_eq!(world.ask(&client, watch(2)), Err(gone.into()));
    let query = |number| move |clerk: Clerk| async move { clerk.query(ConfigNumber(number)).await };
    assert_eq!(world.ask(&client, query(3)), Err(gone.into()));
    let found = world.ask(&client, watch(3)).expect("answered").expect("there");
    assert_eq!(found.number(), ConfigNumber(4));
    assert_eq!(world.ask(&client, query(99)).expect("the newest").number(), ConfigNumber(5));
}

/// Watchers see every configuration, in order, whatever happens to the nodes.
#[test]
fn followers_of_the_configurations_miss_none() {
    seeds(|seed| {
        let mut config = ClusterConfig::new(seed, 3);
        config.snapshot_bytes = Some(2_000);
        let mut world = World::start(config, Limits::default());
        world.cluster.net().change_links(|link| link.loss = PerMille(20));
        let client = world.client();
        let watchers: Vec<_> = (0..3).map(|_| world.client()).collect();
        const LAST: u64 = 16;
        let jobs: Vec<_> =
            watchers.iter().map(|it| world.begin(it, |clerk| follow(clerk, LAST))).collect();
        for round in 0..LAST / 2 {
            if let Some(leader) = world.cluster.leader().filter(|_| round % 2 == 1) {
                world.cluster.kill(leader);
                world.cluster.run_for(300 * MS);
                world.cluster.restart(leader);
            }
            // Certain to be done, or another one would be missing at the end.
            world.change(&client, join([round + 1]));
            world.change(&client, leave([round + 1]));
        }
        for job in &jobs {
            let followed = world.finish(job);
            for (number, found) in followed.iter().enumerate() {
                assert_eq!(found.number(), ConfigNumber(number as u64));
            }
        }
    });
}

/// The leader is cut off from its peers, and not from the watcher, who would wait for ten seconds: it must
/// send him away when it steps down.
#[test]
fn a_leader_that_was_cut_off_holds_nobody() {
    seeds(|seed| {
        let mut world = World::lab(seed);
        let client = world.client();
        let watcher = world.client_with(|config| config.calls.attempt_timeout = 20 * SECOND);
        let first = world.change(&client, join([1]));
        let leader = world.await_leader();
        let job = world.begin(&watcher, |clerk| async move { clerk.watch(first).await });
        world.cluster.run_for(200 * MS);
        let leader_host = world.cluster.host(leader);
        for at in (0..3).filter(|at| *at != leader) {
            let host = world.cluster.host(at);
            world.cluster.net().cut(host, leader_host);
            world.cluster.net().cut(leader_host, host);
        }
        let second = world.change(&client, join([2]));
        let waited = world.cluster.sim().run_until(2 * SECOND, |_| job.is_done());
        assert!(waited.reached(), "the watcher still waits");
        let found = world.finish(&job).expect("answered").expect("changed");
        assert_eq!(found.number(), second);
    });
}
