//! What the log does when nothing goes wrong, and what it costs.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::*;
use proptest::prelude::*;
use raft_core::{GroupId, Payload, Storage, Suffix, WriteOp};
use raft_sim::SimDisk;
use raft_sim::disk::OpKind;
use raft_storage::{FileDisk, Verdict, Wal, WalOptions, inspect_wal};

fn bytes_of(disk: &SimDisk) -> u64 {
    let names = disk.names().into_iter().filter(|name| name.ends_with(".wal"));
    names.map(|name| disk.contents(&name).map_or(0, |data| data.len() as u64)).sum()
}

#[test]
fn one_write_is_one_sync_and_little_more_than_the_payload() {
    run(async {
        let disk = SimDisk::new(1);
        let options = WalOptions { segment_bytes: 32 << 20, segments_max: 8, fill_bytes: 0 };
        let wal = Wal::open(Arc::new(disk.mount()), IDENTITY, options).await.expect("open");
        wal.write(vec![hard_state(1, 1)]).await.expect("write");
        for (payload, batch) in [(0, 1), (16, 1), (256, 16), (4096, 64)] {
            let before = (disk.count(OpKind::Sync), disk.count(OpKind::Write));
            let writes = (1..=8).map(|group| {
                let entries =
                    (1..=batch).map(|index| command(1, index, vec![7; payload])).collect();
                write(group, WriteOp::Append(entries))
            });
            wal.write(writes.collect()).await.expect("write");
            // No filling ahead with `fill_bytes: 0`, so these are the write's own.
            assert_eq!(
                (disk.count(OpKind::Sync), disk.count(OpKind::Write)),
                (before.0 + 1, before.1 + 1)
            );
        }
        let (mut payload, mut entries, mut end) = (0, 0, 0);
        inspect_wal(&disk.mount(), |record| {
            end = end.max(record.offset + 40 + u64::from(record.payload_bytes));
            if matches!(record.kind, raft_storage::RecordKind::Command) {
                payload += u64::from(record.payload_bytes);
                entries += 1;
            }
        })
        .await
        .expect("inspect");
        assert_eq!(entries, 8 * (1 + 1 + 16 + 64));
        let written = end - 512;
        assert!(
            written as f64 <= 1.1 * payload as f64 + 64.0 * f64::from(entries),
            "{written} for {payload}"
        );
        // The worst case: one empty entry in a batch of its own.
        wal.write(vec![write(1, WriteOp::Append(vec![command(1, 65, vec![])]))])
            .await
            .expect("write");
        let mut last = 0;
        inspect_wal(&disk.mount(), |record| last = record.offset).await.expect("inspect");
        assert_eq!(last + 40 - end, 64);
    });
}

#[test]
fn an_idle_group_does_not_pin_the_log() {
    run(async {
        let disk = SimDisk::new(1);
        let wal = open(&disk).await.expect("open");
        wal.write(vec![hard_state(1, 1), write(1, WriteOp::Append(vec![command(1, 1, "idle")]))])
            .await
            .expect("write");
        wal.write(vec![hard_state(2, 1)]).await.expect("write");
        for index in 1..2000 {
            wal.write(vec![write(2, WriteOp::Append(vec![command(1, index, vec![1; 100])]))])
                .await
                .expect("write");
            if index % 20 == 0 {
                take_snapshot(&wal, 2, id(1, index), vec![2; 10]).await.expect("snapshot");
                wal.write(vec![write(2, WriteOp::Compact(id(1, index)))]).await.expect("write");
            }
            assert!(bytes_of(&disk) <= 4096 * 8, "{} bytes after {index}", bytes_of(&disk));
        }
        drop(wal);
        let wal = open(&disk).await.expect("open");
        let states = load(&wal, 2).await.expect("load");
        assert_eq!(states[0].log, vec![command(1, 1, "idle")]);
        assert_eq!(states[1].log.len(), 1999 - 1980);
        assert_eq!(load(&wal, 2).await.expect("a second load"), states);
    });
}

