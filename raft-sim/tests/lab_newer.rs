//! What the labs of 2024 and 2025 have that concerns one group: versioned puts whose outcome may be unknown, and
//! the replicated state machine's `Submit`. Memory per value and per client is measured in `kv`'s own tests.

mod kv_support;

use kv::command::Ticket;
use kv::raw::AttemptError;
use kv::{ClerkError, Expect, Op, SwapOutcome};
use kv_support::{Net, SECOND, World, millis, seeds};
use raft_sim::cluster::address_of;
use raft_sim::kv::{KvClient, SimClerk};

/// What became of a client's puts.
#[derive(Clone, Copy, Default, Debug)]
struct Puts {
    done: u64,
    /// The labs' `ErrMaybe`.
    maybe: u64,
}

/// Raises a number by versioned puts, for so many attempts.
async fn raise(mut clerk: SimClerk, attempts: u32) -> Puts {
    let mut puts = Puts::default();
    for _ in 0..attempts {
        let Ok(read) = clerk.get("n").await else { continue };
        let (number, expect) = match &read {
            None => (0, Expect::Absent),
            Some(read) => {
                let number = std::str::from_utf8(&read.value).expect("a text");
                (number.parse().expect("a number"), Expect::Version(read.version))
            }
        };
        let more = (number + 1_u64).to_string();
        match clerk.compare_and_set("n", expect, Some(more.as_bytes())).await {
            Ok(swap) => puts.done += u64::from(swap.outcome == SwapOutcome::Swapped),
            Err(ClerkError::Unknown(_)) => puts.maybe += 1,
            // It certainly had no effect.
            Err(ClerkError::NotDone(_) | ClerkError::Refused(_)) => {}
        }
    }
    puts
}

fn value(world: &mut World, client: KvClient, key: &'static str) -> Option<String> {
    let read =
        world.call(10 * SECOND, client, move |mut clerk| async move { clerk.get(key).await });
    read.map(|read| String::from_utf8(read.value.to_vec()).expect("a text"))
}

/// Clients that give up early are often not told. Each put that was done counts, each that may have been done
/// may count, and no other.
#[test]
fn versioned_put_with_maybe() {
    let over = seeds(|seed| {
        let mut world = World::new(seed, 3, Net::Unreliable, None);
        let last = world.kv.client();
        world.leader();
        let jobs: Vec<_> = (0..5)
            .map(|_| {
                let client = world.kv.client();
                world.kv.spawn(client, |clerk| raise(clerk.with_deadline(millis(120)), 60))
            })
            .collect();
        let puts = world.kv.finish_all(100 * SECOND, &jobs).expect("clients end");
        let done: u64 = puts.iter().map(|puts| puts.done).sum();
        let maybe: u64 = puts.iter().map(|puts| puts.maybe).sum();
        world.sleep(SECOND);
        let number = value(&mut world, last, "n").map_or(0, |text| text.parse().expect("a number"));
        assert!(done <= number, "{done} were done, and it is {number}");
        assert!(number <= done + maybe, "{done} were done, {maybe} maybe, and it is {number}");
        world.end()
    });
    over.floor(20 * 2, "puts of unknown outcome", |seen| seen.judged.unknown as u64).floor(
        20 * 20,
        "operations",
        |seen| seen.judged.operations as u64,
    );
}

/// What is submitted to a leader that is cut off fails within a second of the end of the partition, and has no
/// effect: the others have gone on.
#[test]
fn rsm_partition_4a() {
    const SUBMITS: u64 = 100;
    seeds(|seed| {
        let mut world = World::new(seed, 3, Net::Reliable, None);
        let (client, other) = (world.kv.client(), world.kv.client());
        let leader = world.leader();
        let address = address_of(world.kv.nodes().id(leader));
        let open = address.clone();
        let session = world
            .kv
            .call(SECOND, client, |clerk| async move { clerk.open_session(&open, SECOND).await });
        let session = session.expect("in time").expect("a session");
        let others: Vec<usize> = (0..3).filter(|at| *at != leader).collect();
        world.split([(&[leader], &[client]), (&others, &[other])]);
        let jobs: Vec<_> = (1..=SUBMITS)
            .map(|seq| {
                let (address, ticket) = (address.clone(), Ticket { session, seq, acked: 1 });
                world.kv.spawn(client, move |clerk| async move {
                    let op = Op::Append { key: b"lost", value: b"x" };
                    clerk.attempt(&address, ticket, op, 25 * SECOND).await
                })
            })
            .collect();
        world.put(other, "k", "the others go on");
        world.heal();
        let answers = world.kv.finish_all(SECOND, &jobs).expect("every submit has returned");
        for answer in answers {
            let failed = matches!(answer, Err(AttemptError::Unknown | AttemptError::NotLeader(_)));
            assert!(failed, "{answer:?}");
        }
        assert_eq!(value(&mut world, other, "lost"), None);
        world.end()
    });
}

/// With all servers gone, every call returns soon after its deadline.
#[test]
fn rsm_shutdown_4a() {
    seeds(|seed| {
        let mut world = World::new(seed, 3, Net::Reliable, None);
        let client = world.kv.client();
        world.put(client, "k", "0");
        let jobs: Vec<_> = (0..10)
            .map(|n| {
                let client = world.kv.client();
                world.kv.spawn(client, move |clerk| async move {
                    let mut clerk = clerk.with_deadline(10 * SECOND);
                    loop {
                        if let Err(error) = clerk.append("k", format!("{n}")).await {
                            return error;
                        }
                    }
                })
            })
            .collect();
        world.sleep(SECOND);
        world.crash_all();
        let answers = world.kv.finish_all(11 * SECOND, &jobs).expect("every call has returned");
        assert!(answers.iter().all(|answer| !matches!(answer, ClerkError::Refused(_))));
        world.restart_all();
        world.expect_prefix(client, "k", "0");
        world.end()
    });
}

/// A hundred increments are there after everything was down, once each, and the log is short.
fn replay(limit: Option<u64>) {
    let over = seeds(|seed| {
        let mut world = World::new(seed, 3, Net::Reliable, limit);
        let client = world.kv.client();
        for round in 1..=2 {
            world.call(60 * SECOND, client, |mut clerk| async move {
                for _ in 0..100 {
                    clerk.append("k", "x").await?;
                }
                Ok(())
            });
            world.crash_all();
            world.sleep(SECOND);
            world.restart_all();
            world.expect(client, "k", &"x".repeat(100 * round));
            world.check_sizes();
        }
        world.end()
    });
    let snapshots = if limit.is_some() { 20 * 20 } else { 0 };
    over.floor(snapshots, "snapshots", |seen| seen.coverage.snapshots_taken);
}

#[test]
fn rsm_restart_replay_4a() {
    replay(None);
}

#[test]
fn rsm_snapshot_4c() {
    replay(Some(1000));
}
