//! The scenarios of MIT's lab 4B.

use std::time::Duration;

use super::fleet::World;
use super::load::{Appenders, append, check, fill};
use super::setup::{MS, SECOND, seeds};

/// The log is as large as the limit allows, or there are no snapshots when there is none.
fn check_logs(world: &World) {
    for group in 1..=3 {
        for (log, snapshot) in world.stored(group) {
            match world.setup.limit {
                // One entry, however large, is always let in, and so is what came while a snapshot was written.
                Some(limit) => assert!(log <= (8 * limit).max(16_000), "{log} bytes of log"),
                None => assert_eq!(snapshot, 0),
            }
        }
    }
    assert!(world.setup.limit.is_none() || world.snapshots() > 0);
}

#[test]
fn static_shards_4b() {
    seeds(|setup| {
        let mut world = World::start(setup);
        let client = world.client();
        world.join(&[1]);
        let number = world.join(&[2]);
        world.settle(&[1, 2], number);
        let values = fill(&mut world, &client, 10, 20);
        check(&mut world, &client, &values);
        let config = world.newest();
        let there = (0..10).filter(|key: &i32| {
            config.owner_of(key.to_string().as_bytes()).map(|it| it.0) == Some(1)
        });
        let expected = there.count();
        world.kill_group(2);
        let mut jobs = Vec::new();
        for key in 0..10 {
            let client = world.client();
            jobs.push(
                world.begin(&client, |mut client| async move { client.get(key.to_string()).await }),
            );
        }
        world.run_for(2 * SECOND);
        let done = jobs.iter().filter(|job| job.is_done()).count();
        assert_eq!(done, expected, "only the shards of the living group are served");
        world.restart_group(2);
        for (found, value) in world.finish_all(&jobs).into_iter().zip(&values) {
            assert_eq!(found.expect("answered").as_ref(), Some(value));
        }
        check(&mut world, &client, &values);
        check_logs(&world);
        world.judge();
    });
}

#[test]
fn join_leave_4b() {
    seeds(|setup| {
        let mut world = World::start(setup);
        let client = world.client();
        world.join(&[1]);
        let mut values = fill(&mut world, &client, 10, 5);
        check(&mut world, &client, &values);
        let number = world.join(&[2]);
        append(&mut world, &client, &mut values, 5);
        check(&mut world, &client, &values);
        world.settle(&[1, 2], number);
        let number = world.leave(&[1]);
        append(&mut world, &client, &mut values, 5);
        check(&mut world, &client, &values);
        // A second, for the shards to leave.
        world.run_for(SECOND);
        assert!(world.is_settled(1, number) && world.is_settled(2, number), "{}", world.describe());
        check_logs(&world);
        world.kill_group(1);
        check(&mut world, &client, &values);
        world.judge();
    });
}

#[test]
fn snapshot_4b() {
    seeds(|setup| {
        let mut world = World::start(setup.limit(1000));
        let client = world.client();
        world.join(&[1]);
        let mut values = fill(&mut world, &client, 30, 20);
        world.join(&[2]);
        world.join(&[3]);
        world.leave(&[1]);
        append(&mut world, &client, &mut values, 20);
        world.leave(&[2]);
        world.join(&[1]);
        append(&mut world, &client, &mut values, 20);
        world.run_for(SECOND);
        check(&mut world, &client, &values);
        world.run_for(SECOND);
        check_logs(&world);
        (1..=3).for_each(|group| world.kill_group(group));
        (1..=3).for_each(|group| world.restart_group(group));
        check(&mut world, &client, &values);
        world.judge();
    });
}

#[test]
fn miss_change_4b() {
    seeds(|setup| {
        let mut world = World::start(setup.limit(1000));
        let client = world.client();
        world.join(&[1]);
        let mut values = fill(&mut world, &client, 10, 20);
        world.join(&[2]);
        for group in 1..=3 {
            world.kill(group, 0);
        }
        world.join(&[3]);
        world.leave(&[1]);
        world.leave(&[2]);
        append(&mut world, &client, &mut values, 20);
        world.join(&[1]);
        append(&mut world, &client, &mut values, 20);
        for group in 1..=3 {
            world.restart(group, 0);
        }
        append(&mut world, &client, &mut values, 20);
        world.run_for(2 * SECOND);
        for group in 1..=3 {
            world.kill(group, 1);
        }
        world.run_for(2 * SECOND);
        append(&mut world, &client, &mut values, 20);
        world.leave(&[1]);
        world.join(&[2]);
        append(&mut world, &client, &mut values, 20);
        for group in 1..=3 {
            world.restart(group, 1);
        }
        check(&mut world, &client, &values);
        world.judge();
    });
}

#[test]
fn concurrent1_4b() {
    seeds(|setup| {
        let mut world = World::start(setup.limit(100));
        let client = world.client();
        world.join(&[1]);
        let values = fill(&mut world, &client, 10, 5);
        let appenders = Appenders::start(&mut world, &values, 10 * MS);
        world.run_for(150 * MS);
        world.join(&[2]);
        world.run_for(500 * MS);
        world.join(&[3]);
        world.run_for(500 * MS);
        world.leave(&[2]);
        world.run_for(500 * MS);
        for group in 1..=3 {
            world.kill_group(group);
            world.run_for(100 * MS);
        }
        (1..=3).for_each(|group| world.restart_group(group));
        world.run_for(100 * MS);
        world.join(&[2]);
        world.run_for(500 * MS);
        world.leave(&[1]);
        world.run_for(500 * MS);
        world.join(&[1]);
        world.run_for(SECOND);
        let values = appenders.stop(&mut world);
        check(&mut world, &client, &values);
        world.judge();
    });
}

#[test]
fn concurrent2_4b() {
    seeds(|setup| {
        let mut world = World::start(setup);
        let client = world.client();
        world.join(&[2]);
        world.join(&[1]);
        world.join(&[3]);
        let values = fill(&mut world, &client, 10, 1);
        let appenders = Appenders::start(&mut world, &values, 50 * MS);
        world.leave(&[1]);
        world.leave(&[3]);
        world.run_for(3 * SECOND);
        world.join(&[1]);
        world.join(&[3]);
        world.leave(&[2]);
        world.run_for(3 * SECOND);
        world.join(&[2]);
        world.leave(&[1]);
        world.join(&[1]);
        world.run_for(3 * SECOND);
        world.kill_group(2);
        world.kill_group(3);
        world.run_for(SECOND);
        world.restart_group(2);
        world.restart_group(3);
        world.run_for(2 * SECOND);
        let values = appenders.stop(&mut world);
        check(&mut world, &client, &values);
        world.judge();
    });
}

#[test]
fn concurrent3_4b() {
    seeds(|setup| {
        let mut world = World::start(setup.limit(300));
        let client = world.client();
        world.join(&[1]);
        let values = fill(&mut world, &client, 10, 1);
        let appenders = Appenders::start(&mut world, &values, Duration::ZERO);
        let until = world.sim().now() + 12 * SECOND;
        while world.sim().now() < until {
            world.join(&[2]);
            world.join(&[3]);
            rest(&mut world, 900);
            (1..=3).for_each(|group| world.restart_group(group));
            rest(&mut world, 900);
            world.leave(&[2]);
            world.leave(&[3]);
            rest(&mut world, 900);
        }
        world.run_for(2 * SECOND);
        let values = appenders.stop(&mut world);
        check(&mut world, &client, &values);
        world.judge();
    });
}

fn rest(world: &mut World, below_ms: u64) {
    let ms = world.rng.u64(0..below_ms);
    world.run_for(Duration::from_millis(ms));
}
