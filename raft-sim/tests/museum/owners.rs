//! Data directories of somebody, and of some time, else: items 37, 62 and 66 of the catalogue.

use std::sync::{Arc, Mutex};

use raft_core::{HardState, Storage, Term, Write, WriteOp, WriteSeq};
use raft_sim::SimDisk;
use raft_sim::cluster::GROUP;
use raft_storage::{Wal, WalOptions};

use super::directories::{forgetful, refused, start, worn};
use super::store::{identity, run};
use super::support::*;

#[test]
fn c62_another_owners_directory_is_refused() {
    let of = |cluster, node| {
        let disk = SimDisk::new(1);
        run(async {
            let mount = Arc::new(disk.mount());
            let wal = Wal::open(mount, identity(cluster, node), WalOptions::default()).await;
            let hard_state = HardState { term: Term(9), voted_for: None };
            let op = WriteOp::HardState(hard_state);
            let write = Write { group: GROUP, seq: WriteSeq(1), op };
            wal.expect("opens").write(vec![write]).await.expect("written");
        });
        disk.image()
    };
    refused("node", &["belongs to node n9 of cluster c7", "start with that node's own"], |disk| {
        disk.restore(&of(7, 9));
    });
    refused("cluster", &["of cluster c8, and this is node", "of cluster c7"], |disk| {
        disk.restore(&of(8, 1));
    });
}

/// Item 62: a backup of the directory is put back. Nothing on one disk says that there was more: the node gets it
/// from the others. What it had promised since is forgotten, so that only the others' copies count; see what
/// raft-core says breaks then.
#[test]
fn c62_a_directory_from_a_backup_gets_what_it_lacks() {
    each_seed(5, |seed| {
        let (mut cluster, victim, mut client) = worn(seed);
        let backup = cluster.disk(victim).image();
        cluster.restart(victim);
        for _ in 0..20 {
            client.propose_somewhere(&mut cluster);
            cluster.run_for(5 * MS);
        }
        cluster.kill(victim);
        cluster.disk(victim).restore(&backup);
        forgetful(&mut cluster, victim);
        assert_eq!(start(&mut cluster, &mut client, victim), None);
        settle(&mut cluster, &mut client);
    });
}

/// Item 66: what crashes have left is removed, what nobody knows is left alone, and neither is in the way.
#[test]
fn c66_left_over_files_are_in_nobodys_way() {
    each_seed(5, |seed| {
        let (mut cluster, victim, mut client) = worn(seed);
        let ours = [
            "00000000000000ff.wal.tmp",
            "0000000000000001.wal.tmp",
            "snapshot-0.tmp",
            "snapshot-0000000000000001-0.tmp",
            "identity.tmp",
        ];
        let foreign = ["lost+found", "core.1234", "notes.txt", "1.wal.bak", "ff.wal"];
        for (at, name) in ours.iter().chain(&foreign).enumerate() {
            let bytes = cluster.sim().rng().usize(0..2000);
            cluster.disk(victim).set_contents(name, Some(vec![at as u8; bytes]));
        }
        // Its presence means nothing.
        cluster.disk(victim).set_contents("lock", Some(b"4711".to_vec()));
        assert_eq!(start(&mut cluster, &mut client, victim), None);
        let names = cluster.disk(victim).names();
        for name in foreign {
            assert!(names.iter().any(|there| there == name), "{name} was removed");
        }
        for name in ["00000000000000ff.wal.tmp", "snapshot-0000000000000001-0.tmp", "identity.tmp"]
        {
            assert!(names.iter().all(|there| there != name), "{name} is left");
        }
        settle(&mut cluster, &mut client);
    });
}

/// Item 37: a second process on a directory is refused, and does not disturb the first one. It starts when that one
/// is gone.
#[test]
fn c37_the_second_process_on_a_directory_is_refused() {
    each_seed(5, |seed| {
        let (mut cluster, leader) = led(seed, 3);
        let mut client = Client::default();
        let (disk, id) = (cluster.disk(leader).clone(), cluster.id(leader).0);
        let second = cluster.sim().add_host("second");
        let before = cluster.leaders();
        for alone in [false, true] {
            if alone {
                cluster.kill(leader);
            }
            let (mount, said) = (Arc::new(disk.mount()), Arc::new(Mutex::new(None)));
            let tell = Arc::clone(&said);
            cluster.sim().start(second, |_| async move {
                let opened = Wal::open(mount, identity(7, id), WalOptions::default()).await;
                *lock(&tell) = Some(opened.map(drop).map_err(|error| error.to_string()));
            });
            for _ in 0..200 {
                client.propose_somewhere(&mut cluster);
                cluster.run_for(5 * MS);
            }
            match lock(&said).clone().expect("it does not wait for ever") {
                Ok(()) => assert!(alone, "two at once"),
                Err(reason) => assert!(!alone && reason.contains("in use by another"), "{reason}"),
            }
            cluster.sim().kill(second);
            assert!(alone || cluster.leaders() == before, "the first one is disturbed");
        }
        settle(&mut cluster, &mut client);
        assert!(client.acked().len() > 200, "only {}", client.acked().len());
    });
}
