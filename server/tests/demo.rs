//! `shardkv demo`.

mod common;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{ChildStdout, Stdio};

use common::{Ended, Guard, ended, sharded, signal};

/// What a client of the demo is told to put into its environment.
type Exports = Vec<(String, String)>;

/// A demo that runs: its process, the rest of its output, what it has clients export, and its folder.
fn started(arguments: &[&str]) -> (Guard, BufReader<ChildStdout>, Exports, String) {
    let mut child =
        Guard(sharded().arg("demo").args(arguments).stdout(Stdio::piped()).spawn().unwrap());
    let mut out = BufReader::new(child.0.stdout.take().unwrap());
    let (mut exports, mut folder) = (Exports::new(), String::new());
    while exports.len() < 4 {
        let mut line = String::new();
        assert_ne!(out.read_line(&mut line).unwrap(), 0, "the demo ended");
        if let Some((_, path)) = line.trim().split_once(", in ") {
            folder = path.to_owned();
        }
        if let Some((name, value)) =
            line.trim().strip_prefix("export ").and_then(|it| it.split_once('='))
        {
            exports.push((name.to_owned(), value.to_owned()));
        }
    }
    (child, out, exports, folder)
}

/// How many nodes there are.
fn nodes(exports: &Exports) -> usize {
    let (_, endpoints) = exports.iter().find(|(name, _)| name == "SHARDKV_ENDPOINTS").unwrap();
    endpoints.split(',').count()
}

fn run(exports: &Exports, arguments: &[&str]) -> Ended {
    let mut command = sharded();
    command.envs(exports.iter().cloned()).env("SHARDKV_TIMEOUT", "30s").args(arguments);
    command.output().unwrap().into()
}

#[test]
fn a_demo_serves_and_leaves_nothing_behind() {
    let (mut demo, mut out, exports, folder) = started(&[]);
    assert_eq!(nodes(&exports), 3);
    let put = run(&exports, &["put", "hello", "world"]);
    assert_eq!(put.code, Some(0), "{}", put.err);
    let get = run(&exports, &["get", "hello"]);
    assert_eq!((get.code, get.out.as_str()), (Some(0), "world"), "{}", get.err);
    assert!(Path::new(&folder).join("node-3").is_dir());
    // Whoever has no certificate is not served.
    let bare = exports.iter().filter(|(name, _)| name == "SHARDKV_ENDPOINTS").cloned().collect();
    let refused = run(&bare, &["get", "hello", "--timeout", "3s"]);
    assert_eq!((refused.code, refused.out.as_str()), (Some(3), ""));
    assert!(refused.err.contains("the other side speaks TLS"), "{}", refused.err);

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
    let (mut demo, _out, exports, _) = started(&["--nodes", "1", "--for", "1s", "--dir", dir]);
    assert_eq!(nodes(&exports), 1);
    assert_eq!(ended(&mut demo.0), Some(0));
    assert!(folder.path().join("node-1").is_dir());

    let (mut again, _out, exports, _) = started(&["--nodes", "1", "--dir", dir]);
    let put = run(&exports, &["put", "k", "v"]);
    assert_eq!(put.code, Some(0), "{}", put.err);
    signal(&again.0, "TERM");
    assert_eq!(ended(&mut again.0), Some(0));
}
