//! Inputs that decoders understand: encodings of real values, most of them from the golden files that hold the bytes
//! of each format for ever.

use bytes::BytesMut;
use raft_transport::codec::{FrameKind, write_frame};

use crate::storage;

/// The messages of a golden file: a line is a name, a blank, and hexadecimal digits.
fn golden(file: &str) -> impl Iterator<Item = (&str, Vec<u8>)> {
    file.lines().filter_map(|line| {
        let (name, digits) = line.rsplit_once(' ')?;
        let pairs = digits.as_bytes().chunks(2);
        let bytes = pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        Some((name.trim_end_matches(':'), bytes.collect::<Option<_>>()?))
    })
}

const PROTOCOL: &str = include_str!("../../raft-transport/tests/golden/protocol-1.txt");
const KV_COMMANDS: &str = include_str!("../../kv/tests/golden/commands-1.txt");
const KV_SNAPSHOT: &str = include_str!("../../kv/tests/golden/snapshot-1.txt");
const KV_WIRE: &str = include_str!("../../kv/tests/golden/wire-1.txt");
const CTRLER_COMMANDS: &str = include_str!("../../shardctrler/tests/golden/commands-1.txt");
const CTRLER_SNAPSHOT: &str = include_str!("../../shardctrler/tests/golden/snapshot-1.txt");
const CTRLER_WIRE: &str = include_str!("../../shardctrler/tests/golden/wire-1.txt");
const SHARD_COMMANDS: &str = include_str!("../../shardkv/tests/golden/commands-1.txt");
const SHARD_SNAPSHOTS: &str = include_str!("../../shardkv/tests/golden/snapshots-1.txt");

macro_rules! golden_directory {
    ($($file:literal),* $(,)?) => {
        &[$(include_bytes!(concat!("../../raft-storage/tests/golden/", $file)).as_slice()),*]
    };
}

const SEGMENTS: &[&[u8]] = golden_directory![
    "v1/0000000000000006.wal",
    "v1/0000000000000007.wal",
    "v1/0000000000000008.wal",
    "v1/0000000000000009.wal",
    "v1/000000000000000a.wal",
];
pub(crate) const SNAPSHOTS: &[&[u8]] = golden_directory![
    "v1/snapshot-0000000000000002-0000000000000009-0000000000000002.snap",
    "v1/snapshot-0000000000000003-000000000000008c-0000000000000001.snap",
];
const IDENTITIES: &[&[u8]] = golden_directory!["v1/identity", "v1-start/identity"];

/// Those with this word in their names.
fn named(file: &'static str, word: &str) -> Vec<Vec<u8>> {
    golden(file).filter(|(name, _)| name.contains(word)).map(|(_, bytes)| bytes).collect()
}

fn with_first(byte: u8, seeds: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<Vec<u8>> {
    seeds.into_iter().map(|seed| [&[byte], seed.as_ref()].concat()).collect()
}

/// The payloads of messages between nodes, and the frames of the handshake.
fn protocol() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    golden(PROTOCOL).map(|(_, bytes)| bytes).partition(|bytes| !bytes.starts_with(b"RT"))
}

pub(crate) fn frames() -> Vec<Vec<u8>> {
    let (messages, frames) = protocol();
    let mut stream = BytesMut::new();
    for (kind, message) in
        [FrameKind::Raft, FrameKind::Ping, FrameKind::Reply].iter().zip(&messages)
    {
        let wrote = write_frame(&mut stream, *kind, 1 << 16, |out| out.extend_from_slice(message));
        wrote.expect("it is short");
    }
    let mut seeds = with_first(0x84, &frames);
    seeds.extend(with_first(0x10, [&stream[..], &stream[..stream.len() - 1]]));
    seeds
}

pub(crate) fn handshake() -> Vec<Vec<u8>> {
    protocol().1.into_iter().map(|frame| frame[16..].to_vec()).collect()
}

pub(crate) fn envelopes() -> Vec<Vec<u8>> {
    let mut seeds = protocol().0;
    seeds.push(seeds.concat());
    seeds
}

