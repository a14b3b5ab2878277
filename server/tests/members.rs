//! Real processes that join a plain cluster, leave it, and take each other's place.

mod common;

use common::crew::Crew;
use common::load::Load;
use common::{Ended, ended, eventually, free_ports, signal};

const ONLY: u64 = 0;

#[test]
fn one_node_becomes_three_and_one_again() {
    let mut crew = Crew::start("plain");
    crew.ok(&["put", "k", "v"]);
    crew.join(2);
    crew.voters(ONLY, &[1, 2]);
    crew.join(3);
    crew.voters(ONLY, &[1, 2, 3]);
    assert_eq!(crew.ok(&["get", "k"]), "v");
    // Done already: nothing changes.
    let since = crew.group(ONLY).unwrap()["since"].clone();
    crew.ok(&["member", "add", "3"]);
    assert_eq!(crew.group(ONLY).unwrap()["since"], since);

    // Any of them may fail.
    let leader = crew.leader(ONLY);
    crew.kill(leader);
    crew.ok(&["put", "k", "w"]);
    crew.go_on(leader);
    crew.ok(&["leader", "transfer", "--to", "1"]);
    for node in [2, 3] {
        let removed = crew.ok(&["member", "remove", &node.to_string()]);
        assert!(removed.starts_with("the group: voters 1"), "{removed}");
        assert_eq!(crew.ended(node), Some(5), "{}", crew.logs());
        assert!(crew.log(node).contains("was removed from its cluster"), "{}", crew.log(node));
        assert!(crew.data_dir(node).join("identity").exists(), "its data is kept");
    }
    // It stays so, also if it is started with --join: it has data.
    crew.go_on(2);
    assert_eq!(crew.ended(2), Some(5));
    crew.join(2);
    assert_eq!(crew.ended(2), Some(5));
    assert_eq!(crew.ok(&["get", "k"]), "w");
    crew.refused(&["member", "remove", "1"], 1, &["nobody would vote", "nothing was changed"]);
}

#[test]
fn all_nodes_are_replaced_one_by_one_under_load() {
    let mut crew = Crew::of_three("plain", &[ONLY]);
    let load = Load::start("plain", &crew.endpoints());
    load.goes_on(50);
    for (old, new) in [(1, 4), (2, 5), (3, 6)] {
        crew.join(new);
        crew.votes(new, ONLY);
        load.goes_on(20);
        crew.ok(&["member", "remove", &old.to_string()]);
        assert_eq!(crew.ended(old), Some(5), "{}", crew.logs());
        load.goes_on(20);
    }
    crew.voters(ONLY, &[4, 5, 6]);
    load.goes_on(50);
    load.judge();
    // They find each other without those that they came by, after a power cut.
    (4..=6).for_each(|node| crew.kill(node));
    (4..=6).for_each(|node| crew.go_on(node));
    crew.ok(&["put", "after", "all"]);
}

#[test]
fn a_member_is_added_as_a_learner_promoted_and_put_in_the_place_of_the_leader() {
    let mut crew = Crew::of_three("plain", &[ONLY]);
    let load = Load::start("plain", &crew.endpoints());
    load.goes_on(20);
    // A spare, which waits for its turn.
    let mut command = crew.join_command(4);
    command.args(["--join-groups", "none"]);
    crew.spawn(4, command);
    eventually("it has a number", || crew.log(4).contains("listening").then_some(()));
    let added = eventually("the leader knows where it is", || {
        let added = crew.run(&["member", "add", "4", "--learner"]);
        (added.code == Some(0)).then_some(added.out)
    });
    assert!(added.contains("voters 1, 2, 3; learners 4; since index "), "{added}");
    assert_eq!(crew.members(ONLY, "learner"), Some(vec![4]));
    crew.kill(4);
    crew.go_on(4);
    crew.ok(&["member", "promote", "4"]);
    crew.voters(ONLY, &[1, 2, 3, 4]);
    // One that was removed comes back under its number, with an empty directory.
    crew.ok(&["member", "remove", "4"]);
    assert_eq!(crew.ended(4), Some(5), "{}", crew.logs());
    std::fs::remove_dir_all(crew.data_dir(4)).unwrap();
    let mut command = crew.join_command(4);
    command.args(["--node-id", "4", "--join-groups", "none"]);
    crew.spawn(4, command);
    eventually("it listens again", || {
        (crew.log(4).matches("listening").count() == 3).then_some(())
    });
    // In the place of the leader, which goes by itself.
    let leader = crew.leader(ONLY);
    let other = (1..=3).find(|node| *node != leader).unwrap();
    eventually("it is put in its place", || {
        (crew.run(&["member", "replace", &leader.to_string(), "4"]).code == Some(0)).then_some(())
    });
    assert_eq!(crew.ended(leader), Some(5), "{}", crew.logs());
    load.goes_on(20);
    let since = crew.group(ONLY).unwrap()["since"].clone();
    crew.ok(&["member", "replace", &leader.to_string(), "4"]);
    assert_eq!(crew.group(ONLY).unwrap()["since"], since, "done already");
    assert_eq!(crew.members(ONLY, "voter").unwrap().len(), 3);
    assert!(crew.members(ONLY, "voter").unwrap().contains(&other));
    load.goes_on(20);
    load.judge();
}