/// What an idle group keeps is looked for beside the writes: none of them waits for a read.
#[test]
fn writes_go_on_while_an_idle_group_is_moved_forward() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().start_paused(true).build().expect("a runtime").block_on(async {
        let disk = SimDisk::new(1);
        let options = WalOptions { segment_bytes: 64 << 10, segments_max: 4, fill_bytes: 4096 };
        let wal = Wal::open(Arc::new(disk.mount()), IDENTITY, options).await.expect("open");
        let idle: Vec<_> = (1..=40).map(|index| command(1, index, vec![7; 500])).collect();
        wal.write(vec![
            hard_state(1, 1),
            hard_state(2, 1),
            write(1, WriteOp::Append(idle.clone())),
        ])
        .await
        .expect("write");
        let millis = Duration::from_millis;
        disk.set_latency(OpKind::Read, millis(20)..=millis(20));
        disk.set_latency(OpKind::Sync, millis(1)..=millis(1));
        let (mut longest, mut most) = (Duration::ZERO, 0);
        for index in 1..2000 {
            let entries = vec![command(1, index, vec![1; 1000])];
            let mut writes = vec![write(2, WriteOp::Append(entries))];
            if index % 20 == 0 {
                take_snapshot(&wal, 2, id(1, index), vec![2; 10]).await.expect("snapshot");
                writes.push(write(2, WriteOp::Compact(id(1, index))));
            }
            let begun = tokio::time::Instant::now();
            wal.write(writes).await.expect("write");
            longest = longest.max(begun.elapsed());
            most = most.max(bytes_of(&disk));
        }
        assert!(longest < millis(10), "a write took {longest:?}");
        assert!(disk.count(OpKind::Read) > 5, "nothing was looked for");
        assert!(most <= 7 * (64 << 10), "{most} bytes");
        disk.calm();
        drop(wal);
        let wal = Wal::open(Arc::new(disk.mount()), IDENTITY, options).await.expect("open");
        assert_eq!(wal.load(GroupId(1)).await.expect("load").log, idle);
    });
}

#[test]
fn segments_that_one_snapshot_releases_together_are_all_recycled() {
    run(async {
        let disk = SimDisk::new(1);
        let options = WalOptions { segments_max: 8, ..SMALL };
        let wal = Wal::open(Arc::new(disk.mount()), IDENTITY, options).await.expect("open");
        wal.write(vec![hard_state(1, 1)]).await.expect("write");
        let mut made = 0;
        for index in 1..=1000 {
            let mut writes = vec![write(1, WriteOp::Append(vec![command(1, index, vec![7; 100])]))];
            // About four segments.
            if index % 84 == 0 {
                writes.push(write(1, WriteOp::Compact(id(1, index))));
            }
            wal.write(writes).await.expect("write");
            if index == 250 {
                made = disk.count(OpKind::Create);
            }
        }
        assert_eq!((disk.count(OpKind::Create), disk.count(OpKind::Remove)), (made, 0));
        assert!(bytes_of(&disk) <= 8 * 4096, "{} bytes", bytes_of(&disk));
    });
}

#[test]
fn a_reader_survives_the_replacement_of_its_snapshot() {
    run(async {
        let disk = SimDisk::new(1);
        let wal = open(&disk).await.expect("open");
        let data: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
        take_snapshot(&wal, 1, id(1, 5), data.clone()).await.expect("snapshot");
        let mut reader = wal.open_snapshot(GroupId(1)).await.expect("open").expect("one is there");
        take_snapshot(&wal, 1, id(1, 9), vec![9; 10]).await.expect("snapshot");
        take_snapshot(&wal, 1, id(1, 7), vec![7; 10]).await.expect("an older one");
        assert_eq!((reader.total(), reader.meta()), (300_000, &meta(id(1, 5))));
        for (offset, max) in
            [(0, 10), (65_530, 20), (65_536, 65_536), (1, 299_999), (299_990, 50), (400_000, 5)]
        {
            let end = data.len().min(offset + max);
            let want = &data[offset.min(end)..end];
            assert_eq!(
                reader.read(offset as u64, max).await.expect("read"),
                want,
                "{offset} {max}"
            );
        }
        let newest = wal.open_snapshot(GroupId(1)).await.expect("open").expect("one is there");
        assert_eq!(newest.meta(), &meta(id(1, 9)));
        let snapshots =
            disk.names().into_iter().filter(|name| name.starts_with("snapshot")).count();
        assert_eq!(snapshots, 1);
    });
}

