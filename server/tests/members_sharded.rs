//! Real processes that join a sharded cluster and leave it, group by group.

mod common;

use common::crew::Crew;
use common::load::Load;
use common::{eventually, free_ports};

const GROUPS: [u64; 2] = [0, 1];

/// The nodes of group 1, as the newest configuration has them.
fn servers(crew: &Crew) -> Option<Vec<String>> {
    let query = crew.run(&["shard", "query", "--json"]);
    let query: serde_json::Value = serde_json::from_str(&query.out).ok()?;
    let servers = query["groups"].as_array()?[0]["servers"].as_object()?.clone();
    Some(servers.into_values().map(|at| at.as_str().unwrap().to_owned()).collect())
}

#[track_caller]
fn clients_are_told(crew: &Crew, nodes: &[u64]) {
    let expected: Vec<_> = nodes.iter().map(|node| crew.addresses[node].clone()).collect();
    eventually("the configuration has the nodes of the group", || {
        (servers(crew)? == expected).then_some(())
    });
}

#[test]
fn all_nodes_of_all_groups_are_replaced_under_load() {
    let mut crew = Crew::start("sharded");
    crew.ok(&["shard", "join", "1"]);
    let load = Load::start("sharded", &crew.endpoints());
    load.goes_on(20);
    for node in [2, 3] {
        crew.join(node);
        GROUPS.iter().for_each(|group| crew.votes(node, *group));
    }
    clients_are_told(&crew, &[1, 2, 3]);
    for (old, new) in [(1, 4), (2, 5), (3, 6)] {
        crew.join(new);
        GROUPS.iter().for_each(|group| crew.votes(new, *group));
        for group in GROUPS {
            let (old, group) = (old.to_string(), group.to_string());
            crew.ok(&["member", "remove", &old, "--group", &group]);
        }
        assert_eq!(crew.ended(old), Some(5), "{}", crew.logs());
        load.goes_on(20);
    }
    GROUPS.iter().for_each(|group| crew.voters(*group, &[4, 5, 6]));
    clients_are_told(&crew, &[4, 5, 6]);
    load.goes_on(20);
    load.judge();
    (4..=6).for_each(|node| crew.kill(node));
    (4..=6).for_each(|node| crew.go_on(node));
    crew.ok(&["put", "after", "all"]);
    crew.ok(&["shard", "rebalance", "--wait"]);
}

#[test]
fn a_node_is_in_the_groups_that_it_was_given() {
    let mut crew = Crew::of_three("sharded", &GROUPS);
    crew.ok(&["shard", "join", "1"]);
    crew.ok(&["put", "k", "v"]);
    let mut command = crew.join_command(4);
    command.args(["--join-groups", "none"]);
    crew.spawn(4, command);
    eventually("node 3 is replaced", || {
        (crew.run(&["member", "replace", "3", "4", "--group", "1"]).code == Some(0)).then_some(())
    });
    crew.voters(1, &[1, 2, 4]);
    crew.voters(0, &[1, 2, 3]);
    clients_are_told(&crew, &[1, 2, 4]);
    eventually("node 3 knows", || {
        crew.log(3).contains("removed from the group group=1").then_some(())
    });
    // Both go on with what they have, and a node that is not in a group knows who is.
    for node in [3, 4] {
        crew.kill(node);
        crew.go_on(node);
    }
    crew.voters(1, &[1, 2, 4]);
    let only = crew.addresses[&4].clone();
    let mut command = common::sharded();
    command.args(["get", "k", "--timeout", "20s", "--endpoints", &only]);
    let got = common::Ended::from(command.output().unwrap());
    assert_eq!(got.out, "v", "{}", got.err);
    // It is given the group again after a restart, with what it had of it.
    crew.ok(&["member", "add", "3", "--group", "1"]);
    crew.voters(1, &[1, 2, 3, 4]);

    let nowhere = format!("127.0.0.1:{}", free_ports(1)[0]);
    let cases: [(&[&str], i32, &[&str]); 6] = [
        (&["member", "list", "--group", "9"], 1, &["there is no group 9"]),
        (&["member", "remove", "2"], 2, &["not said which group", "the groups 0, 1"]),
        (&["member", "remove", "2", "--group", "9"], 1, &["there is no group 9"]),
        (&["leader", "transfer", "--to", "2"], 2, &["not said which group"]),
        (&["leader", "transfer", "--to", "4", "--group", "0"], 1, &["node 4 is no voter"]),
        (&["member", "add", "9", "--group", "1", "--at", &nowhere], 3, &["nothing was changed"]),
    ];
    for (words, code, says) in cases {
        crew.refused(words, code, says);
    }
    let shown = crew.ok(&["member", "list"]);
    assert!(shown.contains("group 0: node ") && shown.contains("group 1: node "), "{shown}");
    crew.ok(&["leader", "transfer", "--to", "3", "--group", "1"]);
    assert!(crew.ok(&["leader", "show", "--group", "1"]).starts_with("group 1: node 3 at "));

    // A node that lost its directory was in both groups, and is removed from each before it comes again.
    crew.kill(3);
    std::fs::remove_dir_all(crew.data_dir(3)).unwrap();
    let mut command = crew.join_command(3);
    command.args(["--node-id", "3"]);
    crew.spawn(3, command);
    for group in GROUPS {
        eventually("it votes again", || {
            let voter = format!("this node is a voter group={group}");
            (crew.log(3).matches(&voter).count() == 2).then_some(())
        });
    }
    crew.voters(0, &[1, 2, 3]);
    crew.voters(1, &[1, 2, 3, 4]);
    assert_eq!(crew.ok(&["get", "k"]), "v");
}
