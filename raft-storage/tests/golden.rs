//! Directories of format version 1, byte for byte as they were first written: they must be readable for ever.

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use common::*;
use raft_core::{Entry, GroupId, Payload, Persisted, Storage, Suffix, WriteOp};
use raft_sim::SimDisk;
use raft_storage::{Origin, RecordKind, Verdict, Wal, inspect_wal, read_identity};

/// Makes every kind of record: entries of each kind, a compaction, an installation, and, by going on until the
/// idle groups would pin the log, checkpoints and relocated entries.
async fn scenario(wal: &Wal) {
    let membership = Payload::Membership(Box::new(meta(id(0, 0)).membership));
    let idle = vec![
        Entry { id: id(1, 1), payload: Payload::Noop },
        command(1, 2, "golden"),
        Entry { id: id(1, 3), payload: membership },
    ];
    wal.write(vec![hard_state(1, 1), write(1, WriteOp::Append(idle))]).await.expect("write");
    let data = vec![0xab; 300];
    wal.write(vec![hard_state(2, 2), receive(2, id(2, 9), chunk(&data, 0, 300), Suffix::Discard)])
        .await
        .expect("write");
    wal.write(vec![hard_state(3, 1)]).await.expect("write");
    for index in 1..=150 {
        let entry = vec![command(1, index, vec![index as u8; 100])];
        wal.write(vec![write(3, WriteOp::Append(entry))]).await.expect("write");
        if index % 20 == 0 {
            take_snapshot(wal, 3, id(1, index), vec![index as u8; 5]).await.expect("snapshot");
            wal.write(vec![write(3, WriteOp::Compact(id(1, index)))]).await.expect("write");
        }
    }
}

async fn kinds(disk: &SimDisk) -> BTreeSet<String> {
    let mut kinds = BTreeSet::new();
    let mount = disk.mount();
    let report = inspect_wal(&mount, |record| {
        assert_eq!(record.verdict, Verdict::Valid);
        kinds.insert(format!("{:?} {:?}", record.kind, record.origin));
    });
    assert!(report.await.expect("inspect").damage.is_empty());
    kinds
}

fn check(states: &[Persisted]) {
    assert_eq!(states[0].log.len(), 3);
    assert_eq!(states[0].log[1], command(1, 2, "golden"));
    assert_eq!((states[1].compacted, states[1].log.len()), (id(2, 9), 0));
    assert_eq!(states[1].snapshot, Some(meta(id(2, 9))));
    assert_eq!((states[2].compacted, states[2].log.len()), (id(1, 140), 10));
}

#[test]
fn a_directory_of_version_1_is_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1");
    run(async {
        if std::env::var_os("RAFT_STORAGE_WRITE_GOLDEN").is_some() {
            write_golden(&root).await;
        }
        let disk = SimDisk::new(1);
        for file in std::fs::read_dir(&root).expect("the golden directory") {
            let file = file.expect("a file");
            let name = file.file_name().into_string().expect("a name");
            disk.set_contents(&name, Some(std::fs::read(file.path()).expect("its bytes")));
        }
        assert_eq!(read_identity(&disk.mount()).await.expect("identity"), Some(IDENTITY));
        let kinds = kinds(&disk).await;
        for kind in [
            RecordKind::Command,
            RecordKind::Compacted,
            RecordKind::OldestNeeded,
            RecordKind::GroupState,
        ] {
            assert!(
                kinds.contains(&format!("{kind:?} {:?}", Origin::Appended)),
                "{kind:?}: {kinds:?}"
            );
        }
        for kind in [RecordKind::Noop, RecordKind::Command, RecordKind::Membership] {
            assert!(
                kinds.contains(&format!("{kind:?} {:?}", Origin::Relocated)),
                "{kind:?}: {kinds:?}"
            );
        }
        let wal = open(&disk).await.expect("open");
        check(&load(&wal, 3).await.expect("load"));
        let mut reader = wal.open_snapshot(GroupId(2)).await.expect("open").expect("one");
        assert_eq!(reader.read(0, 1000).await.expect("read"), vec![0xab; 300]);
    });
}

/// The same for the first segment alone, which has what was released above.
#[test]
fn the_first_segment_of_version_1_is_what_is_written_now() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1-start");
    run(async {
        let disk = SimDisk::new(1);
        let wal = open(&disk).await.expect("open");
        let entries = vec![Entry { id: id(1, 1), payload: Payload::Noop }, command(1, 2, "golden")];
        wal.write(vec![hard_state(1, 1), write(1, WriteOp::Append(entries))]).await.expect("write");
        let part = chunk(&[0xab; 300], 0, 300);
        wal.write(vec![receive(2, id(0, 9), part, Suffix::Discard)]).await.expect("write");
        wal.close().await;
        for name in ["identity", "0000000000000001.wal"] {
            let now = disk.contents(name).expect("there");
            let now = &now[..now.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)];
            if std::env::var_os("RAFT_STORAGE_WRITE_GOLDEN").is_some() {
                std::fs::create_dir_all(&root).expect("a directory");
                std::fs::write(root.join(name), now).expect("write");
            }
            assert_eq!(std::fs::read(root.join(name)).expect("golden"), now, "{name}");
        }
        let kinds = kinds(&disk).await;
        assert!(kinds.contains("Installed Appended") && kinds.contains("HardState Appended"));
    });
}

async fn write_golden(root: &Path) {
    let disk = SimDisk::new(1);
    let wal = open(&disk).await.expect("open");
    scenario(&wal).await;
    wal.close().await;
    std::fs::create_dir_all(root).expect("a directory");
    for name in disk.names() {
        std::fs::write(root.join(&name), disk.contents(&name).expect("there")).expect("write");
    }
}
