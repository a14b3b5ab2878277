//! A process on a disk: killed, nothing of it is left but what it wrote.

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::*;
use raft_sim::disk::{DiskEvent, Failure, OpKind, Outcome, Phase};
use raft_sim::{Keep, SimDisk};
use raft_storage::{Disk, DiskErrorKind, Durability, OpenMode};

#[test]
fn nothing_of_a_dead_process_completes_or_has_an_effect() {
    run_paused(async {
        let disk = SimDisk::new(1);
        disk.set_contents("file", Some(vec![1; 10]));
        let old = disk.mount();
        let file = old.open("file", OpenMode::Write).await.expect("open");
        let _lock = old.lock("lock").await.expect("lock");
        // One operation is under way and waits for the device.
        let second = Duration::from_secs(1);
        disk.set_latency(OpKind::Write, second..=second);
        let under_way = tokio::spawn({
            let file = Arc::clone(&file);
            async move { file.write_at(0, vec![2; 10], Durability::Synced).await }
        });
        tokio::time::sleep(second / 2).await;
        disk.unmount();
        let attempts = [
            tokio::spawn({
                let old = old.clone();
                async move { drop(old.remove("file").await) }
            }),
            tokio::spawn({
                let old = old.clone();
                async move { drop(old.list().await) }
            }),
            tokio::spawn(async move { drop(file.set_len(0).await) }),
        ];
        tokio::time::sleep(second * 100).await;
        assert!(!under_way.is_finished() && attempts.iter().all(|task| !task.is_finished()));
        assert_eq!(disk.contents("file").expect("there"), vec![1; 10]);
        assert!(!old.is_alive());
        // Its successor finds the lock free, though the old one is still held somewhere.
        let new = disk.mount();
        new.lock("lock").await.expect("the dead hold no locks");
        // Dropping what was under way does nothing either.
        under_way.abort();
        tokio::time::sleep(second).await;
        assert_eq!(disk.contents("file").expect("there"), vec![1; 10]);
    });
}

#[test]
fn the_lock_keeps_the_living_apart() {
    run(async {
        let disk = SimDisk::new(1);
        let (first, second) = (disk.mount(), disk.mount());
        let lock = first.lock("lock").await.expect("lock");
        let error = second.lock("lock").await.expect_err("held");
        assert_eq!(error.kind, DiskErrorKind::Locked);
        assert_eq!(first.lock("lock").await.expect_err("held").kind, DiskErrorKind::Locked);
        drop(lock);
        second.lock("lock").await.expect("free again");
        assert_eq!(disk.names(), ["lock"]);
    });
}

#[test]
fn what_was_written_survives_the_process_unsynced() {
    run(async {
        let disk = SimDisk::new(1);
        let file = disk.mount().open("file", OpenMode::Create).await.expect("create");
        file.write_at(0, vec![1; 10], Durability::Cached).await.expect("write");
        disk.unmount();
        assert_eq!(disk.contents("file").expect("there"), vec![1; 10]);
        // Still unsynced: the system may lose it later.
        disk.power_loss(Keep::Nothing);
        assert_eq!(disk.contents("file"), None);
    });
}