pub(crate) fn addressed() -> Vec<Vec<u8>> {
    let request = |group: u64| [&[0x81], &group.to_le_bytes()[..], b"request"].concat();
    vec![request(7), request(8), b"10.0.0.1:7101#2".to_vec(), b"#7#18446744073709551615".to_vec()]
}

pub(crate) fn log() -> Vec<Vec<u8>> {
    let trimmed = SEGMENTS.iter().map(|segment| storage::trimmed(segment));
    let golden = trimmed.collect::<Vec<_>>().concat();
    with_first(1, [storage::segment(), golden])
}

pub(crate) fn snapshot_file() -> Vec<Vec<u8>> {
    with_first(1, SNAPSHOTS)
}

pub(crate) fn identity() -> Vec<Vec<u8>> {
    let mut seeds: Vec<_> = IDENTITIES.iter().map(|bytes| bytes.to_vec()).collect();
    seeds.dedup();
    seeds
}

pub(crate) fn kv_command() -> Vec<Vec<u8>> {
    named(KV_COMMANDS, "")
}

pub(crate) fn kv_request() -> Vec<Vec<u8>> {
    named(KV_WIRE, "to ")
}

pub(crate) fn kv_reply() -> Vec<Vec<u8>> {
    named(KV_WIRE, "from ")
}

pub(crate) fn kv_snapshot() -> Vec<Vec<u8>> {
    with_first(4, named(KV_SNAPSHOT, ""))
}

/// Pieces are the last of what stands in the chunks of a shard: after the length of the command's other parts.
pub(crate) fn kv_piece() -> Vec<Vec<u8>> {
    let kv = kv::Store::default();
    let mut pieces = Vec::new();
    for snapshot in named(KV_SNAPSHOT, "") {
        let store = crate::snapshots::restored(&kv, &snapshot, 1 << 16).expect("a snapshot");
        let (all, _) = store.export(&kv::Cursor::Start, usize::MAX);
        let (first, _) = store.export(&kv::Cursor::Start, 1);
        pieces.extend([all, first]);
    }
    pieces
}

pub(crate) fn shardctrler_command() -> Vec<Vec<u8>> {
    named(CTRLER_COMMANDS, "")
}

pub(crate) fn shardctrler_request() -> Vec<Vec<u8>> {
    named(CTRLER_WIRE, "request")
}

pub(crate) fn shardctrler_reply() -> Vec<Vec<u8>> {
    named(CTRLER_WIRE, "reply")
}

pub(crate) fn shardctrler_snapshot() -> Vec<Vec<u8>> {
    with_first(9, named(CTRLER_SNAPSHOT, ""))
}

pub(crate) fn shardkv_command() -> Vec<Vec<u8>> {
    let mut seeds = named(SHARD_COMMANDS, "");
    seeds.extend(crate::shardkv::commands().iter().map(|command| command.to_vec()));
    seeds
}

/// What a command has after its two first bytes.
fn body(name: &str) -> Vec<u8> {
    let found = golden(SHARD_COMMANDS).find(|(it, _)| *it == name);
    found.map(|(_, bytes)| bytes[2..].to_vec()).expect("it is in the golden file")
}

pub(crate) fn shardkv_request() -> Vec<Vec<u8>> {
    let ask = |frozen: u8, ask: u8, body: Vec<u8>| {
        [&[1, 4, 0xd1, 7, 0, 0, frozen, ask], &body[..]].concat()
    };
    let mut seeds = vec![
        ask(0, 0, body("freeze")),
        ask(0, 1, body("stage")),
        ask(1, 1, body("stage changes")),
        ask(1, 2, body("install")),
        vec![1, 3, 0, 0, 0, 0],
    ];
    // A read has its shard before the body that a store of one group gets.
    for request in kv_request().iter().filter(|request| request.len() > 6) {
        let shard: &[u8] = if request[1] == 2 { &[3, 0] } else { &[] };
        seeds.push([&request[..6], shard, &request[6..]].concat());
    }
    seeds
}

