//! The log on a disk, without a cluster around it: entries 21 and 22 of the museum, and items 48 and 49 of the
//! catalogue.

use std::sync::{Arc, Mutex};

use raft_core::{
    ClusterId, Entry, GroupId, HardState, Incarnation, LogId, LogIndex, Membership, NodeId,
    Payload, Persisted, SnapshotMeta, Storage, StorageError, Term, Write, WriteOp, WriteSeq,
};
use raft_sim::disk::{Failure, Image, OpKind};
use raft_sim::{Keep, SimDisk};
use raft_storage::{Identity, InspectedRecord, RecordKind, Wal, WalOptions, inspect_wal};

use super::support::lock;

const GROUP: GroupId = GroupId(1);
const OPTIONS: WalOptions = WalOptions { segment_bytes: 2048, segments_max: 3, fill_bytes: 512 };

pub(crate) fn identity(cluster: u64, node: u64) -> Identity {
    let (cluster, node) = (ClusterId(cluster), NodeId(node));
    Identity { cluster, node, incarnation: Incarnation(1) }
}

pub(crate) fn run<T>(task: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().expect("a runtime").block_on(task)
}

async fn open(disk: &SimDisk) -> Result<Wal, StorageError> {
    Wal::open(Arc::new(disk.mount()), identity(7, 1), OPTIONS).await
}

async fn load(disk: &SimDisk) -> Result<Persisted, StorageError> {
    open(disk).await?.load(GROUP).await
}

fn id(index: u64) -> LogId {
    LogId::new(Term(1), LogIndex(index))
}

fn entry(index: u64) -> WriteOp {
    let command = vec![index as u8; 150];
    WriteOp::Append(vec![Entry { id: id(index), payload: Payload::Command(command.into()) }])
}

async fn write(wal: &Wal, ops: impl IntoIterator<Item = WriteOp>) -> Result<(), StorageError> {
    let write = |op| Write { group: GROUP, seq: WriteSeq(1), op };
    wal.write(ops.into_iter().map(write).collect()).await
}

/// Takes a snapshot up to an entry, and lets go of what is before it.
async fn compact(wal: &Wal, index: u64) -> Result<(), StorageError> {
    let membership = Membership::of_voters([NodeId(1)]);
    let meta = SnapshotMeta { last: id(index), membership };
    let mut writer = wal.create_snapshot(GROUP, meta).await?;
    writer.write(vec![7; 3000].into()).await?;
    writer.finish().await?;
    write(wal, [WriteOp::Compact(id(index))]).await
}

/// The last entry that was acknowledged.
type Acked = Arc<Mutex<u64>>;

/// Fills several segments, which are made anew at first and recycled later.
async fn fill(disk: &SimDisk, acked: &Acked) -> Result<(), StorageError> {
    let wal = open(disk).await?;
    let hard_state = HardState { term: Term(1), voted_for: Some(NodeId(1)) };
    write(&wal, [WriteOp::HardState(hard_state)]).await?;
    for index in 1..=50 {
        write(&wal, [entry(index)]).await?;
        *lock(acked) = index;
        if index % 12 == 0 {
            compact(&wal, index - 3).await?;
        }
    }
    wal.close().await;
    Ok(())
}

/// Everything that was acknowledged is there, and the log goes on.
async fn check(disk: &SimDisk, acked: u64, place: &str) {
    let persisted = load(disk).await.unwrap_or_else(|error| panic!("{place}: {error}"));
    let last = persisted.log.last().map_or(persisted.compacted.index, |entry| entry.id.index);
    assert!(
        last.0 >= acked && last.0 <= acked + 1,
        "{place}: {last}, and {acked} was acknowledged"
    );
    for entry in &persisted.log {
        let Payload::Command(command) = &entry.payload else { panic!("{place}: {entry:?}") };
        assert_eq!(command[..], vec![entry.id.index.0 as u8; 150], "{place}");
    }
    disk.unmount();
    let wal = open(disk).await.unwrap_or_else(|error| panic!("{place}, again: {error}"));
    write(&wal, [entry(last.0 + 1)]).await.unwrap_or_else(|error| panic!("{place}: {error}"));
}

