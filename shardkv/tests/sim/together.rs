//! Three processes, each with a replica of all groups: one log, one connection to each other, one address.

use std::time::Duration;

use raft_core::{GroupId, NodeId};
use raft_sim::shardkv::Layout;

use super::fleet::World;
use super::load::{Appenders, check, fill};
use super::setup::{MS, Setup, seeds};

#[test]
fn groups_of_one_process_pass_shards_to_each_other() {
    seeds(|setup| {
        let mut world = World::start(Setup { layout: Layout::Together, ..setup.limit(2_000) });
        let client = world.client();
        world.join(&[1]);
        let values = fill(&mut world, &client, 20, 20);
        let appenders = Appenders::start(&mut world, &values, 20 * MS);
        let number = world.join(&[2, 3]);
        world.settle(&[1, 2, 3], number);
        for n in 0..3 {
            let group = world.rng.u64(1..=3);
            world.leave(&[group]);
            let ms = world.rng.u64(0..200);
            world.run_for(Duration::from_millis(ms));
            // The process of all groups.
            world.power_loss(1, n);
            assert!((1..=3).all(|group| !world.is_up(group, n)));
            let ms = world.rng.u64(0..800);
            world.run_for(Duration::from_millis(ms));
            world.restart(1, n);
            let number = world.join(&[group]);
            world.settle(&[1, 2, 3], number);
        }
        let values = appenders.stop(&mut world);
        check(&mut world, &client, &values);
        let at: Vec<_> = (1..=3).map(|group| world.servers(group)[&NodeId(1)].clone()).collect();
        let statuses = world.ask(&client, |client| async move {
            let mut all = Vec::new();
            for at in at {
                all.push(client.clerk.status(&at).await.expect("answered"));
            }
            all
        });
        let found: Vec<GroupId> = statuses.iter().map(|status| status.group).collect();
        assert_eq!(found, [GroupId(1), GroupId(2), GroupId(3)]);
        let shards: usize = statuses.iter().map(|status| status.shards.len()).sum();
        assert!(shards >= 9, "{statuses:?}");
        world.judge();
    });
}
