//! The bytes of format 1, for ever: commands and snapshots in files, requests and replies as a peer sees
//! them. When one of these tests fails, the format has changed: give it another number.
//!
//! `SHARDCTRLER_GOLDEN=write cargo test -p shardctrler --test golden` writes files that are missing.

mod common;

use std::fmt::Write as _;
use std::path::PathBuf;

use bytes::Bytes;
use common::log::{Log, restore, settings, snapshot};
use common::single::{Single, address};
use common::{groups, join, leave, move_shard, rebalance, servers, set_servers, weighing};
use kv::command::{SessionId, Ticket};
use raft_core::{GroupId, LogIndex, Service};
use shardctrler::{Clerk, ClerkConfig, ConfigNumber, Limits, ServerConfig, ShardId, command};

/// Compares with the file; each line is one message in hexadecimal digits, after its name.
fn check(file: &str, messages: &[(String, Vec<u8>)]) {
    let mut text = String::new();
    for (name, bytes) in messages {
        write!(text, "{name}: ").expect("a string");
        bytes.iter().for_each(|byte| write!(text, "{byte:02x}").expect("a string"));
        text.push('\n');
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    match std::fs::read_to_string(&path) {
        Ok(golden) => assert_eq!(text, golden, "{file}"),
        Err(_) if std::env::var_os("SHARDCTRLER_GOLDEN").is_some() => {
            std::fs::write(&path, text).expect("written");
        }
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

fn commands() -> Vec<(String, Bytes)> {
    let ticket = |seq| Ticket { session: SessionId(LogIndex(2)), seq, acked: seq.min(3) };
    let changes = [
        ("join", join([1, 300])),
        ("join with a weight", weighing(3, 1_000)),
        ("move", move_shard(9, 300)),
        ("set servers", set_servers(1, &["x", "y"])),
        ("rebalance", rebalance([(1, 2), (3, 1)])),
        ("leave", leave([1, 3])),
        ("refused", leave([7])),
    ];
    let mut commands = vec![
        ("found".into(), command::found(1_000, &settings(10, Limits::default()))),
        ("open".into(), command::open_session(1_001, 3_600_000)),
    ];
    for (at, (name, change)) in changes.iter().enumerate() {
        let at = at as u64;
        commands.push(((*name).into(), command::change(1_002 + at, ticket(at + 1), change)));
    }
    commands
}

#[test]
fn commands_of_format_1() {
    let bytes: Vec<_> = commands().into_iter().map(|(name, data)| (name, data.to_vec())).collect();
    check("commands-1.txt", &bytes);
}

#[test]
fn a_snapshot_of_format_1() {
    let mut log = Log::unfounded();
    let unfounded = snapshot(&log.controller, 1 << 20);
    for (_, data) in commands() {
        log.apply(data).expect("a turn");
    }
    let bytes = snapshot(&log.controller, 1 << 20);
    check("snapshot-1.txt", &[("unfounded".into(), unfounded), ("snapshot".into(), bytes.clone())]);
    assert_eq!(restore(&bytes, 9).expect("restored").digest(), log.controller.digest());
}

#[tokio::test(start_paused = true)]
async fn requests_and_replies_of_format_1() {
    let mut limits = Limits::default();
    limits.history_max = 6;
    let single = Single::start(ServerConfig::new(settings(10, limits))).await;
    let caller = single.caller();
    let mut config = ClerkConfig::default();
    config.calls.seed = 1;
    let clerk = Clerk::new(caller.clone(), [address(1)], config);
    clerk.join(groups([1, 2])).await.expect("joined");
    clerk.move_shard(ShardId(3), GroupId(2)).await.expect("moved");
    clerk.set_servers(GroupId(1), servers(1, &["b"])).await.expect("set");
    clerk.rebalance([(GroupId(2), 3)].into()).await.expect("rebalanced");
    clerk.leave([GroupId(1)]).await.expect("left");
    clerk.leave([GroupId(1)]).await.expect_err("refused");
    clerk.newest().await.expect("answered");
    clerk.query(ConfigNumber(1)).await.expect("answered");
    clerk.watch(ConfigNumber(3)).await.expect("answered");
    let short = clerk.with_deadline(std::time::Duration::from_millis(100));
    short.watch(ConfigNumber(5)).await.expect("answered");
    clerk.join(groups([3])).await.expect("joined");
    clerk.query(ConfigNumber(0)).await.expect_err("gone");
    let mut messages = caller.messages();
    // What a client of this version never asks for.
    for request in [&b"\x02"[..], &b"\x01\x09\0\0\0\0"[..]] {
        messages.push(("request".into(), request.to_vec()));
        let reply = single.server.call(Bytes::from_static(request)).await;
        messages.push(("reply".into(), reply.to_vec()));
    }
    check("wire-1.txt", &messages);
}
