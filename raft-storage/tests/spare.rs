//! The file of a replaced snapshot is kept and written over: nobody may ever see the wrong bytes through it.

mod common;

use common::*;
use raft_core::{GroupId, SnapshotReader, Storage, Suffix};
use raft_sim::disk::OpKind;
use raft_sim::{Keep, SimDisk};
use raft_storage::Wal;

/// Each snapshot has bytes of its own, not a multiple of anything.
fn data(index: u64, len: usize) -> Vec<u8> {
    (0..len as u64).map(|at| (at * 7 + at / 251 + index * 31) as u8).collect()
}

async fn take(wal: &Wal, index: u64, len: usize) {
    take_snapshot(wal, 1, id(1, index), data(index, len)).await.expect("snapshot");
}

async fn reader(wal: &Wal, group: u64) -> Box<dyn SnapshotReader> {
    wal.open_snapshot(GroupId(group)).await.expect("open").expect("one is there")
}

async fn assert_reads(reader: &mut dyn SnapshotReader, index: u64, len: usize) {
    assert_eq!((reader.meta().last, reader.total()), (id(1, index), len as u64));
    // In pieces that cross the blocks.
    let want = data(index, len);
    for at in (0..len).step_by(50_000) {
        let got = reader.read(at as u64, 50_000).await.expect("read");
        assert_eq!(got, want[at..len.min(at + 50_000)], "snapshot {index} at {at}");
    }
}

#[test]
fn a_reader_survives_all_snapshots_after_its_own() {
    run(async {
        let disk = SimDisk::new(1);
        let wal = open(&disk).await.expect("open");
        take(&wal, 1, 200_000).await;
        let mut first = reader(&wal, 1).await;
        first.read(0, 10).await.expect("read");
        take(&wal, 2, 200_000).await;
        let mut second = reader(&wal, 1).await;
        for index in 3..8 {
            take(&wal, index, 150_000 + 10_000 * index as usize).await;
            assert_reads(&mut *first, 1, 200_000).await;
            assert_reads(&mut *second, 2, 200_000).await;
        }
        drop((first, second));
        assert_reads(&mut *reader(&wal, 1).await, 7, 220_000).await;
    });
}

#[test]
fn a_snapshot_over_a_longer_or_shorter_one_is_exact() {
    run(async {
        let disk = SimDisk::new(1);
        let wal = open(&disk).await.expect("open");
        let lengths = [900_000, 10, 70_000, 0, 65_536, 1, 300_000, 65_537, 65_535, 500, 1_200_000];
        let mut reused = 0;
        for (index, len) in (1..).zip(lengths) {
            let created = disk.count(OpKind::Create);
            take(&wal, index, len).await;
            reused += u32::from(disk.count(OpKind::Create) == created);
            assert_reads(&mut *reader(&wal, 1).await, index, len).await;
            let name = disk.names().into_iter().find(|name| name.ends_with(".snap"));
            let size = disk.size(&name.expect("one")).expect("there");
            assert!(size < len as u64 + 2000, "{size} bytes for {len}");
        }
        assert_eq!(reused, lengths.len() as u32 - 2, "all but the first two");
        // What is found at the next open is the last one, and no spare.
        drop(wal);
        let wal = open(&disk).await.expect("open");
        assert_reads(&mut *reader(&wal, 1).await, 11, 1_200_000).await;
        assert!(!disk.names().iter().any(|name| name.contains("spare") || name.ends_with(".tmp")));
    });
}

#[test]
fn a_spare_of_one_group_serves_another_and_a_received_snapshot() {
    run(async {
        let disk = SimDisk::new(1);
        let wal = open(&disk).await.expect("open");
        take(&wal, 1, 100_000).await;
        take(&wal, 2, 90_000).await;
        let received = data(77, 30_000);
        let part = chunk(&received, 0, received.len());
        wal.write(vec![hard_state(2, 1), receive(2, id(1, 77), part, Suffix::Discard)])
            .await
            .expect("write");
        assert_reads(&mut *reader(&wal, 1).await, 2, 90_000).await;
        assert_reads(&mut *reader(&wal, 2).await, 77, 30_000).await;
    });
}

/// The lengths of the snapshots that are taken one after the other; each is written over the one before the
/// last.
const LENGTHS: [usize; 5] = [150_000, 70_000, 140_000, 900, 66_000];

#[test]
fn a_power_cut_at_every_step_leaves_the_old_or_the_new_snapshot() {
    async fn work(wal: &Wal, done: &mut u64) {
        for (index, len) in (1..).zip(LENGTHS) {
            take(wal, index, len).await;
            *done = index;
        }
    }
    run(async {
        let disk = SimDisk::new(1);
        work(&open(&disk).await.expect("open"), &mut 0).await;
        let mut newer = 0;
        for at in 1..=disk.boundaries() {
            let disk = SimDisk::new(1);
            disk.unmount_at(at);
            let (mount, mut done) = (disk.mount(), 0);
            tokio::select! {
                biased;
                () = mount.ended() => {}
                () = async { work(&open_mount(&mount).await.expect("open"), &mut done).await } => {}
            }
            for keep in [Keep::Nothing, Keep::Everything, Keep::Prefix, Keep::RandomSectors] {
                let disk = after(&disk, at, keep);
                let wal = open(&disk).await.expect("open");
                let found = wal.load(GroupId(1)).await.expect("load").snapshot;
                let index = found.map_or(0, |meta| meta.last.index.0);
                assert!(
                    index == done || index == done + 1,
                    "{keep:?} at {at}: {index}, not {done}"
                );
                newer += u32::from(index > done);
                if index > 0 {
                    assert_reads(&mut *reader(&wal, 1).await, index, LENGTHS[index as usize - 1])
                        .await;
                }
                // And what is left over does not get in the way of the next ones.
                take(&wal, 50, 80_000).await;
                take(&wal, 51, 40).await;
                assert_reads(&mut *reader(&wal, 1).await, 51, 40).await;
            }
        }
        assert!(newer > 0, "never seen: a snapshot that is durable and not acknowledged");
    });
}
