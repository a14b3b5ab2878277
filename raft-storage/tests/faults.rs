//! Failing disks, wrong directories, missing and damaged files.

mod common;

use std::sync::Arc;

use common::*;
use raft_core::{ClusterId, NodeId, Storage, StorageError, WriteOp};
use raft_sim::disk::{Failure, OpKind};
use raft_sim::{Keep, SimDisk};
use raft_storage::{Identity, Wal, WalOptions, read_identity};

async fn refusal(disk: &SimDisk, identity: Identity) -> StorageError {
    Wal::open(Arc::new(disk.mount()), identity, SMALL).await.err().expect("refused")
}

#[test]
fn every_failing_operation_stops_the_store_and_loses_nothing() {
    let kinds = [
        OpKind::Create,
        OpKind::Write,
        OpKind::Sync,
        OpKind::Rename,
        OpKind::Remove,
        OpKind::SyncDir,
    ];
    run(async move {
        let steps = workload(21, 3, 40);
        let states = history(&steps, 3).await;
        for kind in kinds {
            for failure in [Failure::Io, Failure::Full] {
                for nth in (1..200).step_by(3) {
                    let disk = SimDisk::new(1);
                    disk.fail(kind, nth, failure);
                    let Ok(wal) = open(&disk).await else { continue };
                    let mut done = 0;
                    for step in &steps {
                        let Err(error) = step.run(&wal).await else {
                            done += 1;
                            continue;
                        };
                        if let StorageError::Io { is_full, .. } = error {
                            assert_eq!(is_full, failure == Failure::Full);
                        }
                        if matches!(step, Step::Write(_)) {
                            let again = wal.write(vec![hard_state(1, 99)]).await;
                            assert!(matches!(again, Err(StorageError::Failed { .. })), "{again:?}");
                        }
                        break;
                    }
                    drop(wal);
                    // Space is back, or the machine restarts: nothing needs an operator.
                    for keep in [Keep::Nothing, Keep::Everything, Keep::RandomSectors] {
                        let what =
                            format!("{kind:?} number {nth}, {failure:?}, {keep:?}, {done} steps");
                        let wal = open(&after(&disk, nth, keep)).await;
                        let wal = wal.unwrap_or_else(|error| panic!("{what}: {error}"));
                        let found = normal_all(load(&wal, 3).await.expect("load"));
                        let next = (done + 1).min(steps.len());
                        assert!(found == states[done] || found == states[next], "{what}");
                    }
                }
            }
        }
    });
}

/// After a failed sync the system has the data and the disk does not (Rebello and others, "Can Applications
/// Recover from fsync Failures?", ATC'20). A process that starts again on the same system reads them; a node
/// goes on from there, and promises them to others.
#[test]
fn what_is_found_after_a_failure_survives_the_next_power_cut() {
    let kinds = [OpKind::Create, OpKind::Write, OpKind::Sync, OpKind::Rename, OpKind::SyncDir];
    run(async move {
        let steps = workload(21, 3, 40);
        for kind in kinds {
            for nth in 1.. {
                let disk = SimDisk::new(nth);
                disk.fail(kind, nth, Failure::Io);
                if let Ok(wal) = open(&disk).await {
                    for step in &steps {
                        if step.run(&wal).await.is_err() {
                            break;
                        }
                    }
                }
                if disk.count(kind) < nth {
                    break;
                }
                let what = format!("{kind:?} number {nth}");
                // The system lives on: only the process is another one.
                let wal = open(&disk).await.unwrap_or_else(|error| panic!("{what}: {error}"));
                let found = normal_all(load(&wal, 3).await.expect("load"));
                for cut in [Keep::Nothing, Keep::Everything, Keep::RandomSectors] {
                    let disk = after(&disk, nth, cut);
                    let wal = open(&disk).await;
                    let wal = wal.unwrap_or_else(|error| panic!("{what}, {cut:?}: {error}"));
                    let left = normal_all(load(&wal, 3).await.expect("load"));
                    assert!(left == found, "{what}, {cut:?}: found {found:#?}\nleft {left:#?}");
                }
            }
        }
    });
}