#[test]
fn a_received_snapshot_keeps_or_discards_the_log() {
    run(async {
        for (suffix, left) in [(Suffix::Keep, 2), (Suffix::Discard, 0)] {
            let disk = SimDisk::new(1);
            let wal = open(&disk).await.expect("open");
            let entries = (1..=5).map(|index| command(1, index, "x")).collect();
            wal.write(vec![hard_state(1, 1), write(1, WriteOp::Append(entries))])
                .await
                .expect("write");
            let data = vec![3; 200_000];
            let last = if suffix == Suffix::Keep { id(1, 3) } else { id(2, 3) };
            // Begun, given up, begun anew.
            wal.write(vec![receive(1, last, chunk(&data, 0, 70_000), suffix)])
                .await
                .expect("chunk");
            for offset in (0..data.len()).step_by(50_000) {
                wal.write(vec![receive(1, last, chunk(&data, offset, 50_000), suffix)])
                    .await
                    .expect("chunk");
            }
            drop(wal);
            let wal = open(&disk).await.expect("open");
            let state = wal.load(GroupId(1)).await.expect("load");
            assert_eq!((state.compacted, state.log.len()), (last, left), "{suffix:?}");
            let mut reader = wal.open_snapshot(GroupId(1)).await.expect("open").expect("there");
            assert_eq!(reader.read(0, 1 << 20).await.expect("read"), data);
        }
    });
}

#[test]
fn a_chunk_that_does_not_continue_or_is_damaged_is_refused() {
    run(async {
        let data = vec![3; 1000];
        for bad in [chunk(&data, 100, 100), {
            let mut bad = chunk(&data, 0, 100);
            bad.checksum ^= 1;
            bad
        }] {
            let wal = open(&SimDisk::new(1)).await.expect("open");
            assert!(wal.write(vec![receive(1, id(1, 3), bad, Suffix::Discard)]).await.is_err());
        }
    });
}

#[test]
fn the_real_disk_keeps_what_was_written_and_its_lock() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().join("a/b");
        let steps = workload(3, 3, 80);
        let states = history(&steps, 3).await;
        let disk = Arc::new(FileDisk::new(&root).expect("disk"));
        let wal = Wal::open(disk, IDENTITY, SMALL).await.expect("open");
        for step in &steps {
            step.run(&wal).await.expect("step");
        }
        let second = Arc::new(FileDisk::inline(&root).expect("disk"));
        let refused = Wal::open(second.clone(), IDENTITY, SMALL).await.err().expect("locked");
        assert!(refused.to_string().contains("in use"), "{refused}");
        wal.close().await;
        drop(wal);
        let wal = Wal::open(second.clone(), IDENTITY, SMALL).await.expect("open");
        assert_eq!(normal_all(load(&wal, 3).await.expect("load")), *states.last().expect("one"));
        let report =
            inspect_wal(&*second, |record| assert_eq!(record.verdict, Verdict::Valid)).await;
        assert!(report.expect("inspect").damage.is_empty());
    });
}

#[test]
fn many_groups_share_a_batch() {
    run(async {
        let disk = SimDisk::new(1);
        let options = WalOptions::default();
        let wal = Wal::open(Arc::new(disk.mount()), IDENTITY, options).await.expect("open");
        let writes = (1..=2000u64).flat_map(|group| {
            [
                hard_state(group, 1),
                write(group, WriteOp::Append(vec![command(1, 1, group.to_le_bytes().to_vec())])),
            ]
        });
        wal.write(writes.collect()).await.expect("write");
        drop(wal);
        let wal = Wal::open(Arc::new(disk.mount()), IDENTITY, options).await.expect("open");
        assert_eq!(wal.groups().await.expect("groups").len(), 2000);
        let state = wal.load(GroupId(1234)).await.expect("load");
        assert_eq!(state.log[0].payload, Payload::Command(1234u64.to_le_bytes().to_vec().into()));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn any_history_reads_back_as_the_memory_store_has_it(seed: u64, reopen_every in 3usize..30) {
        run(async move {
            let steps = workload(seed, 4, 80);
            let states = history(&steps, 4).await;
            let disk = SimDisk::new(1);
            let mut wal = open(&disk).await.expect("open");
            for (at, step) in steps.iter().enumerate() {
                let begins_anew = matches!(step, Step::Write(writes)
                    if !matches!(&writes[..], [w] if matches!(&w.op, WriteOp::Receive { chunk, .. } if chunk.offset > 0)));
                if at % reopen_every == 0 && begins_anew {
                    wal.close().await;
                    drop(wal);
                    wal = open(&disk).await.expect("open");
                    assert_eq!(normal_all(load(&wal, 4).await.expect("load")), states[at]);
                }
                step.run(&wal).await.expect("step");
            }
            assert_eq!(normal_all(load(&wal, 4).await.expect("load")), *states.last().expect("one"));
        });
    }
}
