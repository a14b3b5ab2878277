//! Three real processes: served, killed, restarted.

mod common;

use std::io::Write;
use std::process::Stdio;

use common::{Cluster, Ended, Guard, ended, eventually, run, shardkv, signal};

#[test]
fn a_cluster_does_what_it_is_asked() {
    let cluster = Cluster::start(&[]);
    assert!(cluster.ok(&["put", "a", "1"]).starts_with("version "));
    assert_eq!(cluster.ok(&["get", "a"]), "1");
    assert!(cluster.ok(&["append", "a", "-2"]).ends_with(", length 3\n"));
    assert_eq!(cluster.ok(&["get", "--hex", "61"]), "312d32\n");
    cluster.ok(&["put", "--hex", "ff00", "0a"]);
    assert_eq!(cluster.ok(&["get", "--json", "a"]).split(',').next(), Some("{\"key\":\"a\""));

    let missing = cluster.run(&["get", "b"]);
    assert_eq!((missing.code, missing.out.as_str()), (Some(1), ""));
    assert!(missing.err.contains("no key `b`"), "{}", missing.err);

    let version = cluster.ok(&["cas", "b", "x", "--absent"]);
    let version = version.trim().strip_prefix("version ").unwrap();
    let mismatch = cluster.run(&["cas", "b", "y", "--absent"]);
    assert_eq!(mismatch.code, Some(1));
    assert!(mismatch.err.contains(&format!("its version is {version}")), "{}", mismatch.err);
    cluster.ok(&["cas", "b", "y", "--version", version]);
    assert_eq!(cluster.run(&["cas", "b", "z", "--expect", "x"]).code, Some(1));
    cluster.ok(&["cas", "b", "z", "--expect", "y"]);

    assert_eq!(cluster.ok(&["scan"]), "a\t1-2\nb\tz\n\\xff\\x00\t\\n\n");
    assert_eq!(cluster.ok(&["scan", "--keys-only", "--limit", "1"]), "a\n");
    assert_eq!(cluster.ok(&["scan", "--from", "b", "--to", "c"]), "b\tz\n");
    assert_eq!(cluster.ok(&["scan", "--hex", "--prefix", "ff"]), "ff00\t0a\n");
    assert!(cluster.ok(&["del", "b"]).ends_with("deleted\n"));
    assert!(cluster.ok(&["del", "b"]).ends_with("there was no such key\n"));

    let too_large = cluster.run(&["put", "k", &"x".repeat(120_000)]);
    assert_eq!(too_large.code, Some(0), "{}", too_large.err);
    let too_large = cluster.run(&["put", &"k".repeat(70_000), "v"]);
    assert_eq!(too_large.code, Some(1), "{}", too_large.err);
    assert!(too_large.err.contains("70000 bytes and may have 65536"), "{}", too_large.err);

    let bench = cluster.ok(&["bench", "--duration", "1s", "--read-percent", "50", "--json"]);
    let bench: serde_json::Value = serde_json::from_str(&bench).unwrap();
    assert!(bench["ops"].as_u64() > Some(0) && bench["errors"] == 0, "{bench}");

    let rows = eventually("all nodes have the same state", || {
        let rows = cluster.status();
        let same = |name: &str| rows.iter().all(|row| row[name] == rows[0][name]);
        (same("applied") && same("digest")).then_some(rows)
    });
    assert_eq!(rows.iter().filter(|row| row["role"] == "leader").count(), 1);
    assert!(rows.iter().all(|row| row["lag"] == 0 && row["reachable"] == true));
}

