//! The server on one node: what it answers, what it bounds, and what it does with bytes that make no sense.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::log::settings;
use common::single::{Single, address};
use common::{groups, join, load, servers};
use kv::{Cause, ClerkError as Error};
use proptest::prelude::*;
use raft_core::{Address, BoxFuture, CallError, Caller, ClusterId, GroupId, Role, Service};
use raft_storage::MemoryStorage;
use shardctrler::{
    Change, Clerk, ClerkConfig, ClerkError, ConfigNumber, Group, Limits, Refusal, ServerConfig,
    Settings, ShardCount, ShardId,
};
use tokio::time::{Instant, sleep, timeout};

fn config() -> ServerConfig {
    ServerConfig::new(settings(10, Limits::default()))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn every_operation_over_the_wire() -> Result<(), ClerkError> {
    let single = Single::start(config()).await;
    let clerk = single.clerk();
    let zero = clerk.newest().await?;
    assert_eq!((zero.number(), zero.cluster()), (ConfigNumber::ZERO, common::CLUSTER));
    assert_eq!(clerk.join(groups([1, 2])).await?, ConfigNumber(1));
    assert_eq!(clerk.move_shard(ShardId(0), GroupId(2)).await?, ConfigNumber(2));
    assert_eq!(clerk.set_servers(GroupId(1), servers(1, &["a", "b"])).await?, ConfigNumber(3));
    let weights = BTreeMap::from([(GroupId(2), 4)]);
    assert_eq!(clerk.rebalance(weights).await?, ConfigNumber(4));
    assert_eq!(clerk.leave([GroupId(1)]).await?, ConfigNumber(5));
    let loads = [1, 2, 3, 4, 5].map(ConfigNumber).map(|number| clerk.query(number));
    let mut seen = Vec::new();
    for query in loads {
        seen.push(load(&query.await?));
    }
    let expected: [&[(u64, usize)]; 5] =
        [&[(1, 5), (2, 5)], &[(1, 4), (2, 6)], &[(1, 4), (2, 6)], &[(1, 2), (2, 8)], &[(2, 10)]];
    assert_eq!(seen, expected.map(|loads| loads.iter().copied().collect()));
    let third = clerk.query(ConfigNumber(3)).await?;
    assert_eq!(third.group(GroupId(1)).map(|it| &it.servers), Some(&servers(1, &["a", "b"])));
    assert_eq!(clerk.query(ConfigNumber(77)).await?, clerk.newest().await?);
    assert_eq!(clerk.watch(ConfigNumber(4)).await?, Some(clerk.newest().await?));
    let refused = clerk.leave([GroupId(9)]).await;
    assert_eq!(refused, Err(Refusal::UnknownGroup { group: GroupId(9) }.into()));

    let status = clerk.status(&address(1)).await?;
    assert_eq!((status.newest, status.oldest), (ConfigNumber(5), ConfigNumber::ZERO));
    assert_eq!((status.role, status.sessions, status.watchers), (Role::Leader, 1, 0));
    assert_eq!(status.cluster, Some((common::CLUSTER, common::shards(10))));
    assert_eq!(status.digest, single.group.peek(|_, controller| controller.digest()));
    Ok(())
}

/// A node that is started with other settings on the same store: the cluster is what it was.
#[tokio::test(start_paused = true)]
async fn a_cluster_is_made_once() -> Result<(), ClerkError> {
    let storage = MemoryStorage::new();
    let first = Single::build(config(), &storage, 1, |_| ()).await;
    first.lead().await;
    first.clerk().join(groups([1])).await?;
    first.node.shutdown().await;
    let mut other = Settings::new(ClusterId(99), ShardCount::default());
    other.limits.groups_max = 1;
    let second = Single::build(ServerConfig::new(other), &storage, 1, |_| ()).await;
    second.lead().await;
    let clerk = second.clerk();
    clerk.join(groups([2])).await?;
    let newest = clerk.newest().await?;
    assert_eq!((newest.cluster(), newest.shard_count().get()), (common::CLUSTER, 10));
    assert_eq!(newest.number(), ConfigNumber(2));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn many_first_requests_make_one_cluster() {
    let single = Single::start(config()).await;
    let mut calls = tokio::task::JoinSet::new();
    for group in 1..=20 {
        let clerk = single.clerk();
        calls.spawn(async move { clerk.join(groups([group])).await });
    }
    let mut numbers: Vec<_> =
        calls.join_all().await.into_iter().map(|done| done.expect("joined")).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=20).map(ConfigNumber).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn watchers_are_bounded_and_their_places_are_given_back() -> Result<(), ClerkError> {
    let mut config = config();
    config.watchers_max = 2;
    let single = Single::start(config).await;
    let clerk = single.clerk();
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let clerk = single.clerk();
            tokio::spawn(async move { clerk.watch(ConfigNumber::ZERO).await })
        })
        .collect();
    sleep(seconds(1) / 2).await;
    assert_eq!(clerk.status(&address(1)).await?.watchers, 2);
    // Those who wait ask again each second, and keep their places but for a moment.
    let short = clerk.with_deadline(seconds(1) / 4);
    assert_eq!(short.watch(ConfigNumber::ZERO).await, Err(Error::NotDone(Cause::Overloaded)));
    clerk.join(groups([1])).await?;
    for watcher in waiting {
        let found = watcher.await.expect("no panic")?.expect("a configuration");
        assert_eq!(found.number(), ConfigNumber(1));
    }
    assert_eq!(clerk.status(&address(1)).await?.watchers, 0);
    // What is there already needs no place; a watcher that is gone has none.
    assert!(short.watch(ConfigNumber::ZERO).await?.is_some());
    for _ in 0..5 {
        let gone = timeout(seconds(1) / 4, clerk.watch(ConfigNumber(1))).await;
        assert!(gone.is_err());
    }
    assert_eq!(clerk.status(&address(1)).await?.watchers, 0);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_tells_those_who_wait() {
    let single = Single::start(config()).await;
    let clerk = single.clerk().with_deadline(seconds(5));
    clerk.newest().await.expect("founded");
    let waiting = tokio::spawn({
        let clerk = clerk.clone();
        async move {
            let begun = Instant::now();
            (clerk.watch(ConfigNumber::ZERO).await, begun.elapsed())
        }
    });
    sleep(seconds(1) / 2).await;
    single.node.shutdown().await;
    assert_eq!(clerk.newest().await, Err(Error::NotDone(Cause::Stopped)));
    let (answer, _) = waiting.await.expect("no panic");
    assert_eq!(answer, Err(Error::NotDone(Cause::Stopped)));
    let changed = clerk.join(groups([1])).await;
    assert_eq!(changed, Err(Error::NotDone(Cause::Stopped)));
}

#[tokio::test(start_paused = true)]
async fn without_a_leader_nothing_is_done_and_the_status_is_told() -> Result<(), ClerkError> {
    let single = Single::build(config(), &MemoryStorage::new(), 3, |_| ()).await;
    let clerk = single.clerk().with_deadline(seconds(3));
    let nobody = Error::NotDone(Cause::NoLeader);
    assert_eq!(clerk.newest().await, Err(nobody.clone()));
    assert_eq!(clerk.join(groups([1])).await, Err(nobody.clone()));
    assert_eq!(clerk.watch(ConfigNumber::ZERO).await, Err(nobody));
    let status = clerk.status(&address(1)).await?;
    assert_eq!((status.cluster, status.newest), (None, ConfigNumber::ZERO));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_refused_wherever_it_is_noticed() {
    let raft = |config: &mut raft_core::Config| config.command_bytes_max = 10_000;
    let single = Single::build(config(), &MemoryStorage::new(), 1, raft).await;
    single.lead().await;
    let caller = single.caller();
    let clerk = Clerk::new(caller.clone(), [address(1)], ClerkConfig::default());
    // By the log.
    let refused = clerk.join(groups(1..=1_000)).await;
    let Err(Error::Refused(Refusal::CommandTooLarge { bytes, bytes_max })) = refused else {
        panic!("{refused:?}");
    };
    assert!(bytes > bytes_max && bytes_max == 10_000);
    // By the state machine.
    let long = |name: usize| Group::new([(1.into(), "x".repeat(name).as_str().into())]);
    let refused = clerk.join([(GroupId(1), long(256))].into()).await;
    assert!(matches!(refused, Err(Error::Refused(Refusal::AddressTooLong { .. }))), "{refused:?}");
    // By the clerk: nothing is sent.
    caller.messages();
    let refused = clerk.join([(GroupId(1), long(3 << 20))].into()).await;
    let too_large = |bytes: &u64| *bytes > 3 << 20;
    assert!(
        matches!(&refused, Err(Error::Refused(Refusal::ConfigurationTooLarge { bytes, bytes_max }))
            if too_large(bytes) && *bytes_max == 2 << 20),
        "{refused:?}"
    );
    assert!(caller.messages().is_empty());
    // By the server, when a client sends it all the same.
    let mut request = vec![1, 0, 0xff, 0xff, 0, 0];
    request.resize(3 << 20, 0);
    let reply = single.server.call(request.into()).await;
    assert_eq!(reply[..4], [1, 0, 2, 12], "a fault: refused as too large");
}

/// Requests of every kind.
async fn requests() -> (Single, Vec<Vec<u8>>) {
    let single = Single::start(config()).await;
    let caller = single.caller();
    let clerk = Clerk::new(caller.clone(), [address(1)], ClerkConfig::default());
    clerk.join(groups([1, 2])).await.expect("joined");
    let changes =
        [common::move_shard(1, 2), common::set_servers(1, &["a"]), common::rebalance([(1, 2)])];
    for change in changes.iter().chain([&Change::Leave([GroupId(1)].into())]) {
        clerk.change(change).await.expect("changed");
    }
    clerk.newest().await.expect("answered");
    clerk.query(ConfigNumber(1)).await.expect("answered");
    clerk.watch(ConfigNumber(1)).await.expect("answered");
    clerk.status(&address(1)).await.expect("answered");
    let messages = caller.messages().into_iter();
    let requests = messages.filter(|(name, _)| name == "request").map(|(_, bytes)| bytes);
    (single, requests.collect())
}

fn paused<T>(test: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().expect("a runtime").block_on(test)
}

/// Any bytes get an answer in time, and do no more than a request could.
#[test]
fn any_request_is_answered() {
    paused(async {
        let (single, good) = requests().await;
        let mut rng = fastrand::Rng::with_seed(1);
        let mut done = 0;
        for _ in 0..20_000 {
            let mut request = good[rng.usize(0..good.len())].clone();
            for _ in 0..rng.usize(1..4) {
                let at = rng.usize(0..request.len());
                request[at] = rng.u8(..);
            }
            if rng.u32(0..8) == 0 {
                request.truncate(rng.usize(0..request.len()));
            }
            // A second, so that a watch ends.
            if let Some(budget) = request.get_mut(2..6) {
                budget.copy_from_slice(&1_000_u32.to_le_bytes());
            }
            let answer = timeout(seconds(60), single.server.call(request.into())).await;
            let answer = answer.expect("in time");
            assert_eq!(answer[0], 1, "the format");
            done += u32::from(answer[1] == 1);
            single.group.peek(|_, controller| {
                common::reference::check(controller.newest().expect("founded")).expect("right");
            });
        }
        assert!(done > 500, "{done} of them made sense");
    });
}

/// A server that answers anything at all.
struct Liar(Bytes);

impl Caller for Liar {
    fn call(&self, _: &Address, _: Bytes) -> BoxFuture<'_, Result<Bytes, CallError>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

#[test]
fn a_watch_ends_although_the_server_does_not_wait() {
    paused(async {
        let calls = Arc::new(Liar(vec![1, 3].into())); // unchanged, at once
        let clerk = Clerk::new(calls, [address(1)], ClerkConfig::default());
        let clerk = clerk.with_deadline(seconds(5));
        assert_eq!(
            timeout(seconds(10), clerk.watch(ConfigNumber(1))).await.expect("in time"),
            Ok(None)
        );
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn a_clerk_believes_only_what_makes_sense(
        reply in proptest::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 0..40),
        known in 0..6_u8,
    ) {
        // Half of them begin as answers do.
        let reply = match known {
            0..3 => [&[1, known], &reply[..]].concat(),
            _ => reply,
        };
        let caller = Arc::new(Liar(reply.into()));
        let clerk = Clerk::new(caller, [address(1), address(2)], ClerkConfig::default());
        let clerk = clerk.with_deadline(seconds(2));
        paused(async {
            let newest = timeout(seconds(60), clerk.newest()).await.expect("in time");
            prop_assert!(!matches!(newest, Err(Error::Unknown(_))), "a read is never in doubt");
            timeout(seconds(60), clerk.change(&join([1]))).await.expect("in time").err();
            timeout(seconds(60), clerk.watch(ConfigNumber(1))).await.expect("in time").err();
            timeout(seconds(60), clerk.status(&address(1))).await.expect("in time").err();
            Ok(())
        })?;
    }
}
