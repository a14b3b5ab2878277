//! Scenarios of the newer labs (2024 and 2025), for groups that do without a controller of moves.

use super::fleet::World;
use super::load::{check, fill};
use super::setup::{MS, SECOND, seeds};

/// Joins and leaves cannot end while the group is down that has the shards, and end soon after it is back;
/// whatever need not move is served all the time.
#[test]
fn moves_wait_for_a_group_that_is_down_and_end_when_it_is_back() {
    seeds(|setup| {
        let mut world = World::start(setup);
        let client = world.client();
        world.join(&[1]);
        let values = fill(&mut world, &client, 20, 20);
        let number = world.join(&[2]);
        world.settle(&[1, 2], number);
        let before = world.newest();
        world.kill_group(1);
        let number = world.join(&[3]);
        world.run_for(5 * SECOND);
        assert!(!world.is_settled(3, number), "it has got what nobody could send");
        for (key, value) in values.iter().enumerate() {
            let (name, config) = (key.to_string(), world.newest());
            let owner =
                |it: &shardctrler::Configuration| it.owner_of(name.as_bytes()).map(|it| it.0);
            // What was and is group two's, or has come from it.
            if owner(&before) == Some(2) {
                let name = name.clone();
                let found = world.ask(&client, |mut client| async move { client.get(name).await });
                assert_eq!(found.expect("answered").as_ref(), Some(value), "{:?}", owner(&config));
            }
        }
        world.restart_group(1);
        let since = world.sim().now();
        world.settle(&[1, 2, 3], number);
        assert!(world.sim().now() - since < 4 * SECOND, "it took too long");
        check(&mut world, &client, &values);
        world.judge();
    });
}

/// At least a hundred gets in four seconds of shards that do not move, of a group that moves others.
#[test]
fn shards_that_do_not_move_notice_nothing() {
    seeds(|mut setup| {
        // A copy that takes long.
        setup.server.transfer.chunk_bytes = 200;
        setup.server.transfer.bytes_per_second = 150;
        let mut world = World::start(setup);
        let client = world.client();
        world.join(&[1]);
        fill(&mut world, &client, 60, 100);
        let number = world.join(&[2]);
        world.run_for(100 * MS);
        let config = world.newest();
        let stays = |key: &usize| {
            config.owner_of(key.to_string().as_bytes()).map(|group| group.0) == Some(1)
        };
        let keys: Vec<String> = (0..60).filter(stays).map(|key| key.to_string()).collect();
        assert!(!keys.is_empty());
        let until = world.sim().now() + 4 * SECOND;
        let (mut gets, mut longest) = (0, MS);
        while world.sim().now() < until && !world.is_settled(1, number) {
            for key in keys.clone() {
                let begun = world.sim().now();
                let found = world.ask(&client, |mut client| async move { client.get(key).await });
                assert!(found.expect("answered").is_some());
                longest = longest.max(world.sim().now() - begun);
                gets += 1;
            }
        }
        assert!(gets >= 100, "{gets} gets");
        assert!(longest < 100 * MS, "a get took {longest:?}");
        world.settle(&[1, 2], number);
        world.judge();
    });
}

/// What a group has given away, it does not keep: logs and snapshots together are as large as before.
#[test]
fn what_has_moved_takes_no_room() {
    seeds(|setup| {
        let mut world = World::start(setup.limit(2_000));
        let client = world.client();
        world.join(&[1]);
        let values = fill(&mut world, &client, 60, 200);
        world.run_for(SECOND);
        let stored = |world: &World| -> u64 {
            let all = (1..=3).flat_map(|group| world.stored(group));
            all.map(|(_, snapshot)| snapshot).sum()
        };
        let before = stored(&world);
        for change in 0..6 {
            let group = 2 + change % 2;
            let number = if change < 2 { world.join(&[group]) } else { world.leave(&[group]) };
            world.settle(&[1, 2, 3], number);
            if change >= 2 {
                let number = world.join(&[group]);
                world.settle(&[1, 2, 3], number);
            }
        }
        world.leave(&[2, 3]);
        let number = world.newest().number();
        world.settle(&[1, 2, 3], number);
        for group in 1..=3 {
            // Entries without an effect, so that each takes its last snapshot.
            for _ in 0..3 {
                world.propose(group, vec![0; 3_000]);
                world.run_for(300 * MS);
            }
        }
        let after = stored(&world);
        assert!(after <= before + 10_000, "{before} bytes before, {after} after");
        check(&mut world, &client, &values);
        world.judge();
    });
}
