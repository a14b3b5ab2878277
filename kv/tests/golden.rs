//! The bytes of format 1, for ever: commands and snapshots in files, requests and replies as a peer sees
//! them. When one of these tests fails, the format has changed: give it another number.
//!
//! `KV_GOLDEN=write cargo test -p kv --test golden` writes files that are missing.

#![allow(unreachable_pub)]

mod common;
#[path = ""]
mod clients {
    #[path = "common"]
    pub mod common {
        pub mod cluster;
    }
}

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use clients::common::cluster::{Cluster, address};
use common::{Log, append, put, restore, snapshot};
use kv::command::{self, SessionId, Ticket};
use kv::{Clerk, ClerkConfig, Expect, Op, Scan, ServerConfig, StoreConfig};
use raft_core::{Address, BoxFuture, CallError, Caller, LogIndex};

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
        Err(_) if std::env::var_os("KV_GOLDEN").is_some() => {
            std::fs::write(&path, text).expect("written");
        }
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

fn commands() -> Vec<(String, Bytes)> {
    let ticket = |seq| Ticket { session: SessionId(LogIndex(1)), seq, acked: seq.min(2) };
    let cas = |expect, then| Op::CompareAndSet { key: b"k", expect, then };
    let ops: [(&str, Op<'_>); 6] = [
        ("put", put(b"k", b"v")),
        ("append", append(b"k", b"w")),
        ("delete", Op::Delete { key: b"gone" }),
        ("swap absent", cas(Expect::Absent, Some(b"x"))),
        ("swap value", cas(Expect::Value(b"vw"), Some(b"y"))),
        ("swap version", cas(Expect::Version(LogIndex(6)), None)),
    ];
    let mut commands = vec![("open".into(), command::open_session(1_000, 3_600_000))];
    for (at, (name, op)) in ops.into_iter().enumerate() {
        let at = at as u64;
        commands.push((name.into(), command::write(1_001 + at, ticket(at + 1), op)));
    }
    let both = [put(b"a", &[0, 0xff]), append(b"a", b"")];
    commands.push(("batch".into(), command::batch(1_300, ticket(7), &both)));
    commands
}

#[test]
fn commands_of_format_1() {
    let bytes: Vec<_> = commands().into_iter().map(|(name, data)| (name, data.to_vec())).collect();
    check("commands-1.txt", &bytes);
}

#[test]
fn a_snapshot_of_format_1() {
    let mut log = Log::new(StoreConfig::default());
    for (_, data) in commands() {
        log.apply(data).expect("a turn");
    }
    let bytes = snapshot(&log.store, 1 << 20);
    check("snapshot-1.txt", &[("snapshot".into(), bytes.clone())]);
    assert_eq!(restore(&bytes, 9).expect("restored").digest(), log.store.digest());
}

/// Keeps what goes over the wire.
struct Recorder {
    cluster: Cluster,
    messages: Mutex<Vec<(String, Vec<u8>)>>,
}

impl Caller for Recorder {
    fn call(&self, to: &Address, request: Bytes) -> BoxFuture<'_, Result<Bytes, CallError>> {
        let to = to.clone();
        Box::pin(async move {
            let reply = self.cluster.call(&to, request.clone()).await?;
            let mut messages = self.messages.lock().expect("a lock");
            messages.push((format!("to {to}"), request.to_vec()));
            messages.push((format!("from {to}"), reply.to_vec()));
            Ok(reply)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn requests_and_replies_of_format_1() {
    let cluster = Cluster::new(ServerConfig::default());
    let messages = Mutex::new(Vec::new());
    let recorder = Arc::new(Recorder { cluster: cluster.clone(), messages });
    let clerk = Clerk::new(recorder.clone(), (1..=3).map(address), ClerkConfig::default());
    clerk.put(b"k", b"v").await.expect("put");
    clerk.append(b"k", b"w").await.expect("append");
    clerk.compare_and_set(b"k", Expect::Absent, None).await.expect("swap");
    clerk.batch(&[Op::Delete { key: b"x" }, put(b"l", b"")]).await.expect("batch");
    clerk.get(b"k").await.expect("get");
    clerk.get(b"none").await.expect("get");
    clerk.scan(&Scan::prefix("").limit(1)).await.expect("scan");
    clerk.status(&address(2)).await.expect("status");
    // What a client of this version never asks for.
    for request in [&b"\x02"[..], &b"\x01\x09\0\0\0\0"[..]] {
        recorder.call(&address(3), Bytes::from_static(request)).await.expect("a reply");
    }
    let messages = std::mem::take(&mut *recorder.messages.lock().expect("a lock"));
    check("wire-1.txt", &messages);
}
