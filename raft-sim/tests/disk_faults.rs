//! What goes wrong while there is power.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::*;
use raft_sim::disk::{Failure, OpKind, SyncGate};
use raft_sim::{Keep, Mount, SimDisk};
use raft_storage::{Disk, DiskError, DiskErrorKind, DiskFile, Durability, OpenMode};
use tokio::time::Instant;

async fn create(mount: &Mount) -> Arc<dyn DiskFile> {
    let file = mount.open("file", OpenMode::Create).await.expect("create");
    mount.sync_dir().await.expect("sync");
    file
}

/// Does one operation of the kind.
async fn operate(mount: &Mount, file: &Arc<dyn DiskFile>, kind: OpKind) -> Result<(), DiskError> {
    match kind {
        OpKind::List => mount.list().await.map(|_| ()),
        OpKind::Open => mount.open("file", OpenMode::Read).await.map(|_| ()),
        OpKind::Create => mount.open("new", OpenMode::Create).await.map(|_| ()),
        OpKind::Size => file.size().await.map(|_| ()),
        OpKind::Read => file.read_at(0, 1).await.map(|_| ()),
        OpKind::Write => file.write_at(0, vec![1; 9], Durability::Cached).await.map(|_| ()),
        OpKind::Sync => file.sync().await,
        OpKind::SetLen => file.set_len(3).await,
        OpKind::Rename => mount.rename("file", "file").await,
        OpKind::Remove => mount.remove("victim").await,
        OpKind::SyncDir => mount.sync_dir().await,
        OpKind::Lock => mount.lock("lock").await.map(|_| ()),
    }
}

#[test]
fn any_operation_can_be_made_to_fail_once() {
    run(async {
        for kind in OpKind::ALL {
            for (failure, is_full) in [(Failure::Io, false), (Failure::Full, true)] {
                let disk = SimDisk::new(1);
                disk.set_contents("victim", Some(vec![]));
                let mount = disk.mount();
                let file = create(&mount).await;
                disk.fail(kind, 2, failure);
                if kind != OpKind::Remove {
                    operate(&mount, &file, kind).await.expect("the first");
                } else {
                    disk.fail(kind, 1, failure);
                }
                let failures = disk.failures(kind);
                let error = operate(&mount, &file, kind).await.expect_err("the second");
                assert_eq!(error.is_full(), is_full, "{kind}");
                assert_eq!(error.operation, kind.name());
                assert_eq!(disk.failures(kind), failures + 1);
                if kind != OpKind::Remove && kind != OpKind::Lock {
                    operate(&mount, &file, kind).await.expect("the third");
                }
            }
        }
    });
}

#[test]
fn failures_have_rates() {
    run(async {
        let disk = SimDisk::new(5);
        let mount = disk.mount();
        let file = create(&mount).await;
        disk.set_failure_rate(OpKind::Read, Failure::Io, 0.25);
        let mut failed = 0;
        for _ in 0..1000 {
            failed += u32::from(file.read_at(0, 1).await.is_err());
        }
        assert!((200..300).contains(&failed), "{failed} of 1000");
        assert_eq!(disk.failures(OpKind::Read), u64::from(failed));
        disk.calm();
        for _ in 0..100 {
            file.read_at(0, 1).await.expect("calm");
        }
    });
}

#[test]
fn what_a_failed_sync_left_out_never_becomes_durable() {
    run(async {
        let (mut nothing, mut part) = (0, 0);
        for seed in 0..40 {
            let disk = SimDisk::new(seed);
            let mount = disk.mount();
            let file = create(&mount).await;
            file.write_at(0, vec![1; 4096], Durability::Synced).await.expect("write");
            file.write_at(0, vec![2; 4096], Durability::Cached).await.expect("write");
            disk.fail(OpKind::Sync, 1, Failure::Io);
            file.sync().await.expect_err("made to fail");
            // The cache still has it, and the next sync claims success.
            assert_eq!(file.read_at(0, 4096).await.expect("read"), vec![2; 4096]);
            let image = disk.image();
            file.sync().await.expect("the next one");
            disk.power_loss(Keep::Everything);
            let left = disk.contents("file").expect("there");
            let before = SimDisk::of_image(seed, &image);
            before.power_loss(Keep::Nothing);
            assert_eq!(before.contents("file").expect("there"), left, "seed {seed}");
            let kept = left.iter().filter(|byte| **byte == 2).count();
            assert!(kept < 4096, "seed {seed}");
            nothing += u32::from(kept == 0);
            part += u32::from(kept > 0);
        }
        assert!(nothing > 5 && part > 5, "{nothing} lost whole, {part} in part");
    });
}

#[test]
fn a_sync_that_lies_loses_what_it_promised() {
    run(async {
        let disk = SimDisk::new(1);
        let mount = disk.mount();
        let file = create(&mount).await;
        disk.set_failure_rate(OpKind::Sync, Failure::Lost, 1.0);
        file.write_at(0, vec![1; 10], Durability::Synced).await.expect("it lies");
        assert_eq!(disk.failures(OpKind::Sync), 0);
        disk.power_loss(Keep::Nothing);
        assert_eq!(disk.size("file"), Some(0));
    });
}