/// Museum 21: the power goes at every effect; of what is not synced any sectors are left, and files may be as long
/// as their data would make them while the data are not there, or the other way round (redb's
/// `crash_consistency`). The store always opens, with everything that was acknowledged.
#[test]
fn m21_a_file_that_is_longer_or_shorter_than_its_data_opens() {
    let whole = SimDisk::new(1);
    let events = Arc::new(Mutex::new(0));
    let count = Arc::clone(&events);
    whole.set_hook(Arc::new(move |_| *lock(&count) += 1));
    run(fill(&whole, &Acked::default())).expect("nothing fails");
    let events = *lock(&events);
    assert!(events > 300, "{events} events");
    let (mut lengths, mut sectors, mut names) = (0, 0, 0);
    for at in 0..events {
        for seed in 0..4 {
            let (disk, acked, place) =
                (SimDisk::new(seed), Acked::default(), format!("{at}, {seed}"));
            let (killer, count) = (disk.clone(), Mutex::new(0));
            disk.set_hook(Arc::new(move |_| {
                let mut count = lock(&count);
                *count += 1;
                if *count == at {
                    killer.unmount();
                }
            }));
            run(async {
                let mount = disk.mount();
                tokio::select! {
                    biased;
                    () = mount.ended() => {}
                    outcome = fill(&disk, &acked) => outcome.expect("nothing fails"),
                }
            });
            disk.clear_hook();
            disk.power_loss(Keep::RandomSectors);
            run(check(&disk, *lock(&acked), &place));
            let losses = disk.losses();
            lengths += losses.lengths;
            sectors += losses.sectors;
            names += losses.names;
        }
    }
    assert!(lengths > 20 && sectors > 100 && names > 20, "{lengths}, {sectors}, {names}");
}

/// The last entry of [`small`].
const LAST: u64 = 5;

/// A log of a few batches in one segment, all durable; and every record in it.
async fn small() -> (Image, Vec<InspectedRecord>) {
    let disk = SimDisk::new(1);
    let wal = open(&disk).await.expect("opens");
    let hard_state = HardState { term: Term(1), voted_for: Some(NodeId(1)) };
    write(&wal, [WriteOp::HardState(hard_state)]).await.expect("written");
    for index in 1..=LAST {
        write(&wal, [entry(index)]).await.expect("written");
    }
    wal.close().await;
    disk.power_loss(Keep::Nothing);
    let mut records = Vec::new();
    let seen = inspect_wal(&disk.mount(), |record| records.push(record.clone())).await;
    assert_eq!(seen.expect("readable").damage, []);
    (disk.image(), records)
}

fn record_of(records: &[InspectedRecord], index: u64) -> &InspectedRecord {
    let of = |record: &&InspectedRecord| {
        record.kind == RecordKind::Command && record.id.index == LogIndex(index)
    };
    records.iter().rfind(of).expect("it was written")
}

/// The bytes of an entry's batch, which it has alone: the batch's header of 24 bytes, the record's of 40, the
/// payload.
fn batch_of(record: &InspectedRecord) -> std::ops::Range<u64> {
    record.offset - 24..record.offset + 40 + u64::from(record.payload_bytes)
}

/// Museum 22: a bit of a batch rots that is not the last. What is missing was acknowledged: the store is refused,
/// with the place, and is left as it is.
#[test]
fn m22_rot_before_the_last_batch_is_refused() {
    let (image, records) = run(small());
    for index in 1..LAST {
        let record = record_of(&records, index);
        for (at, offset) in batch_of(record).enumerate() {
            let disk = SimDisk::of_image(1, &image);
            disk.corrupt(&record.file, offset, 1 << (at % 8));
            let before = disk.contents(&record.file);
            match run(load(&disk)) {
                Err(StorageError::Corrupt { file, offset: found, .. }) => {
                    assert_eq!(file, record.file);
                    let (begin, end) = (batch_of(record).start, batch_of(record).end);
                    assert!((begin..end).contains(&found), "{offset} of {index} at {found}");
                }
                other => panic!("byte {offset} of entry {index}: {other:?}"),
            }
            assert_eq!(disk.contents(&record.file), before, "changed");
        }
    }
}

/// Museum 22: a bit of the last batch rots. That cannot be told from a batch that was torn by a crash and never
/// acknowledged: it is cut, and nothing else is.
#[test]
fn m22_rot_in_the_last_batch_looks_like_a_torn_batch_and_is_cut() {
    let (image, records) = run(small());
    let record = record_of(&records, LAST);
    for (at, offset) in batch_of(record).enumerate() {
        let disk = SimDisk::of_image(1, &image);
        disk.corrupt(&record.file, offset, 1 << (at % 8));
        let persisted = run(load(&disk)).expect("opens");
        assert_eq!(persisted.log.last().map(|entry| entry.id), Some(id(LAST - 1)), "byte {offset}");
        assert_eq!(persisted.hard_state.voted_for, Some(NodeId(1)));
    }
}

