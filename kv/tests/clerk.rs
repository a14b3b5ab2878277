//! The clerk against a server whose network follows a script.

#![allow(unreachable_pub)]

mod common {
    pub mod cluster;
}

use std::sync::Arc;
use std::time::Duration;

use common::cluster::{Cluster, Fate, address};
use kv::{
    BatchOutcome, Cause, Clerk, ClerkConfig, ClerkError, Expect, Op, Refusal, SESSION_WINDOW, Scan,
    ServerConfig, SwapOutcome,
};
use raft_core::Role;
use tokio::time::Instant;

fn start() -> (Cluster, Clerk) {
    let cluster = Cluster::new(ServerConfig::default());
    let clerk = cluster.clerk(ClerkConfig::default());
    (cluster, clerk)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn every_operation_over_the_wire() -> Result<(), ClerkError> {
    let (_, clerk) = start();
    assert_eq!(clerk.get(b"k").await?, None);
    let first = clerk.put(b"k", b"a").await?;
    let appended = clerk.append(b"k", b"bc").await?;
    assert_eq!(appended.length, 3);
    assert!(appended.index > first);
    let read = clerk.get(b"k").await?.expect("a value");
    assert_eq!((&read.value[..], read.version), (&b"abc"[..], appended.index));
    let swap = clerk.compare_and_set(b"k", Expect::Version(first), Some(b"x")).await?;
    assert_eq!(swap.outcome, SwapOutcome::Mismatch { current: Some(appended.index) });
    let swap = clerk.compare_and_set(b"k", Expect::Version(appended.index), Some(b"")).await?;
    assert_eq!(swap.outcome, SwapOutcome::Swapped);
    let batch =
        clerk.batch(&[Op::Delete { key: b"k" }, Op::Put { key: b"l", value: b"1" }]).await?;
    assert!(matches!(batch.outcome, BatchOutcome::Applied(outcomes) if outcomes.len() == 2));
    assert!(!clerk.delete(b"k").await?.existed);
    let page = clerk.scan(&Scan::range("", None)).await?;
    assert_eq!(page.entries.len(), 1);
    assert_eq!(page.entries[0].2, batch.index);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn pages_end() -> Result<(), ClerkError> {
    let (_, clerk) = start();
    for n in 0..10_u8 {
        clerk.put(&[b'p', n], &[n]).await?;
    }
    clerk.put(b"q", b"").await?;
    let mut pages = clerk.pages(Scan::prefix("p").limit(4));
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        sizes.push(page?.entries.len());
    }
    assert_eq!(sizes, [4, 4, 2]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_hint_is_followed_at_once_and_remembered() -> Result<(), ClerkError> {
    let (cluster, clerk) = start();
    let begun = Instant::now();
    clerk.put(b"k", b"v").await?;
    assert_eq!(begun.elapsed(), Duration::ZERO, "no pause");
    assert_eq!(cluster.calls(), 3, "a hint, the session, the write");
    clerk.put(b"k", b"w").await?;
    assert_eq!(cluster.calls(), 1);
    cluster.elect(Some(2));
    clerk.put(b"k", b"x").await?;
    assert_eq!(cluster.calls(), 2);
    Ok(())
}

/// Each way to lose a request or a reply, before and after the state machine.
#[tokio::test(start_paused = true)]
async fn a_write_is_applied_once_whatever_is_lost() -> Result<(), ClerkError> {
    let lost = [
        Fate::NotSent,
        Fate::DropRequest,
        Fate::DropReply,
        Fate::Vanish,
        Fate::Silence,
        Fate::Delay(5_000),
        Fate::Twice(3_000),
        Fate::Garbage,
        Fate::Unknown,
        Fate::Overloaded,
    ];
    for first in lost {
        for second in lost {
            let (cluster, clerk) = start();
            clerk.put(b"warm", b"").await?;
            cluster.script(&[first, second]);
            let appended = clerk.append(b"k", b"a").await?;
            assert_eq!(appended.length, 1, "{first:?}, {second:?}");
            tokio::time::sleep(seconds(20)).await;
            assert_eq!(clerk.append(b"k", b"b").await?.length, 2, "{first:?}, {second:?}");
            assert_eq!(cluster.value(b"k"), Some(b"ab".to_vec()), "{first:?}, {second:?}");
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_kept_and_the_fate_is_never_reported_wrongly() -> Result<(), ClerkError> {
    let cases = [
        (Fate::NotSent, ClerkError::NotDone(Cause::Unreachable), false),
        (Fate::Overloaded, ClerkError::NotDone(Cause::Overloaded), false),
        (Fate::DropRequest, ClerkError::Unknown(Cause::NoReply), false),
        (Fate::DropReply, ClerkError::Unknown(Cause::NoReply), true),
        (Fate::Vanish, ClerkError::Unknown(Cause::NoReply), false),
        (Fate::Silence, ClerkError::Unknown(Cause::NoReply), true),
        (Fate::Unknown, ClerkError::Unknown(Cause::NoLeader), true),
        (Fate::Garbage, ClerkError::Unknown(Cause::Protocol), false),
    ];
    for (fate, error, applied) in cases {
        let (cluster, clerk) = start();
        clerk.put(b"warm", b"").await?;
        cluster.script(&vec![fate; 10_000]);
        let begun = Instant::now();
        let result = clerk.with_deadline(seconds(3)).append(b"k", b"a").await;
        let took = begun.elapsed();
        cluster.script(&[]);
        // What the other nodes say may be the last cause; what is certain may not differ.
        let certain = |error: &ClerkError| matches!(error, ClerkError::NotDone(_));
        let found = result.expect_err("no answer");
        assert_eq!(certain(&found), certain(&error), "{fate:?}: {found}");
        assert!(took >= Duration::from_millis(2_900) && took < Duration::from_millis(3_100));
        assert_eq!(cluster.value(b"k").is_some(), applied, "{fate:?}");
        // The next call is not disturbed.
        clerk.put(b"k", b"next").await?;
        // A read that gets nothing has done nothing.
        cluster.script(&vec![fate; 10_000]);
        if !matches!(fate, Fate::Unknown | Fate::Overloaded) {
            let read = clerk.with_deadline(seconds(3)).get(b"k").await;
            assert!(matches!(read, Err(ClerkError::NotDone(_))), "{fate:?}: {read:?}");
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn without_a_leader_nothing_is_done_and_the_pauses_grow() -> Result<(), ClerkError> {
    let (cluster, clerk) = start();
    clerk.put(b"k", b"v").await?;
    cluster.elect(None);
    cluster.calls();
    let result = clerk.put(b"k", b"w").await;
    assert_eq!(result, Err(ClerkError::NotDone(Cause::NoLeader)));
    let calls = cluster.calls();
    assert!((20..60).contains(&calls), "{calls} calls in ten seconds");
    // The number that was given up may be refused from now on, and the next one works.
    cluster.elect(Some(1));
    clerk.put(b"k", b"x").await?;
    assert_eq!(cluster.value(b"k"), Some(b"x".to_vec()));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_expired_session_is_replaced_unless_the_write_is_in_doubt() -> Result<(), ClerkError> {
    let (cluster, clerk) = start();
    clerk.append(b"k", b"a").await?;
    tokio::time::sleep(seconds(2 * 3600)).await;
    assert_eq!(clerk.append(b"k", b"b").await?.length, 2, "in a new session");
    // Now the first attempt is applied, its reply lost, and the session gone before the second.
    let mut config = ClerkConfig::default();
    config.attempt_timeout = seconds(2 * 3600);
    config.deadline = seconds(5 * 3600);
    let slow = cluster.clerk(config);
    slow.put(b"warm", b"").await?;
    cluster.script(&[Fate::Silence]);
    let result = slow.append(b"k", b"c").await;
    assert_eq!(result, Err(ClerkError::Unknown(Cause::SessionExpired)));
    assert_eq!(cluster.value(b"k"), Some(b"abc".to_vec()), "applied, and not twice");
    assert_eq!(slow.append(b"k", b"d").await?.length, 4, "later calls have a new session");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn sessions_that_end_at_once_make_no_busy_loop() -> Result<(), ClerkError> {
    let mut config = ServerConfig::default();
    config.session_ttl = Duration::ZERO;
    let cluster = Cluster::new(config);
    let clerk = cluster.clerk(ClerkConfig::default());
    let result = clerk.put(b"k", b"v").await;
    assert_eq!(result, Err(ClerkError::NotDone(Cause::SessionExpired)));
    assert!(cluster.calls() < 200);
    assert_eq!(cluster.value(b"k"), None);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn many_calls_at_once_are_each_applied_once() -> Result<(), ClerkError> {
    let (cluster, clerk) = start();
    let fates = [
        Fate::Deliver,
        Fate::Delay(40),
        Fate::DropReply,
        Fate::DropRequest,
        Fate::Delay(90),
        Fate::Twice(500),
        Fate::Unknown,
    ];
    let script: Vec<_> = (0..2_000).map(|n| fates[n * n % 7 % fates.len()]).collect();
    cluster.script(&script);
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..1_000_u32 {
        let clerk = clerk.clone();
        calls.spawn(async move { (n, clerk.append(&(n % 10).to_be_bytes(), b"x").await) });
    }
    let mut lengths = std::collections::BTreeMap::<u32, Vec<u64>>::new();
    while let Some(done) = calls.join_next().await {
        let (n, appended) = done.expect("no panic");
        lengths.entry(n % 10).or_default().push(appended?.length);
    }
    for (key, mut lengths) in lengths {
        lengths.sort_unstable();
        assert_eq!(lengths, (1..=100).collect::<Vec<_>>(), "key {key}");
    }
    let state = cluster.state.lock().expect("a lock");
    assert!(state.in_flight_most <= 256, "{}", state.in_flight_most);
    assert!(state.in_flight_most > 200);
    assert_eq!(state.store.sessions(), 1, "one session, opened once");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_the_bound_wait_within_their_deadline() -> Result<(), ClerkError> {
    let cluster = Cluster::new(ServerConfig::default());
    let mut config = ClerkConfig::default();
    config.in_flight_max = 2;
    config.attempt_timeout = seconds(60);
    let clerk = cluster.clerk(config);
    clerk.put(b"warm", b"").await?;
    cluster.script(&[Fate::Vanish, Fate::Vanish]);
    let stuck = clerk.with_deadline(seconds(60));
    for _ in 0..2 {
        let stuck = stuck.clone();
        tokio::spawn(async move { stuck.put(b"k", b"v").await });
    }
    tokio::task::yield_now().await;
    let result = clerk.with_deadline(seconds(1)).put(b"k", b"w").await;
    assert_eq!(result, Err(ClerkError::NotDone(Cause::InFlight)));
    tokio::time::sleep(seconds(70)).await;
    clerk.put(b"k", b"w").await?;
    Ok(())
}

/// One call that is stuck holds the acknowledgements back; the others stop at the session's window.
#[tokio::test(start_paused = true)]
async fn a_stuck_call_stops_the_others_at_the_window_and_no_reply_is_lost() -> Result<(), ClerkError>
{
    let (cluster, clerk) = start();
    clerk.put(b"warm", b"").await?;
    cluster.script(&[Fate::Delay(1_500)]);
    let stuck = tokio::spawn({
        let clerk = clerk.clone();
        async move { clerk.append(b"stuck", b"x").await }
    });
    tokio::task::yield_now().await;
    for _ in 1..SESSION_WINDOW {
        clerk.append(b"k", b"x").await?;
    }
    let result = clerk.with_deadline(seconds(1)).append(b"k", b"x").await;
    assert_eq!(result, Err(ClerkError::NotDone(Cause::InFlight)));
    assert_eq!(clerk.append(b"k", b"x").await?.length, u64::from(SESSION_WINDOW));
    assert_eq!(stuck.await.expect("no panic")?.length, 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_gives_its_place_back() -> Result<(), ClerkError> {
    let (cluster, clerk) = start();
    clerk.put(b"warm", b"").await?;
    for _ in 0..u32::from(SESSION_WINDOW) + 10 {
        cluster.script(&[Fate::Silence]);
        let dropped = tokio::time::timeout(Duration::from_millis(1), clerk.append(b"k", b"x"));
        assert!(dropped.await.is_err());
    }
    cluster.script(&[]);
    let state = || cluster.state.lock().expect("a lock");
    clerk.append(b"k", b"x").await?;
    assert!(state().store.reply_bytes() < 500, "acknowledged: {}", state().store.reply_bytes());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn limits_are_refused_before_anything_is_sent() -> Result<(), ClerkError> {
    let (cluster, clerk) = start();
    let (key, value) = (vec![7; 64 << 10], vec![7; 1 << 20]);
    clerk.put(&key, &value).await?;
    assert_eq!(clerk.get(&key).await?.expect("a value").value, value);
    cluster.calls();
    let longer = |bytes: &[u8]| [bytes, b"x"].concat();
    let key_refused = Refusal::KeyTooLarge { bytes: 65_537, bytes_max: 65_536 };
    let value_refused = Refusal::ValueTooLarge { bytes: 1_048_577, bytes_max: 1_048_576 };
    assert_eq!(clerk.put(&longer(&key), b"").await, Err(key_refused.into()));
    assert_eq!(clerk.get(&longer(&key)).await, Err(key_refused.into()));
    assert_eq!(clerk.put(b"k", &longer(&value)).await, Err(value_refused.into()));
    assert_eq!(cluster.calls(), 0);
    // This one only the state machine can know.
    assert_eq!(clerk.append(&key, b"x").await, Err(value_refused.into()));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_server_refuses_before_the_log_what_a_clerk_lets_through() -> Result<(), ClerkError> {
    let mut config = ServerConfig::default();
    config.store.limits.value_bytes_max = 4;
    let cluster = Cluster::new(config);
    let clerk = cluster.clerk(ClerkConfig::default());
    clerk.put(b"k", b"1234").await?;
    let index = |cluster: &Cluster| cluster.state.lock().expect("a lock").index;
    let before = index(&cluster);
    let refused = Refusal::ValueTooLarge { bytes: 5, bytes_max: 4 };
    assert_eq!(clerk.put(b"k", b"12345").await, Err(refused.into()));
    assert_eq!(index(&cluster), before);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_waiting_leaves_a_doubt() -> Result<(), ClerkError> {
    let mut config = ServerConfig::default();
    config.deadline_max = Duration::from_millis(300);
    let cluster = Cluster::new(config);
    let clerk = cluster.clerk(ClerkConfig::default());
    clerk.put(b"warm", b"").await?;
    cluster.script(&[Fate::Stall]);
    assert_eq!(clerk.append(b"k", b"a").await?.length, 1, "applied once");
    cluster.script(&vec![Fate::Stall; 100]);
    let result = clerk.with_deadline(Duration::from_millis(250)).append(b"k", b"b").await;
    assert!(matches!(result, Err(ClerkError::Unknown(_))), "{result:?}");
    cluster.script(&[Fate::Stall]);
    // Here it is the server that gives up first.
    let mut begun = Instant::now();
    assert_eq!(clerk.append(b"k", b"c").await?.length, 3);
    assert!(begun.elapsed() >= Duration::from_millis(300) && begun.elapsed() < seconds(1));
    // And then nobody leads any more, so that the doubt stays.
    cluster.script(&[Fate::Stall]);
    begun = Instant::now();
    let last = tokio::spawn(async move { clerk.append(b"k", b"d").await });
    tokio::time::sleep(Duration::from_millis(10)).await;
    cluster.elect(None);
    let result = last.await.expect("no panic");
    assert_eq!(result, Err(ClerkError::Unknown(Cause::NoLeader)));
    assert!(begun.elapsed() < seconds(11));
    assert_eq!(cluster.value(b"k"), Some(b"abcd".to_vec()));
    Ok(())
}

/// A request says with each attempt what is acknowledged by then, so that the server forgets early.
#[tokio::test(start_paused = true)]
async fn a_repeated_request_acknowledges_what_was_answered_meanwhile() -> Result<(), ClerkError> {
    let (cluster, clerk) = start();
    clerk.put(b"warm", b"").await?;
    cluster.script(&[Fate::Delay(1_000), Fate::DropRequest]);
    let first = clerk.clone();
    let first = tokio::spawn(async move { first.put(b"a", b"").await });
    tokio::task::yield_now().await;
    cluster.calls();
    let (second, _) = tokio::join!(clerk.put(b"b", b""), async {
        cluster.state.lock().expect("a lock").script.push(Fate::Delay(3_000));
    });
    second?;
    first.await.expect("no panic")?;
    let spans: Vec<u8> = {
        let state = cluster.state.lock().expect("a lock");
        // Where the distance to the first unacknowledged number stands.
        state.calls.iter().map(|(_, request)| request[6 + 16]).collect()
    };
    assert_eq!(spans.first(), Some(&1), "the first is unacknowledged");
    assert_eq!(spans.last(), Some(&0), "and then it is not");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn status_is_answered_by_any_node_without_a_leader() -> Result<(), ClerkError> {
    let (cluster, clerk) = start();
    clerk.put(b"k", b"v").await?;
    let leader = clerk.status(&address(3)).await?;
    assert_eq!((leader.role, leader.keys, leader.sessions), (Role::Leader, 1, 1));
    cluster.elect(None);
    let follower = clerk.status(&address(1)).await?;
    assert_eq!((follower.role, follower.leader), (Role::Follower, None));
    assert_eq!(follower.digest, leader.digest);
    let nobody = clerk.status(&address(9)).await;
    assert_eq!(nobody, Err(ClerkError::NotDone(Cause::Unreachable)));
    cluster.script(&[Fate::Vanish]);
    let silent = clerk.with_deadline(seconds(1)).status(&address(1)).await;
    assert_eq!(silent, Err(ClerkError::NotDone(Cause::NoReply)));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_clerk_without_endpoints_says_so() {
    let cluster = Cluster::new(ServerConfig::default());
    let clerk = Clerk::new(Arc::new(cluster), [], ClerkConfig::default());
    assert_eq!(clerk.get(b"k").await, Err(ClerkError::NotDone(Cause::NoEndpoint)));
    assert_eq!(clerk.put(b"k", b"").await, Err(ClerkError::NotDone(Cause::NoEndpoint)));
}
