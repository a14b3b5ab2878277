//! The bytes of format 1, for ever: commands, with the parts of a shard in them as they travel, and snapshots. When
//! one of these tests fails, the format has changed: give it another number.
//!
//! `SHARDKV_GOLDEN=write cargo test -p shardkv --test golden` writes files that are missing.

mod common;

use std::fmt::Write as _;
use std::path::PathBuf;

use bytes::Bytes;
use common::{Group, History, copy, done, key_of, moving};
use kv::Op;
use kv::command::Ticket;
use raft_core::{SnapshotSource, StateMachine};
use shardctrler::ShardId;
use shardkv::{Position, command};

const S: ShardId = ShardId(0);

/// Compares with the file; each line is one message in hexadecimal digits, after its name.
fn check(file: &str, messages: &[(&str, Bytes)]) {
    let mut text = String::new();
    for (name, bytes) in messages {
        write!(text, "{name}: ").expect("a string");
        bytes.iter().for_each(|byte| write!(text, "{byte:02x}").expect("a string"));
        text.push('\n');
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    match std::fs::read_to_string(&path) {
        Ok(golden) => assert_eq!(text, golden, "{file}"),
        Err(_) if std::env::var_os("SHARDKV_GOLDEN").is_some() => {
            std::fs::write(&path, text).expect("written");
        }
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

fn snapshot(group: &Group) -> Bytes {
    let mut source: Box<dyn SnapshotSource> = group.store.snapshot();
    let mut all = Vec::new();
    while let Some(piece) = source.next_chunk(1 << 20) {
        all.extend_from_slice(&piece);
    }
    all.into()
}

#[test]
fn commands_and_snapshots_of_format_1() {
    let mut session = None;
    let (mut one, mut two, history, of) = moving(|one| {
        session = Some(one.open(S));
    });
    let session = session.expect("opened");
    let (a, b) = (key_of(&history, S, 0), key_of(&history, S, 1));
    for (seq, key) in [(1, &a), (2, &b), (3, &a)] {
        done(one.append(S, Ticket { session, seq, acked: 1 }, key, "value"));
    }
    let op = Op::Put { key: a.as_bytes(), value: b"v" };
    let ticket = Ticket { session, seq: 4, acked: 3 };
    let client = command::client(S, &kv::command::write(7, ticket, op));
    one.apply(client.clone());
    let first = one.next(of, &Position::default(), 20).expect("a chunk");
    let at = copy(&one, &mut two, of, Position::default(), 20);
    let op = Op::Delete { key: b.as_bytes() };
    done(one.client(S, &kv::command::write(9, Ticket { seq: 5, ..ticket }, op)));
    let change = one.next(of, &at, 20).expect("a change");
    let mut snapshots = vec![("leaving", snapshot(&one)), ("arriving", snapshot(&two))];
    one.apply(command::freeze(of));
    snapshots.push(("frozen", snapshot(&one)));
    let at = copy(&one, &mut two, of, at, 20);
    let install = one.next(of, &at, 20).expect_err("nothing more");
    two.transfer(command::install(&install));
    snapshots.push(("serving", snapshot(&two)));
    snapshots.push(("nothing", snapshot(&Group::new(common::ONE))));
    let newest = History::default();
    check(
        "commands-1.txt",
        &[
            ("client", client),
            ("adopt the empty one", command::adopt(newest.newest())),
            ("adopt", command::adopt(history.newest())),
            ("freeze", command::freeze(of)),
            ("stage", command::stage(&first)),
            ("stage changes", command::stage(&change)),
            ("install", command::install(&install)),
            ("delete", command::delete(of)),
        ],
    );
    check("snapshots-1.txt", &snapshots);
}

#[test]
fn anything_else_is_malformed() {
    let (one, mut two, _, of) = moving(|one| {
        one.open(S);
    });
    let chunk = one.next(of, &Position::default(), 20).expect("a chunk");
    let mut rng = fastrand::Rng::with_seed(1);
    let commands = [command::freeze(of), command::stage(&chunk), command::delete(of)];
    for command in &commands {
        for cut in 0..command.len() {
            assert!(command::read(&command[..cut]).is_err(), "cut at {cut}");
        }
        assert!(command::read(&[command, &[0][..]].concat()).is_err());
    }
    for _ in 0..20_000 {
        let mut wrong = commands[rng.usize(0..3)].to_vec();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(0..wrong.len());
            wrong[at] = rng.u8(..);
        }
        // It has an answer, and no panic.
        let _ = two.apply(wrong.into());
    }
}