/// Museum 22: the last batch is torn at every byte, and was not acknowledged. It is there as a whole or not at all.
#[test]
fn m22_a_torn_batch_is_cut() {
    let (image, _) = run(small());
    // Of an entry alone, and of what the first batch after an open says besides.
    let length = (24 + 40 + 150) + (40 + 8);
    for kept in 0..=length {
        let disk = SimDisk::of_image(1, &image);
        // Power is lost when the batch is written and not synced.
        let killer = disk.clone();
        run(async {
            let wal = open(&disk).await.expect("opens");
            disk.set_hook(Arc::new(move |event| {
                if event.to_string().starts_with("before sync") {
                    killer.unmount();
                }
            }));
            let mount = disk.mount();
            tokio::select! {
                biased;
                () = mount.ended() => {}
                _ = write(&wal, [entry(LAST + 1)]) => panic!("it was synced"),
            }
        });
        disk.clear_hook();
        disk.power_loss(Keep::Bytes(kept));
        let persisted = run(load(&disk)).unwrap_or_else(|error| panic!("{kept} bytes: {error}"));
        let last = persisted.log.last().map(|entry| entry.id.index.0);
        assert_eq!(last, Some(LAST + u64::from(kept == length)), "{kept} bytes");
    }
}

/// What a log may be read as when a disk has done something else than it said: nothing that is not so. Gives whether
/// it was read.
fn is_read_rightly(disk: &SimDisk, least: u64, place: &str) -> bool {
    disk.unmount();
    let Ok(persisted) = run(load(disk)) else { return false };
    let last = persisted.log.last().map_or(persisted.compacted.index, |entry| entry.id.index);
    assert!(last.0 >= least, "{place}: {last}, and {least} was acknowledged");
    for entry in &persisted.log {
        let Payload::Command(command) = &entry.payload else { panic!("{place}: {entry:?}") };
        assert_eq!(command[..], vec![entry.id.index.0 as u8; 150], "{place}");
    }
    true
}

/// Item 48: a write goes to another place, whole and with its checksums. It is noticed, at the latest at the next
/// start; only the last batch may be taken for a torn one, and with it the one that it has overwritten.
#[test]
fn c48_a_misdirected_write_is_never_believed() {
    let whole = SimDisk::new(1);
    run(fill(&whole, &Acked::default())).expect("nothing fails");
    let (mut read, mut refused) = (0, 0);
    for nth in 1..=whole.count(OpKind::Write) {
        for offset in [0, 512, 726, 1536] {
            let (disk, acked) = (SimDisk::new(nth), Acked::default());
            disk.fail(OpKind::Write, nth, Failure::Misdirected(offset));
            let noticed = run(fill(&disk, &acked)).is_err();
            let least = lock(&acked).saturating_sub(2);
            match is_read_rightly(&disk, least, &format!("write {nth} to {offset}")) {
                true => read += 1,
                false => refused += 1,
            }
            refused += u64::from(noticed);
        }
    }
    assert!(read > 20 && refused > 100, "{read} read, {refused} refused");
}

/// Item 49: a read gets what stands somewhere else. The store is refused or right, and what is on the disk stays.
#[test]
fn c49_a_misdirected_read_is_never_believed() {
    let whole = SimDisk::new(1);
    run(fill(&whole, &Acked::default())).expect("nothing fails");
    let image = whole.image();
    let counting = SimDisk::of_image(1, &image);
    run(load(&counting)).expect("opens");
    let reads = counting.count(OpKind::Read);
    let mut refused = 0;
    for nth in 1..=reads {
        for offset in [0, 4, 512, 726, 2048] {
            let (disk, place) = (SimDisk::of_image(1, &image), format!("read {nth} at {offset}"));
            disk.fail(OpKind::Read, nth, Failure::Misdirected(offset));
            refused += u64::from(!is_read_rightly(&disk, 50, &place));
            assert!(is_read_rightly(&disk, 50, &place), "{place}: refused afterwards");
        }
    }
    assert!(reads > 5 && refused > 3 * reads, "{refused} refused of {reads} reads");
}
