//! What stands on a disk. The first byte of each input: 1 puts the checksums right.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use raft_core::{
    ClusterId, Entry, GroupId, HardState, Incarnation, LogId, LogIndex, Membership, NodeId,
    Payload, Persisted, Storage, StorageError, Term, Write, WriteOp, WriteSeq,
};
use raft_sim::SimDisk;
use raft_storage::{Identity, Wal, WalOptions, inspect_wal, read_identity};

use crate::{seal, seeds};

/// Of the directories whose bytes the seeds are.
pub(crate) const IDENTITY: Identity =
    Identity { cluster: ClusterId(7), node: NodeId(1), incarnation: Incarnation(0x5eed) };
const SMALL: WalOptions = WalOptions { segment_bytes: 4096, segments_max: 4, fill_bytes: 1024 };
const MAGIC: &[u8] = b"RAFTWAL\0";
const IDENTITY_FILE: &str = "identity";

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(work)
}

async fn open(disk: &SimDisk) -> Result<Wal, StorageError> {
    disk.unmount();
    Wal::open(Arc::new(disk.mount()), IDENTITY, SMALL).await
}

/// A segment that was written just now, with entries of each kind and votes.
pub(crate) fn segment() -> Vec<u8> {
    let group = GroupId(1);
    let write = |op| Write { group, seq: WriteSeq(1), op };
    let hard_state = |term| {
        write(WriteOp::HardState(HardState { term: Term(term), voted_for: Some(NodeId(2)) }))
    };
    let entry =
        |term, index, payload| Entry { id: LogId::new(Term(term), LogIndex(index)), payload };
    let members = Payload::Membership(Box::new(Membership::of_voters([1, 2, 3].map(NodeId))));
    let command = || Payload::Command(Bytes::from_static(b"command"));
    let first = vec![entry(1, 1, Payload::Noop), entry(1, 2, members), entry(1, 3, command())];
    // Of a later leader, over the last of those.
    let second = vec![entry(2, 3, Payload::Noop), entry(2, 4, command())];
    run(async {
        let disk = SimDisk::new(1);
        let wal = open(&disk).await.expect("a new directory");
        wal.write(vec![hard_state(1), write(WriteOp::Append(first))]).await.expect("written");
        wal.write(vec![hard_state(2), write(WriteOp::Append(second))]).await.expect("written");
        wal.close().await;
        let bytes = disk.contents("0000000000000001.wal").expect("the first segment").to_vec();
        trimmed(&bytes).to_vec()
    })
}

/// A segment without the zeros after its last batch.
pub(crate) fn trimmed(segment: &[u8]) -> &[u8] {
    let end = segment.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &segment[..end.max(512)]
}

/// What becomes of a directory that nobody has written to: its identity, and its first segment.
fn new_directory() -> &'static [(String, Bytes)] {
    static FILES: OnceLock<Vec<(String, Bytes)>> = OnceLock::new();
    FILES.get_or_init(|| {
        run(async {
            let disk = SimDisk::new(1);
            open(&disk).await.expect("a new directory").close().await;
            let file = |name: String| disk.contents(&name).map(|bytes| (name, bytes));
            disk.names().into_iter().filter_map(file).collect()
        })
    })
}

fn disk_with(
    files: impl IntoIterator<Item = (String, Vec<u8>)>,
    also: fn(&str) -> bool,
) -> SimDisk {
    let disk = SimDisk::new(1);
    for (name, bytes) in new_directory().iter().filter(|(name, _)| also(name)) {
        disk.set_contents(name, Some(bytes.to_vec()));
    }
    for (name, bytes) in files {
        disk.set_contents(&name, Some(bytes));
    }
    disk
}

fn sealed(input: &[u8], seal: impl Fn(&mut [u8])) -> Vec<u8> {
    let Some((mode, bytes)) = input.split_first() else { return Vec::new() };
    let mut bytes = bytes.to_vec();
    if *mode == 1 {
        seal(&mut bytes);
    }
    bytes
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |it| u64::from_le_bytes(*it))
}

