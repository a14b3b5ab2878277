//! What a node does with bytes that no client and no node sends, and with directories that are not as it
//! left them.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use common::{Cluster, Ended, ended, eventually, run, shardkv, signal};

/// Starts the node of a directory that it must refuse.
fn refused(cluster: &Cluster, index: usize) -> Ended {
    let output = shardkv()
        .args(["server", "--cluster-id", "7", "--node-id", &(index + 1).to_string()])
        .arg("--data-dir")
        .arg(cluster.data_dir(index))
        .args(["--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let ended = Ended::from(output);
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    ended
}

fn stopped(cluster: &mut Cluster) {
    for index in 0..3 {
        let mut node = cluster.nodes[index].take().unwrap();
        signal(&node.0, "TERM");
        assert_eq!(ended(&mut node.0), Some(0), "{}", cluster.logs());
    }
}

/// Every file's name and content.
fn image(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn garbage_on_the_port_harms_nobody() {
    let mut cluster = Cluster::start(&[]);
    cluster.ok(&["put", "k", "v"]);
    let mut random = 0x9e37_79b9_u32;
    let mut noise = |bytes: usize| -> Vec<u8> {
        std::iter::repeat_with(|| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 24) as u8
        })
        .take(bytes)
        .collect()
    };
    let mut openings: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n".to_vec(),
        vec![0; 4096],
        vec![0xff; 4096],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
    ];
    openings.extend((0..20).map(|n| noise(1 << n.min(14))));
    let mut idle = Vec::new();
    for address in &cluster.addresses {
        for opening in &openings {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            // Both fail when the node has hung up already.
            let _ = stream.write_all(opening);
            let _ = stream.read(&mut [0; 64]);
        }
        // These never say anything, and stay.
        idle.extend((0..50).map(|_| TcpStream::connect(address).unwrap()));
    }
    cluster.ok(&["put", "k", "w"]);
    assert_eq!(cluster.ok(&["get", "k"]), "w");
    assert!(cluster.status().iter().all(|row| row["reachable"] == true), "{}", cluster.logs());
    assert!(!cluster.logs().contains("panicked"), "{}", cluster.logs());
    drop(idle);
    stopped(&mut cluster);
}

#[test]
fn a_damaged_log_is_refused_and_left_as_it_is() {
    let mut cluster = Cluster::start(&[]);
    for n in 0..20 {
        cluster.ok(&["put", &format!("key {n}"), "value"]);
    }
    stopped(&mut cluster);
    let dir = cluster.data_dir(0);
    let segment = dir.join("0000000000000001.wal");
    let whole = fs::read(&segment).unwrap();
    let wal = run(&["inspect", "wal", dir.to_str().unwrap()]);
    let offsets: Vec<usize> = wal
        .out
        .lines()
        .filter_map(|line| line.split_once('+')?.1.split(' ').next()?.parse().ok())
        .collect();

    // A bit in the middle: what follows was acknowledged.
    let mut rotten = whole.clone();
    let at = offsets[offsets.len() / 2] + 44;
    rotten[at] ^= 1;
    fs::write(&segment, &rotten).unwrap();
    let before = image(&dir);
    let said = refused(&cluster, 0);
    assert!(said.err.contains("0000000000000001.wal"), "{}", said.err);
    assert!(said.err.contains("restore this node from its peers"), "{}", said.err);
    assert!(before == image(&dir), "the refused directory was changed");
    assert_eq!(run(&["inspect", "wal", dir.to_str().unwrap()]).code, Some(1));

    // A header, a missing segment, a missing identity.
    let mut rotten = whole.clone();
    rotten[9] ^= 1;
    fs::write(&segment, &rotten).unwrap();
    assert!(refused(&cluster, 0).err.contains("0000000000000001.wal"));
    fs::remove_file(&segment).unwrap();
    refused(&cluster, 0);
    fs::write(&segment, &whole).unwrap();
    let identity = fs::read(dir.join("identity")).unwrap();
    fs::remove_file(dir.join("identity")).unwrap();
    let groups = fs::read(dir.join("groups")).unwrap();
    assert!(refused(&cluster, 0).err.contains("identity"));
    assert!(groups == fs::read(dir.join("groups")).unwrap(), "its groups are others now");
    fs::write(dir.join("identity"), &identity[..identity.len() / 2]).unwrap();
    assert!(refused(&cluster, 0).err.contains("identity"));
    fs::write(dir.join("identity"), &identity).unwrap();

    // What does not belong there is left alone, and what a crash leaves is cleared away.
    fs::write(dir.join("notes.txt"), "of the operator").unwrap();
    fs::write(dir.join("identity.tmp"), "half").unwrap();
    (0..3).for_each(|index| cluster.start_node(index));
    assert_eq!(cluster.ok(&["get", "key 19"]), "value");
    eventually("the repaired node has everything", || {
        let rows = cluster.status();
        (rows[0]["keys"] == 20 && rows[0]["digest"] == rows[1]["digest"]).then_some(())
    });
    assert_eq!(fs::read(dir.join("notes.txt")).unwrap(), b"of the operator");
    assert!(!dir.join("identity.tmp").exists());
}

#[test]
fn a_node_that_lost_its_directory_is_not_let_in() {
    let mut cluster = Cluster::start(&[]);
    let lost = (cluster.leader() + 1) % 3;
    cluster.ok(&["put", "k", "v"]);
    eventually("all have it", || cluster.status().iter().all(|row| row["keys"] == 1).then_some(()));
    cluster.kill_node(lost);
    fs::remove_dir_all(cluster.data_dir(lost)).unwrap();
    // Also if nobody had told it: the others know it by another one.
    cluster.start_node(lost);
    let mut node = cluster.nodes[lost].take().unwrap();
    assert_eq!(ended(&mut node.0), Some(1), "{}", cluster.logs());
    assert!(cluster.logs().contains("had another data directory"), "{}", cluster.logs());
    assert!(!cluster.data_dir(lost).exists(), "it was made for nothing");
    for n in 0..5 {
        cluster.ok(&["put", &format!("later {n}"), "v"]);
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let ended = run(&[
        "server",
        "--cluster-id",
        "7",
        "--node-id",
        "1",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        "/dev/null/node",
    ]);
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.err.contains("/dev/null/node"), "{}", ended.err);
}
