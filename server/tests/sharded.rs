//! A sharded cluster of real processes: groups that join and leave, shards that move, nodes that are killed.

mod common;

use common::eventually;
use common::fleet::Fleet;

/// Three nodes, each with the controller and three groups.
const GROUPS: &str = "0=1+2+3,1=1+2+3,2=1+2+3,3=1+2+3";

fn imported(fleet: &Fleet, lines: usize) -> String {
    let text: String = (0..lines).map(|n| format!("line {n} of a text\n")).collect();
    let file = fleet.dir.path().join("text");
    std::fs::write(&file, &text).unwrap();
    fleet.ok(&["import", file.to_str().unwrap(), "--format", "lines"]);
    text
}

#[track_caller]
fn assert_exported(fleet: &Fleet, text: &str) {
    let copy = fleet.dir.path().join("copy");
    fleet.ok(&["export", copy.to_str().unwrap(), "--format", "lines", "--prefix", "0"]);
    assert!(std::fs::read(copy).unwrap() == text.as_bytes(), "{}", fleet.logs());
}

#[test]
fn shards_go_where_they_are_sent_and_the_data_with_them() {
    let mut fleet = Fleet::start(3, GROUPS);
    let joined = fleet.json(&["shard", "join", "1"]);
    assert_eq!(
        (&joined["configuration"], joined["moves"].as_array().unwrap().len()),
        (&1.into(), 16)
    );
    assert!(fleet.ok(&["put", "a", "1"]).starts_with("version "));
    assert_eq!(fleet.ok(&["get", "a"]), "1");
    assert!(fleet.ok(&["append", "a", "-2"]).ends_with(", length 3\n"));
    fleet.ok(&["cas", "b", "z", "--absent"]);
    assert_eq!(fleet.run(&["cas", "b", "y", "--absent"]).code, Some(1));
    assert_eq!(fleet.ok(&["scan"]), "a\t1-2\nb\tz\n");
    assert_eq!(fleet.ok(&["scan", "--limit", "1", "--keys-only"]), "a\n");
    fleet.ok(&["del", "a"]);
    fleet.ok(&["del", "b"]);
    let text = imported(&fleet, 5000);

    // More than a page of one shard, in the order of its keys.
    let file = fleet.dir.path().join("text");
    let tagged = "{one shard}/";
    fleet.ok(&["import", file.to_str().unwrap(), "--format", "lines", "--prefix", tagged]);
    let copy = fleet.dir.path().join("tagged");
    let export = ["export", copy.to_str().unwrap(), "--format", "lines", "--prefix", tagged];
    fleet.ok(&export);
    assert!(std::fs::read(&copy).unwrap() == text.as_bytes());
    assert_eq!(fleet.ok(&["scan", "--keys-only"]).lines().count(), 10_000);
    assert_eq!(fleet.ok(&["scan", "--prefix", tagged, "--limit", "3"]).lines().count(), 3);

    // Another group joins, and it is told how each shard does.
    let join = fleet.run(&["shard", "join", "2", "--wait"]);
    assert_eq!(join.code, Some(0), "{}", join.err);
    assert!(join.out.contains("configuration #2: 8 shards move"), "{}", join.out);
    assert_eq!(join.err.matches("group 1 -> group 2, ").count(), 8, "{}", join.err);
    assert_exported(&fleet, &text);
    // The node that leads the group which sends is killed in the middle.
    fleet.ok(&["shard", "join", "3"]);
    let leader = fleet.leader(1);
    fleet.kill_node(leader);
    fleet.ok(&["shard", "rebalance", "--wait=1m"]);
    assert_exported(&fleet, &text);
    fleet.start_node(leader);

    let rows = fleet.json(&["shard", "list"]);
    let owners: Vec<_> =
        rows.as_array().unwrap().iter().map(|row| row["group"].as_u64().unwrap()).collect();
    for group in 1..=3 {
        let owned = owners.iter().filter(|owner| **owner == group).count();
        assert!((5..=6).contains(&owned), "{owners:?}");
    }
    let other = if owners[0] == 3 { "2" } else { "3" };
    fleet.ok(&["shard", "move", "0", "--to", other, "--wait"]);
    assert!(fleet.ok(&["shard", "list"]).contains("moved by hand"));
    fleet.ok(&["shard", "rebalance", "--weight", "3=2", "--wait"]);
    assert_eq!(fleet.group(3)["shards"].as_array().unwrap().len(), 8);
    fleet.ok(&["shard", "leave", "1", "2", "--wait"]);
    assert_exported(&fleet, &text);
    let query = fleet.ok(&["shard", "query"]);
    assert!(
        query.contains("1 groups") && query.contains("group 3 (weight 2): shards 0-15"),
        "{query}"
    );
    assert!(fleet.ok(&["shard", "query", "1"]).contains("group 1 (weight 1): shards 0-15"));

    // What has left is gone from its old groups, on all nodes.
    eventually("all replicas have the same state", || {
        let status = fleet.json(&["status"]);
        let groups = status["groups"].as_array().unwrap().clone();
        let same = groups.iter().all(|group| {
            let all = group["replicas"].as_array().unwrap();
            let left = group["group"] == 3 || all.iter().all(|it| it["keys"] == 0);
            left && all.len() == 3 && all.iter().all(|it| it["digest"] == all[0]["digest"])
        });
        (same && status["moves"].as_array().unwrap().is_empty()).then_some(())
    });
    let status = fleet.ok(&["status"]);
    assert!(status.contains("group 3: shards 0-15; node "), "{status}");
    assert!(status.contains("group 1: has not joined; node "), "{status}");

    // All at once, as in a power cut.
    (0..3).for_each(|index| fleet.kill_node(index));
    (0..3).for_each(|index| fleet.start_node(index));
    assert_exported(&fleet, &text);
}

#[test]
fn a_status_needs_no_quorum_and_says_what_is_missing() {
    let mut fleet = Fleet::start(3, "0=1+2+3,1=1+2+3");
    fleet.ok(&["shard", "join", "1"]);
    fleet.ok(&["put", "k", "v"]);
    (1..3).for_each(|index| fleet.kill_node(index));
    let mut command = common::sharded();
    command.args(["status", "--timeout", "2s", "--endpoints", &fleet.addresses.join(",")]);
    let status = common::Ended::from(command.output().unwrap());
    assert_eq!(status.code, Some(0), "{}", status.err);
    assert!(status.out.contains("the controller does not answer"), "{}", status.out);
    assert_eq!(status.out.matches("an endpoint cannot be reached").count(), 2, "{}", status.out);
    assert!(status.out.contains("group 1: shards unknown"), "{}", status.out);
}
