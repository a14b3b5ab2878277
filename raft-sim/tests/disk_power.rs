//! What a loss of power leaves.

mod common;

use std::collections::BTreeSet;

use common::*;
use raft_sim::{Keep, SimDisk};
use raft_storage::{Disk, Durability, OpenMode};

/// A file of `old` that is durable, with `new` written over it and not synced.
async fn overwritten(seed: u64, old: &[u8], new: &[u8]) -> SimDisk {
    let disk = SimDisk::new(seed);
    disk.set_contents("file", Some(old.to_vec()));
    let mount = disk.mount();
    let file = mount.open("file", OpenMode::Write).await.expect("open");
    file.write_at(0, new.to_vec(), Durability::Cached).await.expect("write");
    disk
}

fn sectors_of(data: &[u8]) -> Vec<u8> {
    data.chunks(512).map(|sector| sector[0]).collect()
}

#[test]
fn what_is_synced_stays_and_what_is_not_does_not() {
    run(async {
        let disk = SimDisk::new(1);
        let mount = disk.mount();
        let file = mount.open("file", OpenMode::Create).await.expect("open");
        file.write_at(0, vec![1; 1000], Durability::Cached).await.expect("write");
        file.write_at(1000, vec![2; 1000], Durability::Synced).await.expect("write");
        mount.sync_dir().await.expect("sync");
        file.write_at(500, vec![3; 4000], Durability::Cached).await.expect("write");
        assert_eq!(disk.unsynced_bytes(), 4000);
        assert_eq!(disk.unsynced_sectors(), 9);
        disk.power_loss(Keep::Nothing);
        let left = disk.contents("file").expect("there");
        assert_eq!(left, [vec![1; 1000], vec![2; 1000]].concat());
        assert_eq!(disk.unsynced_bytes(), 0);
        assert_eq!((disk.losses().power_losses, disk.losses().sectors), (1, 9));
    });
}

#[test]
fn every_subset_of_sectors_can_be_left() {
    run(async {
        for bits in 0..8 {
            let disk = overwritten(1, &[1; 1300], &[2; 1300]).await;
            disk.power_loss(Keep::Sectors(bits));
            let want: Vec<u8> = (0..3).map(|at| 1 + (bits >> at & 1) as u8).collect();
            assert_eq!(sectors_of(&disk.contents("file").expect("there")), want);
        }
        // And the seed finds all of them by itself.
        let mut seen = BTreeSet::new();
        for seed in 0..100 {
            let disk = overwritten(seed, &[1; 1300], &[2; 1300]).await;
            disk.power_loss(Keep::RandomSectors);
            seen.insert(sectors_of(&disk.contents("file").expect("there")));
        }
        assert_eq!(seen.len(), 8);
    });
}

#[test]
fn a_sector_is_written_as_a_whole() {
    run(async {
        for seed in 0..50 {
            let disk = overwritten(seed, &[1; 4096], &[2; 4096]).await;
            disk.power_loss(if seed % 2 == 0 { Keep::RandomSectors } else { Keep::Prefix });
            for sector in disk.contents("file").expect("there").chunks(512) {
                assert!(sector.iter().all(|byte| *byte == sector[0]), "seed {seed}");
            }
        }
    });
}

#[test]
fn a_write_can_be_torn_at_every_byte() {
    run(async {
        for count in 0..=1300 {
            let disk = overwritten(1, &[1; 1300], &[2; 1300]).await;
            disk.power_loss(Keep::Bytes(count as u64));
            let want = [vec![2; count], vec![1; 1300 - count]].concat();
            assert_eq!(disk.contents("file").expect("there"), want);
        }
    });
}

/// Two writes over each other: the sector may have the first of them and not the second.
#[test]
fn a_sector_written_twice_may_keep_either() {
    run(async {
        let mut seen = BTreeSet::new();
        for seed in 0..60 {
            let disk = overwritten(seed, &[1; 512], &[2; 512]).await;
            let file = disk.mount().open("file", OpenMode::Write).await.expect("open");
            file.write_at(0, vec![3; 512], Durability::Cached).await.expect("write");
            disk.power_loss(Keep::Prefix);
            seen.insert(disk.contents("file").expect("there")[0]);
        }
        assert_eq!(seen, BTreeSet::from([1, 2, 3]));
    });
}

/// Over all files and the directory: if a later change is left, then so is every earlier one.
#[test]
fn a_prefix_has_no_gaps() {
    run(async {
        let (mut lengths, mut torn) = (BTreeSet::new(), 0);
        for seed in 0..200 {
            let disk = SimDisk::new(seed);
            disk.set_contents("a", Some(vec![0; 2048]));
            disk.set_contents("b", Some(vec![0; 2048]));
            let mount = disk.mount();
            let a = mount.open("a", OpenMode::Write).await.expect("open");
            let b = mount.open("b", OpenMode::Write).await.expect("open");
            for number in 1..=4 {
                let file = if number % 2 == 0 { &a } else { &b };
                let data = vec![number; 1024];
                file.write_at(u64::from(number / 3) * 1024, data, Durability::Cached)
                    .await
                    .expect("write");
                if number == 2 {
                    mount.rename("a", "c").await.expect("rename");
                }
            }
            disk.power_loss(Keep::Prefix);
            let a = disk.contents("a").or(disk.contents("c")).expect("one of them");
            let b = disk.contents("b").expect("there");
            // In the order of writing: b, a, the name, b, a.
            let name = if disk.contents("c").is_some() { 1 } else { 0 };
            let half = |data: &[u8], at: usize| sectors_of(&data[at..at + 1024]);
            let steps = [half(&b, 0), half(&a, 0), vec![name; 2], half(&b, 1024), half(&a, 1024)];
            let steps: Vec<bool> = steps.concat().into_iter().map(|byte| byte > 0).collect();
            let kept = steps.iter().take_while(|kept| **kept).count();
            assert!(steps[kept..].iter().all(|kept| !kept), "seed {seed}: {steps:?}");
            lengths.insert(kept);
            torn += disk.losses().torn_writes;
        }
        // The name takes two places here.
        assert_eq!(lengths.len(), 10, "{lengths:?}");
        assert!(torn > 10, "{torn} torn");
    });
}