pub(crate) fn shardkv_reply() -> Vec<Vec<u8>> {
    let mut seeds = kv_reply();
    // Of a transfer: a position, that it is installed, that it is behind, a refusal.
    seeds.extend([
        vec![1, 1, 0, 2, 1, 1, b'k', 9],
        vec![1, 1, 1],
        vec![1, 1, 2, 5],
        vec![1, 1, 3, 4],
        // A status, with a shard that leaves.
        vec![1, 7, 3, 9, 1, 2, 30, 4, 1, 2, 1, 1, 2, 5, 50, 1, 6, 0, 0xff, 1],
    ]);
    seeds
}

pub(crate) fn shardkv_snapshot() -> Vec<Vec<u8>> {
    with_first(0x3f, named(SHARD_SNAPSHOTS, ""))
}

pub(crate) fn records() -> Vec<Vec<u8>> {
    let tsv: &[u8] = b"a\tb\n\\x00\\t\\\\\t\\n\\r\xc3\xa9\n\nlast\tline";
    let ndjson: &[u8] =
        b"{\"key\":\"a\",\"value\":\"b\"}\n{\"key_b64\":\"/w==\",\"value_b64\":\"AA==\"}\n";
    vec![tsv.to_vec(), ndjson.to_vec(), b"\n\r\n-\ntext".to_vec()]
}

pub(crate) fn node_request() -> Vec<Vec<u8>> {
    vec![
        // To describe itself; to join, without a cluster or a number.
        vec![2, 0],
        vec![2, 2, 0, 0, 9, 3, b'h', b':', b'1'],
        // Probe, host, members.
        vec![2, 3, 1],
        vec![2, 4, 1, 9],
        vec![2, 5, 1],
        // Adds a learner, replaces a node, hands leadership over.
        vec![2, 6, 1, 0, 4, 1, 3, b'h', b':', b'1', 0, 1, 5, 9],
        vec![2, 6, 1, 3, 4, 5, 0, 0, 9],
        vec![2, 7, 1, 2],
    ]
}

pub(crate) fn node_reply() -> Vec<Vec<u8>> {
    let replica = [1, 3, 9, 1, 2, 30, 29, 31, 30, 1, 20, 0xff, 1, 2, 0xee, 1, 4];
    let shards = [1, 2, 1, 1, 2, 5, 50];
    let group = [&[1, 1, 2, 3, b'h', b':', b'1'][..], &replica, &shards].concat();
    vec![
        [&[2, 0, 7, 1, 0, 2, 0, 0, 0][..], &group].concat(),
        vec![2, 0, 7, 1, 1, 0],
        // Probed, hosted, changed, refused.
        vec![2, 3, 7, 1, 9, 1],
        vec![2, 4, 0],
        vec![2, 6, 0, 5],
        vec![2, 6, 1, 2, 5],
        vec![2, 7, 0],
    ]
}

pub(crate) fn jepsen_log() -> Vec<Vec<u8>> {
    let log = "INFO  jepsen.util - 0\t:invoke\t:cas\t[3 4]\nINFO  jepsen.util - 1\t:invoke\t:read\tnil\n\
               INFO  jepsen.util - 1\t:ok\t:read\t3\nINFO  jepsen.util - 0\t:info\t:cas\t:timed-out\n\
               INFO  jepsen.util - 2\t:invoke\t:write\t2\nINFO  jepsen.util - 2\t:ok\t:write\t2\n";
    vec![log.into(), log.replace(":ok", ":fail").into()]
}

pub(crate) fn kv_log() -> Vec<Vec<u8>> {
    let log = "{:process 0, :type :invoke, :f :append, :key \"x\", :value \"1\"}\n\
               {:process 1, :type :invoke, :f :get, :key \"x\", :value nil, :time 7}\n\
               {:process 0, :type :ok, :f :append, :key \"x\", :value \"1\", :index 7, :length 1}\n\
               {:process 1, :type :ok, :f :get, :key \"x\", :value \"1\", :version 7}\n\
               {:process 0, :type :invoke, :f :cas, :key \"x\", :expect 7, :value \"\\xff\\n\"}\n\
               {:process 0, :type :ok, :f :cas, :key \"x\", :expect 7, :value \"\\xff\\n\", :swapped false, :current nil}\n\
               {:process 1, :type :invoke, :f :delete, :key \"x\"}\n\
               {:process 1, :type :info, :f :delete, :key \"x\"}\n";
    vec![log.into(), log.replace(":info", ":fail").into()]
}