#[test]
fn a_failed_write_may_have_written_a_part() {
    run(async {
        let mut lengths = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let disk = SimDisk::new(seed);
            let file = create(&disk.mount()).await;
            disk.fail(OpKind::Write, 1, Failure::Io);
            let data = vec![1, 2, 3, 4];
            file.write_at(0, data.clone(), Durability::Synced).await.expect_err("fails");
            let left = disk.contents("file").expect("there");
            assert!(data.starts_with(&left));
            lengths.insert(left.len());
        }
        assert_eq!(lengths, (0..4).collect());
    });
}

#[test]
fn a_write_can_be_lost_or_misdirected_and_a_read_too() {
    run(async {
        let disk = SimDisk::new(1);
        let file = create(&disk.mount()).await;
        file.write_at(0, vec![1; 1024], Durability::Synced).await.expect("write");
        disk.fail(OpKind::Write, 1, Failure::Lost);
        file.write_at(0, vec![2; 512], Durability::Synced).await.expect("write");
        assert_eq!(disk.contents("file").expect("there"), vec![1; 1024]);
        disk.fail(OpKind::Write, 1, Failure::Misdirected(512));
        file.write_at(0, vec![3; 512], Durability::Synced).await.expect("write");
        assert_eq!(disk.contents("file").expect("there"), [[1; 512], [3; 512]].concat());
        disk.fail(OpKind::Read, 1, Failure::Misdirected(512));
        assert_eq!(file.read_at(0, 2).await.expect("read"), vec![3, 3]);
        assert_eq!(file.read_at(0, 2).await.expect("read"), vec![1, 1]);
    });
}

#[test]
fn space_ends_and_comes_back() {
    run(async {
        let disk = SimDisk::new(1);
        let file = create(&disk.mount()).await;
        disk.set_capacity(Some(1000));
        file.write_at(0, vec![1; 900], Durability::Cached).await.expect("fits");
        file.write_at(0, vec![2; 900], Durability::Cached).await.expect("over itself");
        let error = file.write_at(900, vec![3; 200], Durability::Cached).await.expect_err("full");
        assert_eq!(error.kind, DiskErrorKind::Full);
        assert!(disk.disk_bytes() <= 1000);
        assert!(file.set_len(2000).await.expect_err("full").is_full());
        disk.set_capacity(None);
        file.write_at(900, vec![3; 200], Durability::Cached).await.expect("space is back");
        assert_eq!(disk.disk_bytes(), 1100);
    });
}

#[test]
fn operations_take_their_time() {
    run_paused(async {
        let disk = SimDisk::new(1);
        let file = create(&disk.mount()).await;
        let ms = Duration::from_millis;
        disk.set_latency(OpKind::Write, ms(10)..=ms(10));
        disk.set_latency(OpKind::Sync, ms(1)..=ms(30));
        let mut spread = (ms(1000), ms(0));
        for _ in 0..100 {
            let begin = Instant::now();
            file.write_at(0, vec![1], Durability::Synced).await.expect("write");
            let sync = begin.elapsed() - ms(10);
            assert!(sync >= ms(1) && sync <= ms(31), "{sync:?}");
            spread = (spread.0.min(sync), spread.1.max(sync));
        }
        assert!(spread.0 < ms(5) && spread.1 > ms(25), "{spread:?}");
        let begin = Instant::now();
        file.read_at(0, 1).await.expect("read");
        assert_eq!(begin.elapsed(), ms(0));
    });
}

#[test]
fn syncs_can_be_stalled() {
    run_paused(async {
        let disk = SimDisk::new(1);
        let file = create(&disk.mount()).await;
        disk.set_sync_gate(SyncGate::Stalled);
        file.write_at(0, vec![1], Durability::Cached).await.expect("writes go on");
        let stalled = tokio::spawn(async move { file.sync().await });
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert!(!stalled.is_finished());
        disk.set_sync_gate(SyncGate::Open);
        stalled.await.expect("ends").expect("sync");
        disk.power_loss(Keep::Nothing);
        assert_eq!(disk.contents("file").expect("there"), vec![1]);
    });
}

#[test]
fn the_medium_rots_and_files_are_cut() {
    run(async {
        let disk = SimDisk::new(1);
        let file = create(&disk.mount()).await;
        file.write_at(0, vec![1; 6], Durability::Synced).await.expect("write");
        disk.corrupt("file", 2, 0x81);
        assert_eq!(file.read_at(0, 9).await.expect("read"), vec![1, 1, 0x80, 1, 1, 1]);
        disk.truncate("file", 3);
        disk.power_loss(Keep::Nothing);
        assert_eq!(disk.contents("file").expect("there"), vec![1, 1, 0x80]);
    });
}

#[test]
#[should_panic(expected = "there is no byte 6 in file")]
fn rot_that_would_show_nothing_is_refused() {
    let disk = SimDisk::new(1);
    disk.set_contents("file", Some(vec![1; 6]));
    disk.corrupt("file", 6, 1);
}

#[test]
fn an_image_is_the_disk_of_its_moment() {
    run(async {
        let disk = SimDisk::new(1);
        let mount = disk.mount();
        let file = create(&mount).await;
        file.write_at(0, vec![1; 10_000], Durability::Synced).await.expect("write");
        let image = disk.image();
        file.write_at(0, vec![2; 10_000], Durability::Synced).await.expect("write");
        assert!(mount.is_alive());
        disk.restore(&image);
        assert!(!mount.is_alive());
        assert_eq!(disk.contents("file").expect("there"), vec![1; 10_000]);
        // A backup can be used twice, and elsewhere.
        disk.set_contents("file", None);
        assert_eq!(SimDisk::of_image(9, &image).contents("file").expect("there")[0], 1);
    });
}
