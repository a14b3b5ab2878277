//! Groups, shards and nodes that are not as somebody says.

mod common;

use std::process::{Command, Stdio};

use common::fleet::Fleet;
use common::{Ended, Guard, ended, eventually, free_ports, sharded, shardkv};

fn ending(command: &mut Command) -> Ended {
    command.output().unwrap().into()
}

/// Three nodes with the controller, of which two have group 1 and one has group 2.
fn fleet() -> Fleet {
    let fleet = Fleet::start(3, "0=1+2+3,1=1+2,2=3");
    fleet.ok(&["shard", "join", "1"]);
    fleet
}

#[test]
fn a_change_that_makes_no_sense_is_refused_and_changes_nothing() {
    let fleet = fleet();
    let at = |index: usize| fleet.addresses[index].clone();
    let servers = |ids: &[(usize, usize)]| {
        let servers = ids.iter().map(|(id, index)| format!("{id}={}", at(*index)));
        servers.collect::<Vec<_>>().join(",")
    };
    let refused = |words: &[&str], code, says: &[&str]| {
        fleet.refused(&[&["shard"], words].concat(), code, says);
    };
    // A group that has joined, otherwise; and just like this, which is no error.
    refused(&["join", "1", "--servers", &servers(&[(1, 0)])], 1, &["joined already, otherwise"]);
    refused(&["join", "1", "--weight", "2"], 1, &["joined already, otherwise"]);
    let again = fleet.run(&["shard", "join", "1"]);
    assert_eq!(again.code, Some(0), "{}", again.err);
    assert!(again.err.contains("just like this") && again.out.contains("no shard moves"));
    // Nodes that do not run the group, are other nodes, or are not there.
    refused(
        &["join", "2", "--servers", &servers(&[(1, 0)])],
        1,
        &["node 1 at", "does not run group 2: it runs 0, 1"],
    );
    refused(&["join", "2", "--servers", &servers(&[(2, 2)])], 1, &["is node 3, and not node 2"]);
    refused(
        &["join", "2", "--servers", &servers(&[(2, 1), (3, 2)])],
        1,
        &["node 2 at", "does not run group 2"],
    );
    let nowhere = format!("9=127.0.0.1:{}", free_ports(1)[0]);
    refused(&["join", "9", "--servers", &nowhere], 3, &["no node of group 9 answers"]);
    refused(&["join", "9"], 1, &["knows of group 9"]);
    refused(&["join", "0"], 2, &["group 0 is the controller"]);
    refused(&["join", "2", "3", "--servers", &nowhere], 2, &["one at a time"]);
    refused(&["join", "2", "--weight", "0"], 2, &["--weight"]);
    // The last group, and unknown ones.
    refused(&["leave", "1"], 1, &["nobody would serve", "--last"]);
    refused(&["leave", "4"], 1, &["there is no group g4"]);
    refused(&["leave", "1", "4"], 1, &["there is no group g4"]);
    refused(&["move", "0", "--to", "4"], 1, &["there is no group g4"]);
    refused(&["move", "16", "--to", "1"], 1, &["no shard s16: there are 16"]);
    refused(&["move", "70000", "--to", "1"], 2, &["70000"]);
    refused(&["rebalance", "--weight", "4=1"], 1, &["there is no group g4"]);
    refused(&["rebalance", "--weight", "1=0"], 1, &["the weight 0"]);
    refused(&["rebalance", "--weight", "1"], 2, &["is no weight"]);
    refused(&["query", "9"], 1, &["no configuration #9: the newest is #1"]);
    refused(&["list", "--mode", "plain"], 2, &["a plain cluster has no shards"]);
    assert_eq!(fleet.json(&["shard", "query"])["configuration"], 1, "nothing was changed");

    // What was asked for after all.
    fleet.ok(&["put", "k", "v"]);
    fleet.ok(&["shard", "leave", "1", "--last", "--wait"]);
    let missing = ending(sharded().args(["get", "k", "--timeout", "1s", "--endpoints", &at(0)]));
    assert_eq!(missing.code, Some(3), "{}", missing.err);
    assert!(missing.err.contains("no group has that shard"), "{}", missing.err);
    fleet.ok(&["shard", "join", "2", "--wait"]);
    assert_eq!(fleet.ok(&["get", "k"]), "v", "it went from the group that rested to the new one");
}

