//! A workload, and the slow second implementation it is checked against.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::sync::Arc;

use bytes::Bytes;
use raft_core::{
    ClusterId, Entry, GroupId, HardState, Incarnation, LogId, LogIndex, Membership, NodeId,
    Payload, Persisted, SnapshotChunk, SnapshotMeta, Storage, StorageError, Suffix, Term, Write,
    WriteOp, WriteSeq,
};
use raft_sim::{Keep, Mount, SimDisk};
use raft_storage::{Identity, MemoryStorage, Wal, WalOptions};

pub const IDENTITY: Identity =
    Identity { cluster: ClusterId(7), node: NodeId(1), incarnation: Incarnation(0x5eed) };

pub const SMALL: WalOptions = WalOptions { segment_bytes: 4096, segments_max: 4, fill_bytes: 1024 };

pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(test)
}

pub async fn open(disk: &SimDisk) -> Result<Wal, StorageError> {
    open_mount(&disk.mount()).await
}

pub async fn open_mount(mount: &Mount) -> Result<Wal, StorageError> {
    Wal::open(Arc::new(mount.clone()), IDENTITY, SMALL).await
}

/// A disk that holds what a loss of power leaves of this one.
pub fn after(disk: &SimDisk, seed: u64, keep: Keep) -> SimDisk {
    let after = SimDisk::of_image(seed, &disk.image());
    after.power_loss(keep);
    after
}

pub fn id(term: u64, index: u64) -> LogId {
    LogId::new(Term(term), LogIndex(index))
}

pub fn command(term: u64, index: u64, data: impl Into<Bytes>) -> Entry {
    Entry { id: id(term, index), payload: Payload::Command(data.into()) }
}

pub fn write(group: u64, op: WriteOp) -> Write {
    Write { group: GroupId(group), seq: WriteSeq(1), op }
}

pub fn hard_state(group: u64, term: u64) -> Write {
    let state = HardState { term: Term(term), voted_for: Some(NodeId(term % 3)) };
    write(group, WriteOp::HardState(state))
}

pub fn meta(last: LogId) -> SnapshotMeta {
    SnapshotMeta { last, membership: Membership::of_voters([1, 2, 3].map(NodeId)) }
}

pub fn chunk(data: &[u8], offset: usize, len: usize) -> SnapshotChunk {
    let total = data.len() as u64;
    let data = Bytes::copy_from_slice(&data[offset..data.len().min(offset + len)]);
    SnapshotChunk { offset: offset as u64, total, checksum: crc32fast::hash(&data), data }
}

pub fn receive(group: u64, last: LogId, chunk: SnapshotChunk, suffix: Suffix) -> Write {
    write(group, WriteOp::Receive { meta: meta(last), chunk, suffix })
}

pub async fn take_snapshot(
    store: &dyn Storage,
    group: u64,
    last: LogId,
    data: Vec<u8>,
) -> Result<(), StorageError> {
    let mut writer = store.create_snapshot(GroupId(group), meta(last)).await?;
    writer.write(data.into()).await?;
    writer.finish().await
}

pub async fn load(store: &dyn Storage, groups: u64) -> Result<Vec<Persisted>, StorageError> {
    let mut all = Vec::new();
    for group in 1..=groups {
        all.push(store.load(GroupId(group)).await?);
    }
    Ok(all)
}

/// What counts of a state: entries that a snapshot covers may or may not be there.
pub fn normal(mut state: Persisted) -> Persisted {
    if let Some(last) = state.snapshot.as_ref().map(|meta| meta.last) {
        state.log.retain(|entry| entry.id.index > last.index);
        state.compacted = last;
    }
    state
}

pub fn normal_all(states: Vec<Persisted>) -> Vec<Persisted> {
    states.into_iter().map(normal).collect()
}

/// One thing that a node does with its store.
#[derive(Clone, Debug)]
pub enum Step {
    Write(Vec<Write>),
    Snapshot(u64, LogId, Vec<u8>),
}

