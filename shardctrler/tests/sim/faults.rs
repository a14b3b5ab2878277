//! Clients that change everything at once while the network loses, doubles and delays, nodes crash, lose
//! power, stop for a while and are cut off: what the clients were told must be what one controller, doing
//! one thing after the other, would have told them.

use std::time::Duration;

use raft_core::GroupId;
use raft_sim::checker::{self, Verdict};
use raft_sim::cluster::Wire;
use raft_sim::history::Recorder;
use raft_sim::net::PerMille;
use raft_sim::{ClusterConfig, Keep};
use shardctrler::{Change, Clerk, ClerkError, ConfigNumber, Limits};
use tokio::time::sleep;

use super::model::{Controlling, Input, Told};
use super::world::{Client, Job, MS, SECOND, Seed, World};
use crate::common::{join, leave, move_shard, rebalance, set_servers, weighing};

const CLIENTS: usize = 4;
const OPERATIONS: usize = 30;

/// What one run had.
#[derive(Default, Debug)]
struct Coverage {
    operations: usize,
    unknown: usize,
    configurations: usize,
    elections: u64,
    crashes: u64,
    restores: u64,
}

fn config(seed: u64) -> ClusterConfig {
    let mut config = ClusterConfig::new(seed, 3 + 2 * (seed % 2));
    config.snapshot_bytes = Some(2_000);
    if seed.is_multiple_of(3) {
        config.wire = Wire::Streams;
    }
    config
}

fn input(rng: &mut fastrand::Rng) -> Input {
    let id = rng.u64(1..8);
    Input::Change(match rng.u32(0..20) {
        0..5 => join([id]),
        5 => join([id, id + 1]),
        6 => weighing(id, rng.u32(1..4)),
        7..11 => leave([id]),
        11..14 => move_shard(rng.u16(0..10), id),
        14 => set_servers(id, &["a", "b", "c"][..rng.usize(1..4)]),
        15 => rebalance([(id, rng.u32(1..4))]),
        16..18 => return Input::Newest,
        _ => return Input::Number(ConfigNumber(rng.u64(0..40))),
    })
}

async fn ask(clerk: &Clerk, input: &Input) -> Result<Told, ClerkError> {
    let told = match input {
        Input::Change(change) => clerk.change(change).await.map(Told::Changed),
        Input::Newest => clerk.newest().await.map(Told::Configuration),
        Input::Number(number) => clerk.query(*number).await.map(Told::Configuration),
    };
    match told {
        Err(ClerkError::Refused(refusal)) => Ok(Told::Refused(refusal)),
        told => told,
    }
}

/// A client's operations, one after the other.
async fn work(clerk: Clerk, recorder: Recorder<Input, Told>, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut client = recorder.client();
    for _ in 0..OPERATIONS {
        sleep(Duration::from_millis(rng.u64(0..400))).await;
        let input = input(&mut rng);
        let deadline = Duration::from_millis(rng.u64(300..3_000));
        let call = client.call(input.clone());
        match ask(&clerk.with_deadline(deadline), &input).await {
            Ok(told) => call.returned(told),
            Err(ClerkError::NotDone(_)) => call.had_no_effect(),
            // Never noted: its outcome is unknown.
            Err(ClerkError::Unknown(_)) => {}
            Err(ClerkError::Refused(_)) => unreachable!("an answer"),
        }
    }
}

fn disturb(world: &mut World) {
    let nodes = world.cluster.len();
    let at = world.cluster.sim().rng().usize(0..nodes);
    match world.cluster.sim().rng().u32(0..12) {
        0 | 1 => world.cluster.kill(at),
        2 => world.cluster.power_loss(at, Keep::RandomSectors),
        3 | 4 => world.cluster.isolate(at),
        5 => world.cluster.rejoin(at),
        6 => {
            if let Some(leader) = world.cluster.leader() {
                world.cluster.isolate(leader);
            }
        }
        7 => {
            if let Some(leader) = world.cluster.leader() {
                world.cluster.kill(leader);
            }
        }
        8 => {
            let host = world.cluster.host(at);
            world.cluster.sim().pause(host);
        }
        _ => world.cluster.net().heal(),
    }
    // Whoever is down or paused comes back, sooner or later.
    for at in 0..nodes {
        if world.cluster.sim().rng().u32(0..3) == 0 {
            revive(world, at);
        }
    }
}

fn revive(world: &mut World, at: usize) {
    let host = world.cluster.host(at);
    world.cluster.sim().resume(host);
    if !world.cluster.is_up(at) {
        world.cluster.restart(at);
    }
}