#[test]
fn what_is_imported_is_exported_byte_for_byte() {
    let cluster = Cluster::start(&[]);
    let file = |name: &str| cluster.dir.path().join(name).to_str().unwrap().to_owned();
    let copy_of = |prefix: &str, name: &str, format: &str| {
        let copy = file("copy");
        let exported = cluster.run(&["export", &copy, "--format", format, "--prefix", prefix]);
        assert_eq!(exported.code, Some(0), "{name}: {}", exported.err);
        std::fs::read(copy).unwrap()
    };

    let mut text: Vec<u8> =
        (0..5000).flat_map(|n| format!("{n};LINE {n};\t\\\r\n").into_bytes()).collect();
    text.extend_from_slice(b"\n\xff\xfe\nthe end, without a newline");
    std::fs::write(file("text"), &text).unwrap();
    cluster.ok(&["import", &file("text"), "--format", "lines", "--prefix", "text/"]);
    assert!(copy_of("text/", "text", "lines") == text);

    let tsv: String = (0..3000).map(|n| format!("key {n:05}\tvalue\\n{n} \\x00é\\xff\n")).collect();
    std::fs::write(file("data.tsv"), &tsv).unwrap();
    cluster.ok(&["import", &file("data.tsv")]);
    assert!(copy_of("key ", "data.tsv", "tsv") == tsv.as_bytes());
    let ndjson = copy_of("key ", "data.tsv", "ndjson");
    let again = Ended::from(run_input(&cluster, &["import", "-", "--format", "ndjson"], &ndjson));
    assert_eq!(again.code, Some(0), "{}", again.err);
    assert!(copy_of("key ", "data.ndjson", "ndjson") == ndjson);

    // Of two records with one key the later wins, however many are in flight.
    let twice: String = (0..2000).map(|n| format!("same {}\t{n}\n", n % 7)).collect();
    std::fs::write(file("twice.tsv"), twice).unwrap();
    cluster.ok(&["import", &file("twice.tsv")]);
    let last: String = (0..7)
        .map(|key| format!("same {key}\t{}\n", (1993..2000).find(|n| n % 7 == key).unwrap()))
        .collect();
    assert_eq!(cluster.ok(&["scan", "--prefix", "same "]), last);

    std::fs::write(file("bad.tsv"), "good\t1\nbad\n").unwrap();
    let bad = cluster.run(&["import", &file("bad.tsv")]);
    assert_eq!(bad.code, Some(2), "{}", bad.err);
    assert!(bad.err.contains("1 records acknowledged"), "{}", bad.err);
    assert!(bad.err.contains("line 2: no tab") && bad.err.contains("--skip 1"), "{}", bad.err);
}