#[test]
fn a_node_that_lost_its_directory_is_told_how_to_come_back_and_does() {
    let mut crew = Crew::of_three("plain", &[ONLY]);
    crew.ok(&["put", "k", "v"]);
    let lost = crew.leader(ONLY) % 3 + 1;
    crew.kill(lost);
    std::fs::remove_dir_all(crew.data_dir(lost)).unwrap();
    let again = crew.log(lost).matches("made a new data directory").count() + 1;
    let peers: Vec<_> = crew.addresses.iter().map(|(node, at)| format!("{node}={at}")).collect();
    let mut command = crew.command(lost);
    let told: Ended = command.args(["--peers", &peers.join(",")]).output().unwrap().into();
    assert_eq!(told.code, Some(1), "{}", told.err);
    assert!(told.err.contains("had another data directory"), "{}", told.err);
    // As it is typed.
    let line = told.err.split("anew: shardkv ").nth(1).expect("a command").trim().to_owned();
    let mut command = common::sharded();
    command.args(line.split_whitespace());
    crew.spawn(lost, command);
    crew.voters(ONLY, &[1, 2, 3]);
    eventually("it votes again", || {
        let log = crew.log(lost);
        log.split("made a new data directory").nth(again)?.contains("is a voter").then_some(())
    });
    crew.voters(ONLY, &[1, 2, 3]);
    // It counts: with one of the others it is a majority.
    let other = (1..=3).find(|node| *node != lost && *node != crew.leader(ONLY)).unwrap();
    crew.kill(other);
    crew.ok(&["put", "k", "w"]);
    // One that runs keeps its number.
    let mut thief = crew.join_command(9);
    thief.args(["--node-id", &lost.to_string()]);
    let refused: Ended = thief.output().unwrap().into();
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    assert!(refused.err.contains(&format!("node {lost} runs, at ")), "{}", refused.err);
}

#[test]
fn nodes_that_have_moved_find_each_other() {
    let mut crew = Crew::of_three("plain", &[ONLY]);
    crew.ok(&["put", "k", "v"]);
    // One of them, which the others hear of from itself.
    crew.kill(3);
    crew.move_elsewhere(3);
    crew.go_on(3);
    eventually("the others know where it is", || {
        let group = crew.group(ONLY)?;
        let moved = group["members"].as_array()?.iter().find(|it| it["node"] == 3)?.clone();
        (moved["address"] == crew.addresses[&3]).then_some(())
    });
    // All of them at once: each is told where another one is.
    for node in 1..=3 {
        crew.kill(node);
        crew.move_elsewhere(node);
    }
    for node in 1..=3 {
        let contact = crew.addresses[&(node % 3 + 1)].clone();
        let mut command = crew.command(node);
        command.args(["--join", &contact]);
        crew.spawn(node, command);
    }
    assert_eq!(crew.ok(&["get", "k"]), "v");
    crew.voters(ONLY, &[1, 2, 3]);
}

#[test]
fn a_change_outlives_the_leader_that_has_begun_it() {
    let mut crew = Crew::of_three("plain", &[ONLY]);
    let load = Load::start("plain", &crew.endpoints());
    load.goes_on(20);
    // It asks to be added, and goes on asking.
    crew.join(4);
    for _ in 0..3 {
        let leader = crew.leader(ONLY);
        crew.kill(leader);
        load.goes_on(10);
        crew.go_on(leader);
    }
    crew.voters(ONLY, &[1, 2, 3, 4]);
    // And so does the operator.
    let mut removing = crew.client(&["member", "remove", "4"]).spawn().unwrap();
    let leader = crew.leader(ONLY);
    crew.kill(leader);
    assert_eq!(ended(&mut removing), Some(0), "{}", crew.logs());
    if leader != 4 {
        crew.go_on(leader);
        assert_eq!(crew.ended(4), Some(5), "{}", crew.logs());
    }
    crew.voters(ONLY, &[1, 2, 3]);
    load.judge();
}

