//! What clients see of groups that come, go and do not answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kv::rpc::{self, Answer, Fault, Read};
use kv::{ClerkError, Op, Scan};
use raft_core::{Address, Caller};
use raft_sim::net::{Kind, Verdict};
use raft_transport::GroupCaller;
use shardctrler::ShardId;
use shardkv::{MoveStep, Refusal};

use super::fleet::World;
use super::load::{Appenders, check, fill};
use super::setup::{MS, SECOND, seeds};

#[test]
fn batches_are_of_one_shard_and_scans_go_over_all() {
    seeds(|setup| {
        let mut world = World::start(setup);
        let client = world.client();
        let number = world.join(&[1, 2, 3]);
        world.settle(&[1, 2, 3], number);
        world.ask(&client, |client| async move {
            let clerk = &client.clerk;
            let put = |key: &'static str| Op::Put { key: key.as_bytes(), value: b"v" };
            let done = clerk.batch(&[put("{a}1"), put("{a}2")]).await.expect("one shard");
            assert!(matches!(done.outcome, kv::BatchOutcome::Applied(_)));
            let crossing = clerk.batch(&[put("foo"), put("bar"), put("baz")]).await;
            assert_eq!(crossing, Err(ClerkError::Refused(Refusal::CrossShard)));
            assert_eq!(clerk.get(b"foo").await, Ok(None), "nothing of it was done");
            assert!(clerk.batch(&[]).await.is_ok());
            let beyond = clerk.scan(ShardId(10), &Scan::prefix("")).await;
            let refusal = Refusal::NoSuchShard { shard: 10, count: 10 };
            assert_eq!(beyond, Err(ClerkError::Refused(refusal)));
            let large = vec![0; 2 << 20];
            let refused = clerk.put(b"k", &large).await;
            assert!(matches!(refused, Err(ClerkError::Refused(Refusal::Store(_)))));
            for key in 0..50 {
                clerk.put(format!("key{key}").as_bytes(), b"v").await.expect("put");
            }
            let mut pages = clerk.pages(Scan::prefix("key").limit(3));
            let mut found = BTreeMap::new();
            while let Some(page) = pages.next().await {
                let (shard, page) = page.expect("a page");
                assert!(page.entries.len() <= 3);
                for (key, ..) in page.entries {
                    let config = clerk.configuration().expect("known");
                    assert_eq!(config.shard_of(&key), shard);
                    assert_eq!(found.insert(key, ()), None, "once");
                }
            }
            assert_eq!(found.len(), 50);
        });
    });
}

/// A group refuses what it does not own, whoever asks.
#[test]
fn rejection_5a() {
    seeds(|mut setup| {
        // The stranger sends messages.
        setup.streams = false;
        let mut world = World::start(setup);
        let client = world.client();
        let number = world.join(&[1, 2]);
        world.settle(&[1, 2], number);
        fill(&mut world, &client, 10, 5);
        let config = world.newest();
        let host = world.sim().add_host("stranger");
        let answers = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let (tell, asked) = (answers.clone(), config.clone());
        let servers = world.servers(1);
        world.sim().start(host, move |process| async move {
            let caller = GroupCaller::new(Arc::new(process.caller()));
            for key in 0..10 {
                for address in servers.values() {
                    let key = key.to_string();
                    let shard = asked.shard_of(key.as_bytes());
                    let reply = get(&caller, address, shard, &key).await;
                    if let Some(found) = reply {
                        tell.lock().expect("whole").push((key, found));
                    }
                }
            }
            std::future::pending().await
        });
        world.run_for(5 * SECOND);
        let answers = answers.lock().expect("whole").clone();
        assert_eq!(answers.len(), 10, "the leader answers all, and nobody else");
        for (key, served) in answers {
            let owner = config.owner_of(key.as_bytes()).map(|group| group.0);
            assert_eq!(served, owner == Some(1), "key {key}");
        }
    });
}