fn run_input(cluster: &Cluster, arguments: &[&str], input: &[u8]) -> std::process::Output {
    let mut child = shardkv()
        .args(arguments)
        .args(["--endpoints", &cluster.endpoints(), "--timeout", "30s"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn nothing_acknowledged_is_lost_when_leaders_are_killed() {
    let mut cluster = Cluster::start(&[]);
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        let leader = cluster.leader();
        let key = format!("before {round}");
        cluster.ok(&["put", &key, "kept"]);
        cluster.kill_node(leader);
        acknowledged.push(key);
        // The others elect a leader and go on.
        for n in 0..5 {
            let key = format!("after {round} {n}");
            cluster.ok(&["put", &key, "kept"]);
            acknowledged.push(key);
        }
        let rows = cluster.status();
        assert_eq!(rows[leader]["reachable"], false);
        assert!(cluster.run(&["status"]).out.contains("cannot be reached"));
        cluster.start_node(leader);
    }
    // All at once, as in a power cut.
    (0..3).for_each(|index| cluster.kill_node(index));
    (0..3).for_each(|index| cluster.start_node(index));
    acknowledged.sort();
    let kept: String = acknowledged.iter().map(|key| format!("{key}\tkept\n")).collect();
    assert_eq!(cluster.ok(&["scan"]), kept);
    eventually("all nodes have the same state", || {
        let rows = cluster.status();
        let same = |name: &str| rows.iter().all(|row| row[name] == rows[0][name]);
        (same("applied") && same("digest")).then_some(())
    });
}

#[test]
fn an_import_outlives_the_leader() {
    let mut cluster = Cluster::start(&[]);
    let leader = cluster.leader();
    let file = |cluster: &Cluster, name: &str| cluster.dir.path().join(name);
    let text: String = (0..20_000).map(|n| format!("line {n} of a text\n")).collect();
    std::fs::write(file(&cluster, "text"), &text).unwrap();
    let mut import = Guard(
        shardkv()
            .args(["import", "--format", "lines", "--in-flight", "16", "--timeout", "60s"])
            .args(["--endpoints", &cluster.endpoints()])
            .arg(file(&cluster, "text"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    // In the middle of it, wherever that is on this machine.
    eventually("some records are there", || {
        let rows = cluster.status();
        rows.iter().any(|row| row["keys"].as_u64() > Some(500)).then_some(())
    });
    let is_running = import.0.try_wait().unwrap().is_none();
    cluster.kill_node(leader);
    assert_eq!(ended(&mut import.0), Some(0), "{}", cluster.logs());
    let mut err = String::new();
    std::io::Read::read_to_string(&mut import.0.stderr.take().unwrap(), &mut err).unwrap();
    assert!(err.contains("20000 records acknowledged in"), "{err}");
    assert!(is_running, "the import was over before the leader was killed");
    let copy = file(&cluster, "copy");
    cluster.ok(&["export", copy.to_str().unwrap(), "--format", "lines"]);
    assert!(std::fs::read(copy).unwrap() == text.as_bytes());
}

#[test]
fn a_write_that_was_sent_and_never_confirmed_is_four() {
    // A leader without followers notices after an election timeout: a long one keeps the write in flight.
    let mut cluster = Cluster::start(&["--election-timeout", "3s", "--heartbeat", "500ms"]);
    let leader = cluster.leader();
    let mut import = Guard(
        shardkv()
            .args(["import", "-", "--format", "tsv", "--timeout", "2s"])
            .args(["--endpoints", &cluster.endpoints()])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut stdin = import.0.stdin.take().unwrap();
    stdin.write_all(b"first\t1\n").unwrap();
    eventually("the first record is there", || {
        (cluster.run(&["get", "first"]).code == Some(0)).then_some(())
    });
    (0..3).filter(|index| *index != leader).for_each(|index| cluster.kill_node(index));
    stdin.write_all(b"second\t2\n").unwrap();
    drop(stdin);
    assert_eq!(ended(&mut import.0), Some(4), "{}", cluster.logs());
    let mut err = String::new();
    std::io::Read::read_to_string(&mut import.0.stderr.take().unwrap(), &mut err).unwrap();
    assert!(err.contains("1 records acknowledged, 1 unknown"), "{err}");
    assert!(err.contains("line 2: it is unknown") && err.contains("--skip 1"), "{err}");
    // Status needs no quorum.
    let rows = cluster.status();
    assert_eq!(rows.iter().filter(|row| row["reachable"] == true).count(), 1);
}

#[test]
fn a_node_stops_in_order_and_its_log_can_be_looked_at() {
    let mut cluster = Cluster::start(&["--log-format", "json"]);
    cluster.ok(&["put", "k", "v"]);
    for index in 0..3 {
        let mut node = cluster.nodes[index].take().unwrap();
        signal(&node.0, "TERM");
        assert_eq!(ended(&mut node.0), Some(0), "{}", cluster.logs());
    }
    let log = std::fs::read_to_string(cluster.dir.path().join("node-1.log")).unwrap();
    for line in log.lines() {
        let _: serde_json::Value = serde_json::from_str(line).unwrap();
    }
    let wal = run(&["inspect", "wal", cluster.data_dir(0).to_str().unwrap()]);
    assert_eq!(wal.code, Some(0), "{}", wal.err);
    assert!(wal.out.starts_with("node 1 of cluster 7, incarnation "), "{}", wal.out);
    assert!(wal.out.trim_end().ends_with(" 0 damaged places"), "{}", wal.out);
    assert!(wal.out.lines().count() > 4, "{}", wal.out);
}

#[test]
fn a_directory_belongs_to_one_node_and_to_one_process() {
    let cluster = Cluster::start(&[]);
    cluster.leader();
    let dir = cluster.data_dir(0);
    let ending = |command: &mut std::process::Command| -> Ended {
        command.args(["--listen", "127.0.0.1:0"]).output().unwrap().into()
    };
    let server = |cluster: &str, node: &str| {
        let mut command = shardkv();
        command
            .args(["server", "--cluster-id", cluster, "--node-id", node, "--data-dir"])
            .arg(&dir);
        command
    };
    let second = ending(&mut server("7", "1"));
    assert_eq!(second.code, Some(1), "{}", second.err);
    assert!(second.err.contains(dir.to_str().unwrap()), "{}", second.err);

    let port_taken = server("7", "1")
        .args(["--listen", &cluster.addresses[1]])
        .arg("--data-dir")
        .arg(cluster.dir.path().join("other"))
        .output()
        .unwrap();
    // Given twice, a flag is an error of usage.
    assert_eq!(port_taken.status.code(), Some(2));
    let port_taken: Ended = shardkv()
        .args(["server", "--cluster-id", "7", "--node-id", "1", "--data-dir"])
        .arg(cluster.dir.path().join("other"))
        .args(["--listen", &cluster.addresses[1]])
        .output()
        .unwrap()
        .into();
    assert_eq!(port_taken.code, Some(1), "{}", port_taken.err);
    assert!(port_taken.err.contains("cannot listen at"), "{}", port_taken.err);

    drop(cluster.nodes);
    for (other_cluster, node) in [("8", "1"), ("7", "2")] {
        let foreign = ending(&mut server(other_cluster, node));
        assert_eq!(foreign.code, Some(1), "{}", foreign.err);
        for id in ["n1 of cluster c7", &format!("n{node} of cluster c{other_cluster}")] {
            assert!(foreign.err.contains(id), "{}", foreign.err);
        }
    }
}