#[test]
fn a_node_keeps_its_groups_its_mode_and_its_cluster() {
    let mut fleet = fleet();
    fleet.ok(&["put", "k", "v"]);
    fleet.kill_node(0);
    let refused = |command: &mut Command, code: i32, says: &[&str]| {
        let ended = ending(command);
        assert_eq!(ended.code, Some(code), "{}", ended.err);
        says.iter().for_each(|says| assert!(ended.err.contains(says), "{says}: {}", ended.err));
    };
    let node = |groups: &str| {
        let mut command = fleet.node_command(0);
        command.args(["--groups", groups]);
        command
    };
    refused(&mut node("0=1+2+3,2=1+3"), 1, &["has a replica of group 1", "gives node 1 only 0, 2"]);
    refused(
        &mut node("0=1+2+3,1=1+2+3"),
        1,
        &["was made with the nodes 1, 2, and `groups` says 1, 2, 3"],
    );
    refused(&mut node("0=2+3,1=2+3"), 2, &["no group on node 1"]);
    refused(&mut node("1=1+2"), 2, &["where the controller is"]);
    refused(&mut node("0=1+2+3,1=1+9"), 2, &["replica on node 9"]);
    let mut plain = fleet.node_command(0);
    refused(plain.args(["--mode", "plain"]), 1, &["of a node of a sharded cluster"]);
    fleet.start_node(0);
    fleet.leader(1);

    // And the other way round.
    let dir = fleet.dir.path().join("plain");
    let server = || {
        let mut command = shardkv();
        command.args(["server", "--cluster-id", "7", "--node-id", "1", "--data-dir"]).arg(&dir);
        command.args(["--listen", "127.0.0.1:0"]);
        command
    };
    let mut once = Guard(server().stderr(Stdio::null()).spawn().unwrap());
    eventually("it has a log", || {
        let wal = ending(sharded().args(["inspect", "wal"]).arg(&dir));
        (wal.out.lines().count() > 2).then_some(())
    });
    common::signal(&once.0, "TERM");
    assert_eq!(ended(&mut once.0), Some(0));
    refused(server().env_remove("SHARDKV_MODE"), 1, &["of a node of a plain cluster"]);

    // A node of another cluster finds that the controller is not its own.
    let mut foreign = sharded();
    foreign.args(["server", "--cluster-id", "8", "--node-id", "4", "--data-dir"]);
    foreign.arg(fleet.dir.path().join("foreign")).args(["--listen", "127.0.0.1:0"]);
    foreign.args(["--peers", &fleet.peers(), "--groups", "0=1+2+3,1=4"]);
    refused(&mut foreign, 1, &["is of cluster 7, and this node is of cluster 8"]);
}

#[test]
fn a_client_of_the_other_mode_is_told_so() {
    let fleet = fleet();
    let at = fleet.addresses.join(",");
    for words in [&["get", "k"][..], &["status"]] {
        let plain = ending(shardkv().args(words).args(["--endpoints", &at, "--timeout", "2s"]));
        assert_eq!(plain.code, Some(3), "{words:?}: {}", plain.err);
        assert!(plain.err.contains("--mode sharded"), "{words:?}: {}", plain.err);
    }
    let cluster = common::Cluster::start(&[]);
    cluster.leader();
    for words in [&["get", "k"][..], &["status"], &["shard", "list"]] {
        let there = ["--endpoints", &cluster.endpoints(), "--timeout", "2s"];
        let sharded = ending(sharded().args(words).args(there));
        assert_eq!(sharded.code, Some(3), "{words:?}: {}", sharded.err);
        assert!(sharded.err.contains("--mode plain"), "{words:?}: {}", sharded.err);
    }
}