/// The segments of a log, one after the other: each begins with its magic bytes, and is named as its header says. A
/// log that is opened is the same when it is opened again.
pub fn log(input: &[u8]) -> bool {
    let mut segments = Vec::new();
    let bytes = input.get(1..).unwrap_or_default();
    let mut begins: Vec<usize> =
        (0..bytes.len()).filter(|at| bytes[*at..].starts_with(MAGIC)).collect();
    begins.push(bytes.len());
    for (from, to) in begins.iter().zip(&begins[1..]) {
        let with_mode = [&input[..1], &bytes[*from..*to]].concat();
        let segment = sealed(&with_mode, seal::segment);
        segments.push((format!("{:016x}.wal", u64_at(&segment, 16)), segment));
    }
    // Without its snapshots, a log that was compacted is refused.
    let snapshots = seeds::SNAPSHOTS.iter().map(|file| (snapshot_name(file), file.to_vec()));
    segments.extend(snapshots);
    let disk = disk_with(segments, |name| name == IDENTITY_FILE);
    run(async {
        let mut records = 0;
        let inspected = inspect_wal(&disk.mount(), |_| records += 1).await;
        if let Ok(inspection) = inspected {
            assert!(records >= inspection.records);
        }
        let Ok(wal) = open(&disk).await else { return false };
        let first = contents(&wal).await.expect("it was opened");
        wal.close().await;
        let wal = open(&disk).await.expect("it was opened before");
        assert_eq!(contents(&wal).await.expect("it was opened"), first);
        wal.close().await;
        !first.is_empty()
    })
}

async fn contents(wal: &Wal) -> Result<Vec<(GroupId, Persisted)>, StorageError> {
    let mut contents = Vec::new();
    for group in wal.groups().await? {
        contents.push((group, wal.load(group).await?));
    }
    Ok(contents)
}

/// What a snapshot file is called whose header says this.
fn snapshot_name(bytes: &[u8]) -> String {
    let (group, term, index) = (u64_at(bytes, 16), u64_at(bytes, 24), u64_at(bytes, 32));
    format!("snapshot-{group:016x}-{index:016x}-{term:016x}.snap")
}

/// A snapshot file, named as its header says. What can be read of it can be written and read again.
pub fn snapshot_file(input: &[u8]) -> bool {
    let bytes = sealed(input, seal::snapshot_file);
    let (group, index) = (GroupId(u64_at(&bytes, 16)), u64_at(&bytes, 32));
    let disk = disk_with([(snapshot_name(&bytes), bytes)], |_| true);
    run(async {
        let Ok(wal) = open(&disk).await else { return false };
        let Ok(Some(data)) = whole(&wal, group, 1000).await else { return false };
        assert_eq!(whole(&wal, group, 7 << 10).await.expect("read before"), Some(data.clone()));
        let reader = wal.open_snapshot(group).await.expect("opened before").expect("one");
        let mut meta = reader.meta().clone();
        drop(reader);
        let Some(next) = index.checked_add(1) else { return true };
        meta.last.index = LogIndex(next);
        let mut writer = wal.create_snapshot(group, meta.clone()).await.expect("a writer");
        writer.write(data.clone()).await.expect("written");
        writer.finish().await.expect("finished");
        assert_eq!(whole(&wal, group, 1000).await.expect("just written"), Some(data));
        let reader = wal.open_snapshot(group).await.expect("opened before").expect("one");
        assert_eq!(*reader.meta(), meta);
        wal.close().await;
        true
    })
}

async fn whole(wal: &Wal, group: GroupId, piece: usize) -> Result<Option<Bytes>, StorageError> {
    let Some(mut reader) = wal.open_snapshot(group).await? else { return Ok(None) };
    let mut data = Vec::new();
    while (data.len() as u64) < reader.total() {
        let read = reader.read(data.len() as u64, piece).await?;
        assert!(!read.is_empty(), "it ends before its total");
        data.extend_from_slice(&read);
    }
    Ok(Some(data.into()))
}

/// The file that says whose directory it is.
pub fn identity(input: &[u8]) -> bool {
    let disk = SimDisk::new(1);
    disk.set_contents(IDENTITY_FILE, Some(input.to_vec()));
    run(async {
        let Ok(Some(identity)) = read_identity(&disk.mount()).await else { return false };
        let again = SimDisk::new(1);
        let wal = Wal::open(Arc::new(again.mount()), identity, SMALL).await;
        wal.expect("a new directory").close().await;
        assert_eq!(again.contents(IDENTITY_FILE).as_deref(), Some(input));
        true
    })
}