fn run(seed: u64) -> Coverage {
    let mut world = World::start(config(seed), Limits::default());
    world.cluster.net().change_links(|link| {
        link.latency = (MS, 20 * MS);
        (link.loss, link.duplicates, link.detours) = (PerMille(30), PerMille(20), PerMille(10));
    });
    let recorder = Recorder::new();
    let clients: Vec<Client> = (0..CLIENTS).map(|_| world.client()).collect();
    let jobs: Vec<Job<()>> = clients
        .iter()
        .map(|client| {
            let (recorder, seed) = (recorder.clone(), world.cluster.sim().rng().u64(..));
            world.begin(client, |clerk| work(clerk, recorder, seed))
        })
        .collect();
    while !jobs.iter().all(Job::is_done) {
        disturb(&mut world);
        let pause = world.cluster.sim().rng().u64(50..1_500);
        world.cluster.run_for(Duration::from_millis(pause));
        world.cluster.check().expect("no invariant of the group is broken");
        assert!(world.cluster.sim().now() < 600 * SECOND, "the clients end by their deadlines");
    }
    end(&mut world, &recorder);

    let history = recorder.history();
    let model = Controlling(world.judge.configurations());
    let verdict = checker::check(&model, &history, &checker::Limits::default());
    assert!(matches!(verdict, Verdict::Linearizable), "{verdict:?}");
    let seen = world.cluster.coverage();
    Coverage {
        operations: history.len(),
        unknown: history.unknown(),
        configurations: model.0.len(),
        elections: seen.elections,
        crashes: seen.crashes,
        restores: seen.restores,
    }
}

/// Without faults, everybody goes on, and all replicas end alike.
fn end(world: &mut World, recorder: &Recorder<Input, Told>) {
    world.cluster.net().heal();
    world.cluster.net().change_links(|link| {
        (link.loss, link.duplicates, link.detours) =
            (PerMille::NEVER, PerMille::NEVER, PerMille::NEVER);
    });
    (0..world.cluster.len()).for_each(|at| revive(world, at));
    let client = world.client();
    let (recorder, last) = (recorder.clone(), join([90]));
    let number = world.ask(&client, |clerk| async move {
        let mut client = recorder.client();
        let call = client.call(Input::Change(last.clone()));
        let number = clerk.change(&last).await.expect("changed");
        call.returned(Told::Changed(number));
        let call = client.call(Input::Newest);
        call.returned(Told::Configuration(clerk.newest().await.expect("answered")));
        number
    });
    let alike = world.cluster.run_until(30 * SECOND, |cluster| {
        (0..cluster.len()).all(|at| {
            let newest = cluster.peek(at, |it| it.newest().map(|newest| newest.number()));
            newest == Some(Some(number))
        })
    });
    assert!(alike.reached(), "some replica did not get to {number}");
    let leader = world.cluster.leader().expect("one leads");
    let groups = world.cluster.peek(leader, |it| it.newest().expect("founded").groups().clone());
    assert!(groups.is_some_and(|groups| groups.contains_key(&GroupId(90))));
}

#[test]
fn what_clients_are_told_is_linearizable() {
    let mut all = Coverage::default();
    for seed in 100..120 {
        let _seed = Seed(seed);
        let one = run(seed);
        assert!(one.operations > CLIENTS * OPERATIONS / 2, "{one:?}");
        all.operations += one.operations;
        all.unknown += one.unknown;
        all.configurations += one.configurations;
        all.elections += one.elections;
        all.crashes += one.crashes;
        all.restores += one.restores;
    }
    eprintln!("{all:?}");
    // A run that exercised too little has shown nothing.
    assert!(all.unknown > 20 && all.elections > 100 && all.crashes > 100, "{all:?}");
    assert!(all.configurations > 400 && all.restores > 20, "{all:?}");
}

/// The same with a history that is cut short all the time: replicas that come back have missed
/// configurations for ever, and agree on which.
#[test]
fn replicas_agree_on_what_is_forgotten() {
    let mut compacted = 0;
    for seed in 200..205 {
        let _seed = Seed(seed);
        let mut limits = Limits::default();
        limits.history_max = 4;
        let mut world = World::start(config(seed), limits);
        let client = world.client();
        for round in 0..12 {
            disturb(&mut world);
            let mut rng = world.cluster.sim().rng().clone();
            let changes: Vec<Change> = (0..3)
                .filter_map(|_| match input(&mut rng) {
                    Input::Change(change) => Some(change),
                    Input::Newest | Input::Number(_) => None,
                })
                .collect();
            let job = world.begin(&client, |clerk| async move {
                for change in changes {
                    let _ = clerk.with_deadline(2 * SECOND).change(&change).await;
                }
            });
            world.cluster.run_for(SECOND);
            world.cluster.net().heal();
            (0..world.cluster.len()).for_each(|at| revive(&mut world, at));
            world.finish(&job);
            assert!(round > 0 || !world.judge.configurations().is_empty());
        }
        compacted += world.judge.compacted();
    }
    assert!(compacted > 100, "{compacted}");
}
