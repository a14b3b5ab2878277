//! A crash of either leader, or of both groups, at each step of a move.

use shardkv::MoveStep;

use super::fleet::World;
use super::load::{Appenders, check, fill};
use super::setup::{MS, SECOND, Setup, seeds};

/// Which node dies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Who {
    /// The one that comes to the step.
    Itself,
    /// All of both groups, as soon as one comes to the step.
    Everybody,
}

fn crash_at(setup: Setup, step: MoveStep, who: Who) {
    let mut world = World::start(setup);
    let client = world.client();
    let number = world.join(&[1]);
    world.settle(&[1], number);
    let values = fill(&mut world, &client, 10, 50);
    let appenders = Appenders::start(&mut world, &values, 5 * MS);
    world.run_for(100 * MS);
    // All nodes start anew, with the crash armed.
    let effect = format!("{step:?}");
    for group in [1, 2] {
        for n in 0..3 {
            let host = world.host(group, n);
            world.kill(group, n);
            let nth = 1 + world.setup.seed % 2;
            world.sim().crash_at(host, &effect, nth);
            world.restart(group, n);
        }
    }
    // All clients are at work again.
    world.run_for(3 * SECOND);
    let number = world.join(&[2]);
    let until = world.sim().now() + 20 * SECOND;
    let mut crashed = 0;
    while world.sim().now() < until && !(world.is_settled(1, number) && world.is_settled(2, number))
    {
        world.run_for(10 * MS);
        let dead: Vec<_> = [1, 2]
            .into_iter()
            .flat_map(|group| (0..3).map(move |n| (group, n)))
            .filter(|(group, n)| !world.is_up(*group, *n))
            .collect();
        if dead.is_empty() {
            continue;
        }
        crashed += 1;
        for group in [1, 2] {
            (0..3).for_each(|n| {
                let host = world.host(group, n);
                world.sim().disarm(host);
            });
            if who == Who::Everybody {
                (0..3).for_each(|n| world.power_loss(group, n));
            }
        }
        let ms = world.rng.u64(0..1000);
        world.run_for(ms as u32 * MS);
        for group in [1, 2] {
            (0..3).filter(|n| !world.is_up(group, *n)).collect::<Vec<_>>().into_iter().for_each(
                |n| {
                    world.restart(group, n);
                },
            );
        }
    }
    assert!(crashed > 0 || world.setup.seed % 2 == 1, "nobody came to {step:?}");
    world.settle(&[1, 2], number);
    let values = appenders.stop(&mut world);
    check(&mut world, &client, &values);
    world.judge();
}

fn each_step(who: Who) {
    seeds(|setup| {
        if setup.seed < 4 {
            for step in MoveStep::ALL {
                let mut setup = Setup { groups: 2, ..setup.clone() };
                // Many chunks, and rounds of changes.
                setup.server.transfer.chunk_bytes = 1;
                crash_at(setup, step, who);
            }
        }
    });
}

#[test]
fn either_leader_may_crash_at_any_step() {
    each_step(Who::Itself);
}

#[test]
fn both_groups_may_lose_power_at_any_step() {
    each_step(Who::Everybody);
}