/// Whether a node serves the key; nothing when it does not lead.
async fn get(caller: &dyn Caller, to: &Address, shard: ShardId, key: &str) -> Option<bool> {
    let mut request = rpc::request(1, 2, 64);
    request[2..6].copy_from_slice(&1_000_u32.to_le_bytes());
    request.extend_from_slice(&shard.0.to_le_bytes());
    let request = rpc::encode(request, &Read::Get { key: key.as_bytes() });
    let reply = caller.call(to, request.into()).await.expect("a reply");
    match rpc::read_reply::<Refusal>(&reply).expect("a reply") {
        Answer::Value(found) => Some(found.is_some()),
        Answer::Fault(Fault::WrongGroup(_)) => Some(false),
        Answer::Fault(Fault::NotLeader(_)) => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_clerk_waits_for_the_first_group_and_no_longer_than_it_may() {
    seeds(|setup| {
        let mut world = World::start(setup);
        let client = world.client();
        let early = world.ask(&client, |client| async move {
            let begun = tokio::time::Instant::now();
            let clerk = client.clerk.with_deadline(2 * SECOND);
            (clerk.put(b"k", b"v").await, clerk.get(b"k").await, begun.elapsed())
        });
        assert!(matches!(early.0, Err(ClerkError::NotDone(_))), "{early:?}");
        assert!(matches!(early.1, Err(ClerkError::NotDone(_))), "{early:?}");
        assert!(early.2 < 5 * SECOND, "{early:?}");
        let job = world.begin(&client, |mut client| async move { client.put("k", "v").await });
        world.run_for(SECOND);
        world.join(&[1]);
        world.finish(&job).expect("put");
        world.judge();
    });
}

#[test]
fn groups_serve_without_a_controller() {
    seeds(|setup| {
        let mut world = World::start(setup);
        let client = world.client();
        let number = world.join(&[1, 2, 3]);
        world.settle(&[1, 2, 3], number);
        let values = fill(&mut world, &client, 10, 5);
        (0..3).for_each(|n| world.kill_controller(n));
        world.run_for(100 * SECOND);
        check(&mut world, &client, &values);
        (1..=3).for_each(|group| world.restart_group(group));
        check(&mut world, &client, &values);
        (0..3).for_each(|n| world.restart_controller(n));
        let number = world.leave(&[2]);
        world.settle(&[1, 2, 3], number);
        check(&mut world, &client, &values);
        world.judge();
    });
}

/// The longest that a write took while a shard with so many keys moved.
fn pause(setup: super::setup::Setup, keys: usize) -> Duration {
    let mut world = World::start(setup);
    let client = world.client();
    let number = world.join(&[1]);
    world.settle(&[1], number);
    let config = world.newest();
    let shard = config.shard_of(b"{hot}");
    let job = world.begin(&client, |client| async move {
        for batch in 0..keys / 100 {
            let names: Vec<String> = (0..100).map(|n| format!("{{hot}}{batch}.{n}")).collect();
            let value = [b'x'; 64];
            let puts = names.iter().map(|key| Op::Put { key: key.as_bytes(), value: &value });
            let ops: Vec<Op<'_>> = puts.collect();
            client.clerk.batch(&ops).await.expect("done");
        }
    });
    world.finish(&job);
    let number = world.change(shardctrler::Change::Join(
        [(raft_core::GroupId(2), shardctrler::Group::new(world.servers(2)))].into(),
    ));
    world.settle(&[1, 2], number);
    let owner = world.newest().owner(shard).expect("owned").0;
    let mut writers = Vec::new();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    for writer in 0..16 {
        let (client, stop) = (world.client(), stop.clone());
        writers.push(world.begin(&client, |client| async move {
            let mut longest = Duration::ZERO;
            client.clerk.get(b"{hot}").await.expect("the configuration is known");
            let key = format!("{{hot}}0.{writer}");
            client.clerk.put(key.as_bytes(), b"first").await.expect("the session is open");
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let begun = tokio::time::Instant::now();
                client.clerk.put(key.as_bytes(), &[b'y'; 64]).await.expect("put");
                longest = longest.max(begun.elapsed());
                tokio::time::sleep(10 * MS).await;
            }
            longest
        }));
    }
    world.run_for(SECOND);
    let before = world.steps(MoveStep::Walking);
    let number = world.move_shard(shard.0, 3 - owner);
    world.settle(&[1, 2], number);
    let chunks = world.steps(MoveStep::Walking) - before;
    assert!(chunks as usize >= keys * 64 / (64 << 10), "{chunks} chunks");
    world.run_for(SECOND);
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    world.finish_all(&writers).into_iter().max().expect("some")
}

#[test]
fn the_pause_does_not_grow_with_the_shard() {
    seeds(|setup| {
        if setup.seed < 3 {
            let small = pause(setup.clone(), 100);
            let large = pause(setup, 10_000);
            eprintln!("pause with 100 keys {small:?}, with 10,000 keys {large:?}");
            assert!(large <= 2 * small, "{small:?} and {large:?}");
        }
    });
}

/// Chunks and their replies are delayed, so that they come late and in any order.
#[test]
fn late_chunks_of_a_leader_that_leads_no_more_do_no_harm() {
    seeds(|mut setup| {
        setup.server.transfer.chunk_bytes = 1;
        setup.server.transfer.calls.attempt_timeout = 50 * MS;
        // Requests that overtake each other, which streams have none of.
        (setup.groups, setup.streams) = (2, false);
        let mut world = World::start(setup);
        let client = world.client();
        world.join(&[1]);
        let values = fill(&mut world, &client, 20, 20);
        let appenders = Appenders::start(&mut world, &values, 20 * MS);
        let mut rng = world.rng.fork();
        let groups: Vec<_> = (1..=2).flat_map(|g| (0..3).map(move |n| (g, n))).collect();
        let hosts: Vec<_> = groups.into_iter().map(|(g, n)| world.host(g, n)).collect();
        world.sim().net().set_filter(move |letter| {
            let between = hosts.contains(&letter.from) && hosts.contains(&letter.to);
            let transfer = matches!(letter.kind, Kind::Request | Kind::Reply) && between;
            match transfer && rng.u32(0..3) == 0 {
                true => Verdict::Delay(Duration::from_millis(rng.u64(0..400))),
                false => Verdict::Pass,
            }
        });
        for round in 0..4 {
            let number = if round % 2 == 0 { world.join(&[2]) } else { world.leave(&[2]) };
            world.run_for(100 * MS);
            if let Some(leader) = world.leader(1 + round % 2) {
                let host = world.host(1 + round % 2, leader);
                world.sim().pause(host);
                world.run_for(SECOND);
                world.sim().resume(host);
            }
            world.settle(&[1, 2], number);
        }
        let values = appenders.stop(&mut world);
        check(&mut world, &client, &values);
        world.judge();
    });
}

/// Those who may not wait are sent to and fro, and lose nothing by it.
#[test]
fn whoever_finds_no_place_to_wait_tries_again() {
    seeds(|mut setup| {
        setup.server.parked_max = 1;
        setup.clerk.calls.backoff_max = 20 * MS;
        setup.server.transfer.chunk_bytes = 1;
        let mut world = World::start(setup);
        let client = world.client();
        world.join(&[1]);
        let values = fill(&mut world, &client, 10, 5);
        let appenders = Appenders::start(&mut world, &values, Duration::ZERO);
        for groups in [[2, 3], [2, 3]] {
            let number = world.join(&groups);
            world.settle(&[1, 2, 3], number);
            let number = world.leave(&groups);
            world.settle(&[1, 2, 3], number);
        }
        let values = appenders.stop(&mut world);
        check(&mut world, &client, &values);
        world.judge();
    });
}
