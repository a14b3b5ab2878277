//! `shardkv demo`.

mod common;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{ChildStdout, Stdio};

use common::{Ended, Guard, ended, sharded, signal};

/// A demo that runs: its process, the rest of its output, its endpoints and its folder.
fn started(arguments: &[&str]) -> (Guard, BufReader<ChildStdout>, String, String) {
    let mut child =
        Guard(sharded().arg("demo").args(arguments).stdout(Stdio::piped()).spawn().unwrap());
    let mut out = BufReader::new(child.0.stdout.take().unwrap());
    let (mut endpoints, mut folder) = (String::new(), String::new());
    while endpoints.is_empty() {
        let mut line = String::new();
        assert_ne!(out.read_line(&mut line).unwrap(), 0, "the demo ended");
        if let Some((_, path)) = line.trim().split_once(", in ") {
            folder = path.to_owned();
        }
        if let Some(list) = line.trim().strip_prefix("endpoints") {
            endpoints = list.trim().to_owned();
        }
    }
    (child, out, endpoints, folder)
}

fn run(arguments: &[&str]) -> Ended {
    sharded().args(arguments).output().unwrap().into()
}

#[test]
fn a_demo_serves_and_leaves_nothing_behind() {
    let (mut demo, mut out, endpoints, folder) = started(&[]);
    assert_eq!(endpoints.split(',').count(), 3);
    let there = ["--endpoints", &endpoints, "--timeout", "30s"];
    let put = run(&[&["put", "hello", "world"][..], &there].concat());
    assert_eq!(put.code, Some(0), "{}", put.err);
    let get = run(&[&["get", "hello"][..], &there].concat());
    assert_eq!((get.code, get.out.as_str()), (Some(0), "world"), "{}", get.err);
    assert!(Path::new(&folder).join("node-3").is_dir());

    // The leader that is stopped comes back, and nothing is lost.
    let (mut told, mut line) = (String::new(), String::new());
    while !line.contains("lost") || !told.contains("runs again") {
        line.clear();
        assert_ne!(out.read_line(&mut line).unwrap(), 0, "the demo ended: {told}");
        told.push_str(&line);
        assert!(!line.contains("lost") || line.contains(" 0 lost"), "{told}");
    }
    signal(&demo.0, "INT");
    assert_eq!(ended(&mut demo.0), Some(0));
    let mut rest = told;
    out.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("leader: node ") && rest.contains("(term "), "{rest}");
    assert!(rest.contains("groups 1 and 2 have joined (configuration #1)"), "{rest}");
    assert!(!Path::new(&folder).exists(), "{folder} is still there");
}

#[test]
fn a_demo_ends_by_itself_and_keeps_a_folder_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let (mut demo, _out, endpoints, _) = started(&["--nodes", "1", "--for", "1s", "--dir", dir]);
    assert_eq!(endpoints.split(',').count(), 1);
    assert_eq!(ended(&mut demo.0), Some(0));
    assert!(folder.path().join("node-1").is_dir());

    let (mut again, _out, endpoints, _) = started(&["--nodes", "1", "--dir", dir]);
    let put = run(&["put", "k", "v", "--endpoints", &endpoints, "--timeout", "30s"]);
    assert_eq!(put.code, Some(0), "{}", put.err);
    signal(&again.0, "TERM");
    assert_eq!(ended(&mut again.0), Some(0));
}
