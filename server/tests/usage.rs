//! Exit codes and settings, without a cluster.

mod common;

use std::io::Write;

use common::{free_ports, run, run_with_input, shardkv};

#[track_caller]
fn refused(arguments: &[&str], code: i32, says: &[&str]) {
    let ended = run(arguments);
    assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.err);
    assert!(ended.out.is_empty(), "{arguments:?} printed {}", ended.out);
    for says in says {
        assert!(ended.err.contains(says), "{arguments:?} does not say `{says}`: {}", ended.err);
    }
}

#[test]
fn what_makes_no_sense_is_two() {
    refused(&["frobnicate"], 2, &["frobnicate"]);
    refused(&["get"], 2, &["KEY"]);
    refused(&["get", "k", "--timeout", "5"], 2, &["has no unit", "150ms"]);
    refused(&["get", "k", "--endpoints", "somewhere"], 2, &["has no port"]);
    refused(&["get", "zz", "--hex"], 2, &["not hexadecimal"]);
    refused(&["cas", "k", "v"], 2, &["--expect", "--absent", "--version"]);
    refused(&["cas", "k", "v", "--absent", "--version", "1"], 2, &["cannot be used with"]);
    refused(&["scan", "--prefix", "a", "--from", "b"], 2, &["cannot be used with"]);
    refused(&["bench", "--key-size", "2", "--keys", "1000"], 2, &["--key-size 3"]);
    refused(&["bench", "--read-percent", "101"], 2, &["101"]);
    refused(&["import", "no-such-file.tsv"], 2, &["no-such-file.tsv"]);
    refused(&["import", "Cargo.toml"], 2, &["--format tsv, ndjson or lines"]);
    refused(&["inspect", "wal", "no-such-folder"], 2, &["no-such-folder"]);
    refused(&["status", "--log-level", "k=loud"], 2, &["log level"]);
}

#[test]
fn a_folder_that_is_no_data_directory_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().to_str().unwrap();
    refused(&["inspect", "wal", name], 2, &["not a node's data directory"]);
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn a_cluster_that_is_not_there_is_three() {
    let at = format!("127.0.0.1:{}", free_ports(1)[0]);
    let there = ["--endpoints", &at, "--timeout", "300ms"];
    for command in [
        &["get", "k"][..],
        &["put", "k", "v"],
        &["append", "k", "v"],
        &["del", "k"],
        &["cas", "k", "v", "--absent"],
        &["scan"],
        &["export", "-", "--format", "tsv"],
    ] {
        refused(&[command, &there].concat(), 3, &["without effect", &at, "--endpoints"]);
    }
    let ended = run(&[&["status"][..], &there].concat());
    assert_eq!(ended.code, Some(3));
    assert!(ended.out.contains(&at) && ended.out.contains("cannot be reached"), "{}", ended.out);
    let import = [&["import", "-", "--format", "lines"][..], &there].concat();
    let ended = run_with_input(&import, b"a\nb\n");
    assert_eq!(ended.code, Some(3), "{}", ended.err);
    assert!(ended.err.contains("0 records acknowledged, 2 not done"), "{}", ended.err);
    assert!(ended.err.contains("--skip 0"), "{}", ended.err);
}

#[test]
fn an_export_that_fails_leaves_the_file_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept.tsv");
    std::fs::write(&path, "a\t1\n").unwrap();
    let at = format!("127.0.0.1:{}", free_ports(1)[0]);
    let file = path.to_str().unwrap();
    refused(&["export", file, "--endpoints", &at, "--timeout", "100ms"], 3, &["--endpoints"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\t1\n");
    assert_eq!(folder.path().read_dir().unwrap().count(), 1, "nothing else is left");
}

#[test]
fn settings_are_merged_one_by_one_and_show_where_they_come_from() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"cluster_id = 9\ndata_dir = '/data'\ntick = '10ms'\nclients_max = 5\n")
        .unwrap();
    let show = || {
        let mut command = shardkv();
        command.args(["config", "show", "--config"]).arg(file.path());
        command
    };
    let output = show()
        .env("SHARDKV_NODE_ID", "3")
        .env("SHARDKV_CLIENTS_MAX", "6")
        .env("SHARDKV_TICK", "20ms")
        .env("SHARDKV_LOG_FORMAT", "json")
        .args(["--tick", "25ms", "--log-level", "warn"])
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let row = |name: &str| {
        let row = shown.lines().find(|line| line.starts_with(&format!("{name} =")));
        row.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("cluster_id"), "cluster_id = 9 # file");
    assert_eq!(row("node_id"), "node_id = 3 # environment");
    assert_eq!(row("tick"), "tick = \"25ms\" # flag");
    assert_eq!(row("clients_max"), "clients_max = 6 # environment");
    assert_eq!(row("heartbeat"), "heartbeat = \"100ms\" # default");
    assert_eq!(row("log_format"), "log_format = \"json\" # environment");
    assert_eq!(row("log_level"), "log_level = \"warn\" # flag");

    let without = show().output().unwrap();
    assert_eq!(without.status.code(), Some(2));
    let says = String::from_utf8(without.stderr).unwrap();
    assert!(says.contains("`node_id` is not set") && says.contains("SHARDKV_NODE_ID"), "{says}");
}

#[test]
fn a_settings_file_with_an_unknown_key_is_refused_by_name() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"node_id = 1\nheartbaet = '1s'\n").unwrap();
    let path = file.path().to_str().unwrap();
    refused(&["server", "--config", path], 2, &["heartbaet", path, "config example"]);
    refused(&["server", "--config", "/no/such/file"], 2, &["/no/such/file"]);
}

#[test]
fn the_sample_file_is_printed_and_understood() {
    let printed = run(&["config", "example"]).out;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sample.toml");
    std::fs::write(&path, printed).unwrap();
    let shown = run(&["config", "show", "--config", path.to_str().unwrap()]);
    assert_eq!(shown.code, Some(0), "{}", shown.err);
}
