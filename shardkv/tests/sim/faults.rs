//! Clients that do a bit of everything, under faults.

use std::time::Duration;

use raft_sim::kv::Job;

use super::fleet::World;
use super::setup::{MS, SECOND, many_seeds, seeds};

/// Clients that read, put, append and delete the same keys, so many times each.
pub fn mixed(world: &mut World, clients: usize, keys: usize, rounds: usize) -> Vec<Job<()>> {
    let mut jobs = Vec::new();
    for name in 0..clients {
        let (client, mut rng) = (world.client(), world.rng.fork());
        jobs.push(world.begin(&client, |mut client| async move {
            for round in 0..rounds {
                let (key, value) = (rng.usize(0..keys).to_string(), format!("{name}.{round} "));
                // What becomes of it is in the history.
                match rng.u32(0..100) {
                    0..45 => drop(client.get(&key).await),
                    45..90 => drop(client.append(&key, &value).await),
                    90..95 => drop(client.delete(&key).await),
                    _ => drop(client.put(&key, &value).await),
                }
                tokio::time::sleep(Duration::from_millis(rng.u64(0..50))).await;
            }
        }));
    }
    jobs
}

/// A random change of the configuration. No group but the first is sure to be there.
fn shake(world: &mut World) {
    let config = world.newest();
    let group = world.rng.u64(1..=3);
    let joined = config.group(raft_core::GroupId(group)).is_some();
    match (joined, config.groups().len()) {
        (true, 2..) if world.rng.bool() => world.leave(&[group]),
        (true, _) => {
            let shard = world.rng.u16(0..10);
            if config.owner(shardctrler::ShardId(shard)) == Some(raft_core::GroupId(group)) {
                return;
            }
            world.move_shard(shard, group)
        }
        (false, _) => world.join(&[group]),
    };
}

/// A fault of a group, or between two of them.
fn disturb(world: &mut World, group: u64, n: usize) {
    let host = world.host(group, n);
    let leader = world.leader(group).unwrap_or(n);
    let other = world.rng.usize(0..3);
    let other = world.host(1 + group % 3, other);
    match world.rng.u32(0..12) {
        0 => world.power_loss(group, n),
        1 => world.power_loss(group, leader),
        2 => (0..3).for_each(|n| world.power_loss(group, n)),
        3 => world.sim().net().isolate(host),
        // It hears and is not heard.
        4 => world.sim().net().cut(host, other),
        5 => {
            let leader = world.host(group, leader);
            world.sim().pause(leader);
        }
        6 => world.kill_controller(n),
        7 => (0..3).for_each(|n| world.kill_controller(n)),
        8 => {
            let rate = world.rng.u32(800..1200);
            world.sim().set_rate(host, rate);
        }
        9 => {
            // Two groups that cannot reach each other.
            let (these, those) = (group, 1 + group % 3);
            for (a, b) in (0..9).map(|n| (n / 3, n % 3)) {
                let (a, b) = (world.host(these, a), world.host(those, b));
                world.sim().net().cut(a, b);
                world.sim().net().cut(b, a);
            }
        }
        _ => {}
    }
}

fn mend(world: &mut World, group: u64) {
    world.sim().net().heal();
    for n in 0..3 {
        let host = world.host(group, n);
        world.sim().resume(host);
        world.sim().set_rate(host, 1000);
        if !world.is_up(group, n) {
            world.restart(group, n);
        }
        world.restart_controller(n);
    }
}

#[test]
fn what_clients_are_told_is_linearizable_whatever_moves_and_dies() {
    many_seeds(60, |setup| {
        let setup = if setup.seed % 2 == 0 { setup.limit(500) } else { setup.unreliable() };
        let mut world = World::start(setup);
        world.join(&[1]);
        let jobs = mixed(&mut world, 6, 12, 80);
        for _ in 0..12 {
            let ms = world.rng.u64(50..900);
            world.run_for(ms as u32 * MS);
            shake(&mut world);
            let (group, n) = (world.rng.u64(1..=3), world.rng.usize(0..3));
            disturb(&mut world, group, n);
            let ms = world.rng.u64(0..700);
            world.run_for(ms as u32 * MS);
            mend(&mut world, group);
        }
        world.finish_all(&jobs);
        let number = world.newest().number();
        world.settle(&[1, 2, 3], number);
        assert!(world.judge() > 200);
        assert!(world.cluster.happened().count("keys moved") > 0, "nothing has moved");
    });
}

#[test]
fn a_move_ends_under_sustained_writes_and_does_not_stop_them() {
    seeds(|mut setup| {
        if setup.seed >= 5 {
            return;
        }
        // Writes come faster than the copy is allowed to be.
        setup.server.transfer.chunk_bytes = 500;
        setup.server.transfer.bytes_per_second = 20_000;
        setup.server.transfer.rounds_max = 4;
        let mut world = World::start(setup);
        world.join(&[1]);
        let client = world.client();
        let shard = world.newest().shard_of(b"{hot}0");
        let job = world.begin(&client, |mut client| async move {
            for key in 0..60 {
                let value = [b'x'; 200];
                client.put(format!("{{hot}}{key}"), value).await.expect("put");
            }
        });
        world.finish(&job);
        let mut jobs = Vec::new();
        for writer in 0..8 {
            let (client, mut rng) = (world.client(), world.rng.fork());
            jobs.push(world.begin(&client, |mut client| async move {
                let mut longest = Duration::ZERO;
                for _ in 0..400 {
                    let key = format!("{{hot}}{}", rng.u32(0..60));
                    let begun = tokio::time::Instant::now();
                    let value = [b'0' + writer; 200];
                    client.put(&key, value).await.expect("put");
                    longest = longest.max(begun.elapsed());
                    tokio::time::sleep(5 * MS).await;
                }
                longest
            }));
        }
        world.run_for(500 * MS);
        world.change(shardctrler::Change::Join(
            [(raft_core::GroupId(2), shardctrler::Group::new(world.servers(2)))].into(),
        ));
        let number = world.move_shard(shard.0, 2);
        world.settle(&[1, 2], number);
        let busy = jobs.iter().filter(|job| !job.is_done()).count();
        assert!(busy > 0, "the move ended after the writes");
        let longest = world.finish_all(&jobs).into_iter().max().expect("some");
        assert!(longest < 2 * SECOND, "a write took {longest:?}");
        world.judge();
    });
}

#[test]
fn what_nobody_owns_is_kept_for_the_next() {
    seeds(|setup| {
        let mut world = World::start(setup);
        let client = world.client();
        world.join(&[1]);
        let values = super::load::fill(&mut world, &client, 10, 5);
        let number = world.leave(&[1]);
        world.settle(&[1], number);
        let number = world.join(&[2]);
        world.settle(&[1, 2], number);
        super::load::check(&mut world, &client, &values);
        world.judge();
    });
}
