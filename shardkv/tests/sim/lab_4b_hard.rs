//! The scenarios of MIT's lab 4B on a bad network, and its challenges.

use std::time::Duration;

use super::fleet::World;
use super::load::{Appenders, append, check, fill};
use super::setup::{MS, SECOND, Setup, seeds};

#[test]
fn unreliable1_4b() {
    seeds(|setup| {
        let mut world = World::start(setup.unreliable().limit(100));
        let client = world.client();
        world.join(&[1]);
        let mut values = fill(&mut world, &client, 10, 5);
        world.join(&[2]);
        world.join(&[3]);
        world.leave(&[1]);
        for _ in 0..2 {
            check(&mut world, &client, &values);
            append(&mut world, &client, &mut values, 5);
        }
        world.join(&[1]);
        world.leave(&[2]);
        for _ in 0..2 {
            check(&mut world, &client, &values);
            append(&mut world, &client, &mut values, 5);
        }
        world.judge();
    });
}

/// The changes of the labs' unreliable tests.
fn six_changes(world: &mut World) {
    world.run_for(150 * MS);
    world.join(&[2]);
    world.run_for(500 * MS);
    world.join(&[3]);
    world.run_for(500 * MS);
    world.leave(&[2]);
    world.run_for(500 * MS);
    world.leave(&[1]);
    world.run_for(500 * MS);
    world.join(&[1]);
    world.join(&[2]);
    world.run_for(2 * SECOND);
}

#[test]
fn unreliable2_4b() {
    seeds(|setup| {
        let mut world = World::start(setup.unreliable().limit(100));
        let client = world.client();
        world.join(&[1]);
        let values = fill(&mut world, &client, 10, 5);
        let appenders = Appenders::start(&mut world, &values, Duration::ZERO);
        six_changes(&mut world);
        let values = appenders.stop(&mut world);
        check(&mut world, &client, &values);
        world.judge();
    });
}

#[test]
fn unreliable3_4b() {
    seeds(|setup| {
        let mut world = World::start(setup.unreliable().limit(100));
        let client = world.client();
        world.join(&[1]);
        fill(&mut world, &client, 10, 5);
        let jobs = super::faults::mixed(&mut world, 10, 10, 40);
        six_changes(&mut world);
        world.finish_all(&jobs);
        assert!(world.judge() > 300);
    });
}

#[test]
fn challenge1_delete_4b() {
    seeds(|setup| {
        let mut world = World::start(setup.limit(1));
        let client = world.client();
        world.join(&[1]);
        let values = fill(&mut world, &client, 30, 1000);
        for key in 0..3_usize {
            check(&mut world, &client, &values[..key]);
        }
        for _ in 0..2 {
            world.join(&[2]);
            world.run_for(3 * SECOND);
            world.join(&[3]);
            world.run_for(3 * SECOND);
            world.leave(&[1]);
            world.run_for(3 * SECOND);
            world.leave(&[3]);
            world.run_for(3 * SECOND);
            let number = world.join(&[1]);
            world.settle(&[1, 2, 3], number);
            world.leave(&[2]);
            let number = world.newest().number();
            world.settle(&[1, 2, 3], number);
        }
        // Something to be written, so that the last snapshots are taken.
        for _ in 0..3 {
            let values = values[..3].to_vec();
            for (key, value) in values.into_iter().enumerate() {
                world
                    .ask(
                        &client,
                        |mut client| async move { client.put(key.to_string(), value).await },
                    )
                    .expect("put");
            }
        }
        world.run_for(3 * SECOND);
        let stored = (1..=3).flat_map(|group| world.stored(group));
        let total: u64 = stored.map(|(log, snapshot)| log + snapshot).sum();
        assert!(total <= 117_000, "{total} bytes on nine servers");
        check(&mut world, &client, &values);
        world.judge();
    });
}

/// Two groups share the shards; one of them dies, and then all shards are to be the other's.
fn one_of_two_dies(setup: Setup) -> (World, Vec<(usize, bool)>) {
    let mut world = World::start(setup.unreliable().limit(100));
    let client = world.client();
    world.join(&[1]);
    fill(&mut world, &client, 10, 5);
    let number = world.join(&[2]);
    world.settle(&[1, 2], number);
    let config = world.newest();
    let keys = (0..10)
        .map(|key: usize| {
            (key, config.owner_of(key.to_string().as_bytes()).map(|it| it.0) == Some(2))
        })
        .collect();
    (world, keys)
}

#[test]
fn challenge2_unaffected_4b() {
    seeds(|setup| {
        let (mut world, keys) = one_of_two_dies(setup);
        let client = world.client();
        world.kill_group(1);
        world.leave(&[1]);
        world.run_for(SECOND);
        for (key, was_there) in keys {
            if was_there {
                let job = world.begin(&client, |mut client| async move {
                    client.put(key.to_string(), "new").await.expect("put");
                    client.get(key.to_string()).await
                });
                let found = world.finish(&job);
                assert_eq!(found.expect("answered").as_deref(), Some("new"));
            }
        }
        world.judge();
    });
}

#[test]
fn challenge2_partial_4b() {
    seeds(|setup| {
        let mut world = World::start(setup.unreliable().limit(100));
        let client = world.client();
        world.join(&[1, 2, 3]);
        let values = fill(&mut world, &client, 10, 5);
        let number = world.newest().number();
        world.settle(&[1, 2, 3], number);
        let before = world.newest();
        // The shards of a dead and of a living group go to the third.
        world.kill_group(3);
        world.leave(&[1, 3]);
        world.run_for(SECOND);
        let after = world.newest();
        for (key, value) in values.into_iter().enumerate() {
            let name = key.to_string();
            let was = before.owner_of(name.as_bytes()).map(|it| it.0);
            assert_eq!(after.owner_of(name.as_bytes()).map(|it| it.0), Some(2));
            if was != Some(3) {
                let job = world.begin(&client, |mut client| async move { client.get(name).await });
                assert_eq!(world.finish(&job).expect("answered"), Some(value));
            }
        }
        world.judge();
    });
}
