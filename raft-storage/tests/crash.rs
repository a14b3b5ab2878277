//! Power cuts: what was acknowledged is there, what was not is there as a whole step or not at all.

mod common;

use common::*;
use raft_core::{Storage, StorageError};
use raft_sim::{Keep, SimDisk};

const GROUPS: u64 = 3;

/// Runs steps until the process is killed; how many succeeded.
async fn run_steps(disk: &SimDisk, steps: &[Step]) -> usize {
    let mount = disk.mount();
    let mut done = 0;
    let work = async {
        let wal = open_mount(&mount).await.expect("open");
        for step in steps {
            step.run(&wal).await.expect("a step");
            done += 1;
        }
    };
    tokio::select! {
        biased;
        () = mount.ended() => {}
        () = work => {}
    }
    done
}

/// Whether the step writes nothing but entries and hard states.
fn is_append(step: &Step) -> bool {
    use raft_core::WriteOp::{Append, HardState};
    let Step::Write(writes) = step else { return false };
    writes.iter().all(|write| matches!(write.op, Append(_) | HardState(_)))
}

async fn check(disk: &SimDisk, history: &[Vec<raft_core::Persisted>], done: usize, what: &str) {
    let wal = open(disk).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = normal_all(load(&wal, GROUPS).await.expect("load"));
    let next = (done + 1).min(history.len() - 1);
    assert!(
        found == history[done] || found == history[next],
        "{what}: after {done} steps\nfound {found:#?}\nwant {:#?}\nor {:#?}",
        history[done],
        history[next]
    );
    // And it can be written, and opened once more.
    wal.write(vec![hard_state(9, 1)]).await.expect("a write after the crash");
    wal.close().await;
    drop(wal);
    let wal = open(disk).await.expect("open again");
    assert_eq!(normal_all(load(&wal, GROUPS).await.expect("load")), found, "{what}: open again");
}

#[test]
fn a_power_cut_at_every_operation_loses_nothing_acknowledged() {
    for seed in 0..2 {
        run(async move {
            let steps = workload(seed, GROUPS, 50);
            let states = history(&steps, GROUPS).await;
            let disk = SimDisk::new(1);
            assert_eq!(run_steps(&disk, &steps).await, steps.len());
            for at in 1..=disk.boundaries() {
                let disk = SimDisk::new(1);
                disk.unmount_at(at);
                let done = run_steps(&disk, &steps).await;
                for keep in [Keep::Nothing, Keep::Everything, Keep::Prefix, Keep::RandomSectors] {
                    let what = format!("seed {seed}, power cut at boundary {at}, {keep:?}");
                    check(&after(&disk, at, keep), &states, done, &what).await;
                }
            }
        });
    }
}

#[test]
fn a_power_cut_during_recovery_loses_nothing_acknowledged() {
    run(async {
        let steps = workload(11, GROUPS, 40);
        let states = history(&steps, GROUPS).await;
        let whole = SimDisk::new(1);
        run_steps(&whole, &steps).await;
        for at in (1..whole.boundaries()).step_by(7) {
            let disk = SimDisk::new(1);
            disk.unmount_at(at);
            let done = run_steps(&disk, &steps).await;
            for second in 1..24 {
                let disk = after(&disk, at, Keep::RandomSectors);
                disk.unmount_at(second);
                run_steps(&disk, &[]).await;
                let disk = after(&disk, second, Keep::RandomSectors);
                check(&disk, &states, done, &format!("cuts at {at} and {second}")).await;
            }
        }
    });
}

#[test]
fn every_subset_of_the_unsynced_sectors_is_the_old_or_the_new_state() {
    run(async {
        let before = vec![
            hard_state(1, 1),
            write(1, raft_core::WriteOp::Append(vec![command(1, 1, vec![1; 100])])),
        ];
        let entries = (2..10).map(|index| command(1, index, vec![index as u8; 350])).collect();
        let torn = vec![write(1, raft_core::WriteOp::Append(entries))];
        let steps = [Step::Write(before), Step::Write(torn)];
        let states = history(&steps, GROUPS).await;
        let disk = SimDisk::new(1);
        let mount = disk.mount();
        let wal = open_mount(&mount).await.expect("open");
        steps[0].run(&wal).await.expect("write");
        // After the write and before its sync.
        disk.unmount_at(disk.boundaries() + 3);
        tokio::select! {
            biased;
            () = mount.ended() => {}
            _ = steps[1].run(&wal) => panic!("the write was acknowledged"),
        }
        let sectors = disk.unsynced_sectors();
        assert!((6..=8).contains(&sectors), "{sectors} sectors");
        let (mut old, mut new) = (0, 0);
        for bits in 0..1 << sectors {
            let image = after(&disk, 1, Keep::Sectors(bits));
            let wal = open(&image).await.unwrap_or_else(|error| panic!("{bits:b}: {error}"));
            let found = normal_all(load(&wal, GROUPS).await.expect("load"));
            match found {
                found if found == states[1] => old += 1,
                found if found == states[2] => new += 1,
                found => panic!("{bits:b}: {found:?}"),
            }
        }
        assert_eq!((old, new), ((1 << sectors) - 1, 1));
    });
}