#[test]
fn another_owner_is_refused_by_name() {
    run(async {
        let disk = SimDisk::new(1);
        drop(open(&disk).await.expect("open"));
        assert_eq!(read_identity(&disk.mount()).await.expect("read"), Some(IDENTITY));
        for other in [
            Identity { node: NodeId(2), ..IDENTITY },
            Identity { cluster: ClusterId(8), ..IDENTITY },
        ] {
            let text = refusal(&disk, other).await.to_string();
            for part in ["n1", "c7", &other.node.to_string(), &other.cluster.to_string()] {
                assert!(text.contains(part), "{text}");
            }
        }
        let newer = disk.contents("identity").expect("there");
        let mut newer = newer[..36].to_vec();
        newer[8] = 2;
        newer.extend(crc32fast::hash(&newer).to_le_bytes());
        disk.set_contents("identity", Some(newer));
        assert!(refusal(&disk, IDENTITY).await.to_string().contains("version 2"));
        disk.set_contents("identity", Some(vec![0; 40]));
        assert!(matches!(refusal(&disk, IDENTITY).await, StorageError::Corrupt { .. }));
    });
}

#[test]
fn a_second_open_is_refused_and_a_left_over_lock_file_is_not() {
    run(async {
        let disk = SimDisk::new(1);
        let wal = open(&disk).await.expect("open");
        assert!(refusal(&disk, IDENTITY).await.to_string().contains("in use"));
        drop(wal);
        disk.set_contents("lock", Some(vec![]));
        open(&disk).await.expect("open");
    });
}

#[test]
fn a_missing_file_is_named() {
    run(async {
        let disk = SimDisk::new(1);
        let wal = open(&disk).await.expect("open");
        wal.write(vec![hard_state(1, 1)]).await.expect("write");
        for index in 1..100 {
            wal.write(vec![write(1, WriteOp::Append(vec![command(1, index, vec![1; 200])]))])
                .await
                .expect("write");
        }
        take_snapshot(&wal, 1, id(1, 2), vec![1]).await.expect("snapshot");
        wal.write(vec![write(1, WriteOp::Compact(id(1, 2)))]).await.expect("write");
        wal.close().await;
        drop(wal);
        disk.set_contents("notes.txt", Some(vec![1]));
        disk.set_contents("snapshot-0000000000000001-9.tmp", Some(vec![1]));
        disk.set_contents("0000000000000099.wal.tmp", Some(vec![1]));
        drop(open(&disk).await.expect("unknown and temporary files do no harm"));
        assert!(disk.contents("notes.txt").is_some());
        assert!(!disk.names().iter().any(|name| name.ends_with(".tmp")));
        let all = |disk: &SimDisk| disk.names();
        let mut named = 0;
        for name in all(&disk) {
            if name == "lock" || name == "notes.txt" {
                continue;
            }
            let image = after(&disk, 1, Keep::Everything);
            image.set_contents(&name, None);
            // The last segment may be one that was only prepared.
            let last = all(&disk).into_iter().filter(|name| name.ends_with(".wal")).max();
            match open(&image).await {
                Err(error) => {
                    named += u32::from(error.to_string().contains(&name[..16.min(name.len())]))
                }
                Ok(_) => assert_eq!(Some(&name), last.as_ref(), "{name} was not missed"),
            }
        }
        assert!(named >= 5, "{named} files named");
    });
}

/// Whoever repairs it finds it as the crash has left it.
#[test]
fn a_directory_that_is_refused_is_left_as_it_is() {
    run(async {
        let disk = SimDisk::new(1);
        let wal = open(&disk).await.expect("open");
        wal.write(vec![hard_state(1, 1)]).await.expect("write");
        for index in 1..=5 {
            let entry = vec![command(1, index, vec![1; 200])];
            wal.write(vec![write(1, WriteOp::Append(entry))]).await.expect("write");
        }
        for index in [2, 3] {
            take_snapshot(&wal, 1, id(1, index), vec![1]).await.expect("snapshot");
            wal.write(vec![write(1, WriteOp::Compact(id(1, index)))]).await.expect("write");
        }
        wal.close().await;
        drop(wal);
        disk.set_contents("snapshot-0000000000000001-9.tmp", Some(vec![1]));
        disk.set_contents("0000000000000099.wal.tmp", Some(vec![1]));
        for lost in [".snap", ".wal"] {
            let image = after(&disk, 1, Keep::Everything);
            for name in image.names().iter().filter(|name| name.ends_with(lost)) {
                image.set_contents(name, None);
            }
            let names = image.names();
            let error = refusal(&image, IDENTITY).await.to_string();
            assert!(error.contains("missing"), "{lost}: {error}");
            assert_eq!(image.names(), names, "{lost}: changed");
        }
    });
}