#[test]
fn the_end_of_a_process_can_be_waited_for() {
    run_paused(async {
        let disk = SimDisk::new(1);
        let old = disk.mount();
        let waiting = tokio::spawn({
            let old = old.clone();
            async move { old.ended().await }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!waiting.is_finished());
        disk.power_loss(Keep::Everything);
        waiting.await.expect("ends");
        old.ended().await;
        let new = disk.mount();
        let none = tokio::time::timeout(Duration::from_secs(1), new.ended()).await;
        assert!(none.is_err(), "the successor lives");
    });
}

/// Every operation of a small script, with the phases in which the hook sees it.
fn traced(disk: &SimDisk) -> Arc<Mutex<Vec<DiskEvent>>> {
    let events: Arc<Mutex<Vec<DiskEvent>>> = Arc::default();
    let to = Arc::clone(&events);
    disk.set_hook(Arc::new(move |event| to.lock().expect("not poisoned").push(event.clone())));
    events
}

async fn script(disk: &SimDisk) {
    let mount = disk.mount();
    let work = async {
        let file = mount.open("a", OpenMode::Create).await.expect("create");
        file.write_at(5, vec![1; 3], Durability::Synced).await.expect("write");
        mount.rename("a", "b").await.expect("rename");
        mount.sync_dir().await.expect("sync");
        mount.remove("missing").await.expect_err("not there");
    };
    tokio::select! {
        biased;
        () = mount.ended() => {}
        () = work => {}
    }
}

#[test]
fn the_hook_sees_every_effect_twice_and_in_order() {
    run(async {
        let disk = SimDisk::new(1);
        let events = traced(&disk);
        script(&disk).await;
        let seen: Vec<String> =
            events.lock().expect("not poisoned").iter().map(ToString::to_string).collect();
        let want = [
            "before create a (operation 1)",
            "after create a (operation 1)",
            "before write a (operation 2, 3 bytes at 5)",
            "after write a (operation 2, 3 bytes at 5)",
            "before sync a (operation 3)",
            "after sync a (operation 3)",
            "before rename a (operation 4)",
            "after rename a (operation 4)",
            "before sync directory . (operation 5)",
            "after sync directory . (operation 5)",
            "before remove missing (operation 6)",
            "after failed remove missing (operation 6)",
        ];
        assert_eq!(seen, want);
        disk.clear_hook();
        script(&disk).await;
        assert_eq!(events.lock().expect("not poisoned").len(), 12);
    });
}

#[test]
fn a_hook_can_kill_the_process_on_either_side_of_any_effect() {
    run(async {
        // What stands on the disk after a kill at each event, power and all.
        let states = [
            (None, None),
            (Some(0), None),
            (Some(8), None),
            (Some(8), None),
            (None, Some(8)),
            (None, Some(8)),
            (None, Some(8)),
        ];
        for at in 0..12 {
            // The same without a hook.
            let other = SimDisk::new(1);
            other.unmount_at(at + 1);
            script(&other).await;
            assert_eq!(other.boundaries(), at + 1);
            let disk = SimDisk::new(1);
            let (killer, count) = (disk.clone(), Mutex::new(0));
            disk.set_hook(Arc::new(move |_| {
                let mut count = count.lock().expect("not poisoned");
                if *count == at {
                    killer.unmount();
                }
                *count += 1;
            }));
            script(&disk).await;
            let (a, b) = states[(at as usize).div_ceil(2)];
            for disk in [disk, other] {
                assert_eq!((disk.size("a"), disk.size("b")), (a, b), "killed at {at}");
            }
        }
    });
}

/// Killed between the effect and the news of it: the process never hears.
#[test]
fn what_took_effect_as_the_process_died_is_not_reported() {
    run_paused(async {
        let disk = SimDisk::new(1);
        let mount = disk.mount();
        let killer = disk.clone();
        disk.set_hook(Arc::new(move |event| {
            if matches!(event.phase, Phase::After(_)) {
                killer.unmount();
            }
        }));
        let opening = mount.open("file", OpenMode::Create);
        assert!(tokio::time::timeout(Duration::from_secs(9), opening).await.is_err());
        assert_eq!(disk.names(), ["file"]);
    });
}

#[test]
fn the_hook_knows_what_failed() {
    run(async {
        let disk = SimDisk::new(1);
        let events = traced(&disk);
        disk.fail(OpKind::Create, 1, Failure::Io);
        disk.mount().open("a", OpenMode::Create).await.map(|_| ()).expect_err("fails");
        let last = events.lock().expect("not poisoned").pop().expect("one");
        assert_eq!(last.phase, Phase::After(Outcome::Failed));
    });
}

/// As on a real disk, where the thread that writes does not hear of it.
#[test]
fn an_operation_that_is_given_up_may_still_happen() {
    run(async {
        let (mut done, mut not) = (0, 0);
        for seed in 0..40 {
            let disk = SimDisk::new(seed);
            disk.set_contents("file", Some(vec![]));
            let file = disk.mount().open("file", OpenMode::Write).await.expect("open");
            let mut write = file.write_at(0, vec![1; 10], Durability::Cached);
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(write.as_mut().poll(&mut context).is_pending());
            drop(write);
            match disk.size("file") {
                Some(10) => done += 1,
                _ => not += 1,
            }
            // One that was never begun does not happen.
            drop(file.set_len(77));
            assert_ne!(disk.size("file"), Some(77));
        }
        assert!(done > 5 && not > 5, "{done} happened, {not} did not");
    });
}

#[test]
fn the_same_seed_is_the_same_disk() {
    async fn image(seed: u64) -> (Vec<String>, Vec<DiskEvent>) {
        let disk = SimDisk::new(seed);
        let events = traced(&disk);
        disk.set_failure_rate(OpKind::Write, Failure::Io, 0.3);
        let mount = disk.mount();
        for number in 0..20u8 {
            let file = mount.open(&format!("{number}"), OpenMode::Create).await.expect("create");
            let _ = file.write_at(0, vec![number; 3000], Durability::Cached).await;
        }
        disk.power_loss(Keep::RandomSectors);
        let files = disk.names().into_iter().map(|name| {
            let data = disk.contents(&name);
            format!("{name}: {data:?}")
        });
        let files = files.collect();
        let events = events.lock().expect("not poisoned").clone();
        (files, events)
    }
    run(async {
        let first = image(4).await;
        assert_eq!(first, image(4).await);
        assert_ne!(first, image(5).await);
    });
}