impl Step {
    pub async fn run(&self, store: &dyn Storage) -> Result<(), StorageError> {
        match self {
            Self::Write(writes) => store.write(writes.clone()).await,
            Self::Snapshot(group, last, data) => {
                take_snapshot(store, *group, *last, data.clone()).await
            }
        }
    }
}

#[derive(Clone, Default)]
struct GroupState {
    term: u64,
    /// Terms of the entries from `first` on.
    first: u64,
    terms: Vec<u64>,
    snapshot: u64,
}

/// A random history that a correct core might write.
pub fn workload(seed: u64, groups: u64, len: usize) -> Vec<Step> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let first = GroupState { term: 0, first: 1, terms: Vec::new(), snapshot: 0 };
    let mut states = vec![first; groups as usize];
    let mut steps = Vec::new();
    while steps.len() < len {
        let group = rng.u64(1..=groups);
        let state = &mut states[group as usize - 1];
        let last = state.first + state.terms.len() as u64 - 1;
        match rng.u32(0..20) {
            0..=12 => {
                let mut writes = Vec::new();
                for _ in 0..rng.u32(1..4) {
                    let group = rng.u64(1..=groups);
                    append(&mut rng, group, &mut states[group as usize - 1], &mut writes);
                }
                steps.push(Step::Write(writes));
            }
            13..=17 if last > state.snapshot && last >= state.first => {
                let at = rng.u64(state.snapshot.max(state.first - 1) + 1..=last);
                let id = id(state.terms[(at - state.first) as usize], at);
                steps.push(Step::Snapshot(group, id, vec![at as u8; rng.usize(0..2000)]));
                state.snapshot = at;
                steps.push(Step::Write(vec![write(group, WriteOp::Compact(id))]));
                state.terms.drain(..(at + 1 - state.first) as usize);
                state.first = at + 1;
            }
            18 if state.term > 0 => {
                let at = last + rng.u64(1..5);
                let data = vec![at as u8; rng.usize(1..3000)];
                for offset in (0..data.len()).step_by(700) {
                    let part = chunk(&data, offset, 700);
                    steps.push(Step::Write(vec![receive(
                        group,
                        id(state.term, at),
                        part,
                        Suffix::Discard,
                    )]));
                }
                (state.first, state.snapshot) = (at + 1, at);
                state.terms.clear();
            }
            _ => {}
        }
    }
    steps
}

fn append(rng: &mut fastrand::Rng, group: u64, state: &mut GroupState, writes: &mut Vec<Write>) {
    if state.term == 0 || rng.u32(0..4) == 0 {
        state.term += 1;
        writes.push(hard_state(group, state.term));
    }
    if rng.u32(0..4) == 0 {
        let cut = rng.usize(0..=state.terms.len().min(3));
        state.terms.truncate(state.terms.len() - cut);
    }
    let count = rng.u64(1..4);
    let begin = state.first + state.terms.len() as u64;
    let entries = (begin..begin + count).map(|index| {
        let payload = match rng.u32(0..8) {
            0 => Payload::Noop,
            1 => Payload::Membership(Box::new(meta(LogId::ZERO).membership)),
            _ => Payload::Command(vec![index as u8; rng.usize(0..300)].into()),
        };
        Entry { id: id(state.term, index), payload }
    });
    writes.push(write(group, WriteOp::Append(entries.collect())));
    state.terms.extend(std::iter::repeat_n(state.term, count as usize));
}

/// The state after each step, beginning with the empty one.
pub async fn history(steps: &[Step], groups: u64) -> Vec<Vec<Persisted>> {
    let model = MemoryStorage::new();
    let mut states = vec![load(&model, groups).await.expect("the model works")];
    for step in steps {
        step.run(&model).await.expect("the model works");
        states.push(normal_all(load(&model, groups).await.expect("the model works")));
    }
    states
}