#[test]
fn a_log_cut_at_every_byte_of_its_last_batches_is_a_prefix_or_refused() {
    run(async {
        let steps = workload(5, GROUPS, 20)
            .into_iter()
            .take_while(|step| !matches!(step, Step::Snapshot(..)))
            .collect::<Vec<_>>();
        let steps: Vec<Step> = steps.into_iter().filter(is_append).take(6).collect();
        let states = history(&steps, GROUPS).await;
        let disk = SimDisk::new(1);
        assert_eq!(run_steps(&disk, &steps).await, steps.len());
        let name = "0000000000000001.wal";
        let whole = disk.contents(name).expect("the segment");
        let end = whole.iter().rposition(|byte| *byte != 0).expect("batches") + 1;
        let mut seen = std::collections::BTreeSet::new();
        for len in 512..=end {
            // Cut short, and zeros in its place.
            for tail in [0, whole.len() - len] {
                let image = after(&disk, 1, Keep::Everything);
                let mut data = whole[..len].to_vec();
                data.resize(len + tail, 0);
                image.set_contents(name, Some(data));
                let wal = open(&image).await.unwrap_or_else(|error| panic!("{len}: {error}"));
                let found = normal_all(load(&wal, GROUPS).await.expect("load"));
                let at = states.iter().position(|state| *state == found);
                seen.insert(at.unwrap_or_else(|| panic!("cut at {len}: no prefix")));
            }
        }
        assert_eq!(seen.len(), states.len(), "every prefix was seen");
    });
}

#[test]
fn a_flipped_bit_is_refused_or_costs_at_most_the_last_batch() {
    run(async {
        let steps: Vec<Step> = workload(6, GROUPS, 30)
            .into_iter()
            .take_while(|step| !matches!(step, Step::Snapshot(..)))
            .collect();
        let steps: Vec<Step> = steps.into_iter().filter(is_append).take(3).collect();
        let states = history(&steps, GROUPS).await;
        let disk = SimDisk::new(1);
        assert_eq!(run_steps(&disk, &steps).await, steps.len());
        let (all, name) = (steps.len(), "0000000000000001.wal");
        let whole = disk.contents(name).expect("the segment");
        let end = whole.iter().rposition(|byte| *byte != 0).expect("batches") + 1;
        let (mut refused, mut shorter) = (0, 0);
        for at in 0..end {
            let image = after(&disk, 1, Keep::Everything);
            let mut data = whole.to_vec();
            data[at] ^= 1 << (at % 8);
            image.set_contents(name, Some(data));
            match open(&image).await {
                Err(StorageError::Corrupt { file, remedy, .. }) => {
                    assert!(file == name && !remedy.is_empty(), "byte {at}: {file}");
                    refused += 1;
                }
                Err(StorageError::Refused { .. }) => refused += 1,
                Err(error) => panic!("byte {at}: {error}"),
                Ok(wal) => {
                    let found = normal_all(load(&wal, GROUPS).await.expect("load"));
                    assert!(found == states[all] || found == states[all - 1], "byte {at}");
                    shorter += u32::from(found != states[all]);
                }
            }
        }
        assert!(refused > 100 && shorter > 10, "{refused} refused, {shorter} shorter");
    });
}

/// A process is killed, its successor reads what was not synced yet and answers for it; then the power goes.
#[test]
fn what_a_successor_has_loaded_is_durable() {
    run(async {
        let steps = workload(4, GROUPS, 40);
        let disk = SimDisk::new(1);
        run_steps(&disk, &steps).await;
        let mut unsynced = 0;
        for at in 1..=disk.boundaries() {
            let disk = SimDisk::new(1);
            disk.unmount_at(at);
            run_steps(&disk, &steps).await;
            unsynced += u32::from(disk.unsynced_sectors() > 0);
            let successor = open(&disk).await.expect("open");
            let loaded = normal_all(load(&successor, GROUPS).await.expect("load"));
            drop(successor);
            let disk = after(&disk, at, Keep::Nothing);
            let wal = open(&disk).await.unwrap_or_else(|error| panic!("boundary {at}: {error}"));
            let found = normal_all(load(&wal, GROUPS).await.expect("load"));
            assert!(found == loaded, "boundary {at}\nfound {found:#?}\nwant {loaded:#?}");
        }
        assert!(unsynced > 20, "only {unsynced} kills before a sync");
    });
}