#[test]
fn the_length_and_the_data_are_lost_apart() {
    run(async {
        let (mut zeros, mut short) = (0, 0);
        for seed in 0..100 {
            let disk = overwritten(seed, &[1; 512], &[2; 2048]).await;
            disk.power_loss(Keep::RandomSectors);
            let left = disk.contents("file").expect("there");
            zeros += u32::from(left.len() == 2048 && left[1536..] == [0; 512]);
            short += u32::from(left.len() == 512 && disk.losses().lengths == 1);
        }
        assert!(zeros > 5 && short > 5, "{zeros} longer than their data, {short} shorter");
    });
}

#[test]
fn a_length_that_is_not_synced_may_be_lost() {
    run(async {
        for (keep, left) in [(Keep::Nothing, 1000), (Keep::Everything, 10)] {
            let disk = SimDisk::new(1);
            disk.set_contents("file", Some(vec![7; 1000]));
            let file = disk.mount().open("file", OpenMode::Write).await.expect("open");
            file.set_len(10).await.expect("set length");
            disk.power_loss(keep);
            assert_eq!(disk.contents("file").expect("there"), vec![7; left]);
        }
    });
}

#[test]
fn names_are_durable_with_the_directory_only() {
    run(async {
        let disk = SimDisk::new(1);
        disk.set_contents("old", Some(b"old".to_vec()));
        disk.set_contents("gone", Some(b"gone".to_vec()));
        let mount = disk.mount();
        let file = mount.open("new", OpenMode::Create).await.expect("create");
        file.write_at(0, b"data".to_vec(), Durability::Synced).await.expect("write");
        mount.rename("old", "renamed").await.expect("rename");
        mount.remove("gone").await.expect("remove");
        let image = disk.image();
        disk.power_loss(Keep::Nothing);
        assert_eq!(disk.names(), ["gone", "old"]);
        assert_eq!(disk.losses().names, 3);
        let mut seen = BTreeSet::new();
        for seed in 0..60 {
            let disk = SimDisk::of_image(seed, &image);
            disk.power_loss(Keep::RandomSectors);
            seen.insert(disk.names().join(" "));
        }
        // As a journal would leave them: in order.
        let want = ["gone old", "gone new old", "gone new renamed", "new renamed"];
        assert_eq!(seen, want.map(String::from).into());
        let mount = disk.mount();
        mount.remove("gone").await.expect("remove");
        mount.sync_dir().await.expect("sync");
        disk.power_loss(Keep::Nothing);
        assert_eq!(disk.names(), ["old"]);
    });
}

/// A file that is emptied by being created again keeps its old bytes until that is synced.
#[test]
fn creating_over_a_file_empties_it_and_may_come_undone() {
    run(async {
        let disk = SimDisk::new(1);
        disk.set_contents("file", Some(vec![7; 100]));
        let file = disk.mount().open("file", OpenMode::Create).await.expect("create");
        assert_eq!(file.size().await.expect("size"), 0);
        let image = disk.image();
        disk.power_loss(Keep::Nothing);
        assert_eq!(disk.size("file"), Some(100));
        let other = SimDisk::of_image(2, &image);
        other.power_loss(Keep::Everything);
        assert_eq!(other.size("file"), Some(0));
    });
}

/// Files that have lost their last name take no memory for ever.
#[test]
fn a_removed_file_lives_as_long_as_somebody_has_it_open() {
    run(async {
        let disk = SimDisk::new(1);
        let mount = disk.mount();
        let file = mount.open("file", OpenMode::Create).await.expect("create");
        file.write_at(0, b"data".to_vec(), Durability::Synced).await.expect("write");
        mount.sync_dir().await.expect("sync");
        mount.remove("file").await.expect("remove");
        mount.sync_dir().await.expect("sync");
        assert_eq!(file.read_at(0, 10).await.expect("read"), &b"data"[..]);
        assert_eq!(disk.files_held(), 1);
        assert_eq!(SimDisk::of_image(1, &disk.image()).files_held(), 0);
        drop(file);
        mount.sync_dir().await.expect("sync");
        assert_eq!(disk.files_held(), 0);
        // The handles of the dead count for nothing.
        let _dead = mount.open("file", OpenMode::Create).await.expect("create");
        disk.power_loss(Keep::Nothing);
        assert_eq!(disk.files_held(), 0);
    });
}