#[test]
fn what_makes_no_sense_changes_nothing() {
    let mut crew = Crew::of_three("plain", &[ONLY]);
    let since = crew.group(ONLY).unwrap()["since"].clone();
    let nowhere = format!("127.0.0.1:{}", free_ports(1)[0]);
    let second = crew.addresses[&2].clone();
    let cases: [(&[&str], i32, &[&str]); 12] = [
        (&["member", "remove", "9"], 1, &["node 9 is no member", "nothing was changed"]),
        (&["member", "promote", "9"], 1, &["node 9 is no member"]),
        (&["member", "replace", "9", "2"], 1, &["node 9 is no member"]),
        (&["member", "add", "9"], 1, &["not known where node 9 is", "--at"]),
        (&["member", "add", "9", "--at", &nowhere], 3, &["node 9 does not answer at", "nothing"]),
        (&["member", "add", "9", "--at", &second], 1, &["is node 2 of cluster 7, and not node 9"]),
        (&["member", "replace", "2", "9", "--at", &nowhere], 3, &["node 9 does not answer at"]),
        (&["member", "remove", "2", "--expect", "1"], 1, &["the members are others, since index"]),
        (&["member", "list", "--group", "3"], 2, &["one group, without a number"]),
        (&["leader", "transfer", "--to", "9"], 1, &["node 9 is no voter"]),
        (&["member", "add", "0x9"], 2, &["invalid"]),
        (&["member", "remove", "2", "--wait", "x"], 2, &["--wait"]),
    ];
    for (words, code, says) in cases {
        crew.refused(words, code, says);
    }
    let mut other = crew.join_command(8);
    let other: Ended = other.args(["--cluster-id", "8"]).output().unwrap().into();
    assert_eq!(other.code, Some(1), "{}", other.err);
    assert!(other.err.contains("is cluster 7"), "{}", other.err);
    assert!(!crew.data_dir(8).exists(), "it was made for nothing");
    let mut limits = crew.join_command(8);
    let limits: Ended = limits.args(["--value-bytes-max", "2MiB"]).output().unwrap().into();
    assert_eq!(limits.code, Some(2), "{}", limits.err);
    assert!(limits.err.contains("value_bytes_max is 1MiB in the cluster"), "{}", limits.err);
    crew.voters(ONLY, &[1, 2, 3]);
    assert_eq!(crew.group(ONLY).unwrap()["since"], since);
    // What is expected rightly is done.
    let since = since.to_string();
    crew.ok(&["member", "remove", "3", "--expect", &since]);
    crew.voters(ONLY, &[1, 2]);

    // A change that cannot end, for most are away: nothing else is begun meanwhile, and it is not forgotten.
    crew.kill(3);
    let leader = crew.leader(ONLY);
    let away = 3 - leader;
    signal(&crew.nodes[&away].0, "STOP");
    let waiting = ["member", "remove", &away.to_string(), "--wait", "2s"];
    let unknown: Ended = crew.client(&waiting).output().unwrap().into();
    assert_eq!(unknown.code, Some(4), "{}", unknown.err);
    signal(&crew.nodes[&away].0, "CONT");
}

#[test]
fn a_node_that_stops_hands_over_first() {
    let mut crew = Crew::of_three("plain", &[ONLY]);
    crew.ok(&["put", "k", "v"]);
    let leader = crew.leader(ONLY);
    let term = crew.group(ONLY).unwrap()["term"].as_u64().unwrap();
    signal(&crew.nodes[&leader].0, "TERM");
    assert_eq!(crew.ended(leader), Some(0));
    assert!(crew.log(leader).contains("handed over"), "{}", crew.logs());
    let next = crew.leader(ONLY);
    assert_ne!(next, leader);
    assert_eq!(crew.group(ONLY).unwrap()["term"], term + 1, "nobody had to find out");
    assert!(crew.ok(&["leader", "show"]).contains(&format!("node {next} at ")));
}

#[test]
fn the_preferred_node_leads_when_it_is_well() {
    let mut crew = Crew::start("plain");
    for node in [2, 3] {
        let mut command = crew.join_command(node);
        command.args(["--preferred-leaders", "3", "--election-timeout", "150ms"]);
        command.args(["--heartbeat", "50ms"]);
        crew.spawn(node, command);
        crew.votes(node, ONLY);
    }
    // The first one knows of no preference.
    crew.ok(&["leader", "transfer", "--to", "2"]);
    eventually("node 3 leads", || (crew.group(ONLY)?["leader"] == 3).then_some(()));
}