#[test]
fn a_damaged_snapshot_is_refused_at_open_or_when_read() {
    run(async {
        let disk = SimDisk::new(1);
        let wal = open(&disk).await.expect("open");
        take_snapshot(&wal, 1, id(1, 5), vec![5; 500]).await.expect("snapshot");
        drop(wal);
        let name = disk.names().into_iter().find(|name| name.ends_with(".snap")).expect("one");
        let whole = disk.contents(&name).expect("there");
        for at in 0..whole.len() {
            let image = after(&disk, 1, Keep::Everything);
            let mut data = whole.to_vec();
            data[at] ^= 4;
            image.set_contents(&name, Some(data));
            let error = match open(&image).await {
                Err(error) => error,
                Ok(wal) => {
                    let mut reader = wal.open_snapshot(1.into()).await.expect("open").expect("one");
                    reader.read(0, 1000).await.expect_err("damaged")
                }
            };
            assert!(
                matches!(&error, StorageError::Corrupt { file, .. } if *file == name),
                "{at}: {error}"
            );
        }
    });
}

#[test]
fn a_hard_state_that_is_missing_is_noticed() {
    run(async {
        let disk = SimDisk::new(1);
        let wal = open(&disk).await.expect("open");
        wal.write(vec![write(1, WriteOp::Append(vec![command(3, 1, "x")]))]).await.expect("write");
        drop(wal);
        assert!(refusal(&disk, IDENTITY).await.to_string().contains("hard state is missing"));
    });
}

#[test]
fn a_write_that_is_given_up_stops_the_store() {
    run(async {
        let wal = open(&SimDisk::new(1)).await.expect("open");
        let mut given_up = wal.write(vec![hard_state(1, 1)]);
        let waker = std::task::Waker::noop();
        assert!(given_up.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
        drop(given_up);
        let next = wal.write(vec![hard_state(1, 2)]).await;
        assert!(matches!(next, Err(StorageError::Failed { .. })), "{next:?}");
    });
}

/// Copying live entries forward must not make sound copies of what a lost batch had overwritten.
#[test]
fn a_batch_that_the_disk_lost_is_noticed_when_its_segment_is_copied_forward() {
    run(async {
        let disk = SimDisk::new(1);
        let options = WalOptions { fill_bytes: 0, ..SMALL };
        let wal = Wal::open(Arc::new(disk.mount()), IDENTITY, options).await.expect("open");
        let old = (1..=3).map(|index| command(1, index, "old")).collect();
        wal.write(vec![hard_state(1, 1), write(1, WriteOp::Append(old))]).await.expect("write");
        disk.fail(OpKind::Write, 1, Failure::Lost);
        let new = vec![command(2, 2, "new")];
        wal.write(vec![hard_state(1, 2), write(1, WriteOp::Append(new))]).await.expect("write");
        wal.write(vec![hard_state(2, 1)]).await.expect("write");
        for index in 1..2000 {
            let entry = vec![command(1, index, vec![1; 100])];
            let mut writes = vec![write(2, WriteOp::Append(entry))];
            if index % 20 == 0 {
                take_snapshot(&wal, 2, id(1, index), vec![2; 10]).await.expect("snapshot");
                writes.push(write(2, WriteOp::Compact(id(1, index))));
            }
            if let Err(error) = wal.write(writes).await {
                assert!(error.to_string().contains("0000000000000001.wal"), "{error}");
                drop(wal);
                let error = refusal(&disk, IDENTITY).await;
                assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
                return;
            }
        }
        panic!("entries were copied out of a segment that is not whole");
    });
}
