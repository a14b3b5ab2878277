//! Certificates made by `shardkv certs`, and a node that serves nobody without one.

mod common;

use std::fs::{File, Permissions, set_permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::{Ended, Guard, ended, eventually, free_ports, shardkv, signal};
use tempfile::TempDir;

/// A folder of certificates, and perhaps a node.
struct Setup {
    dir: TempDir,
    address: String,
    node: Option<Guard>,
}

impl Setup {
    /// With the authority of cluster 7.
    fn new() -> Self {
        let address = format!("127.0.0.1:{}", free_ports(1)[0]);
        let setup = Self { dir: tempfile::tempdir().unwrap(), address, node: None };
        setup.certs("certs", &["create-ca", "--cluster-id", "7"]);
        setup
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = shardkv();
        command.current_dir(self.dir.path()).args(arguments);
        command.output().unwrap().into()
    }

    /// `shardkv certs` in a folder; what it says.
    #[track_caller]
    fn certs(&self, folder: &str, arguments: &[&str]) -> String {
        let ended = self.run(&[&["certs"], arguments, &["--dir", folder]].concat());
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.err);
        ended.out
    }

    /// Node 1, with the certificate of `shown`.
    fn node_command(&self, shown: &str) -> Command {
        let mut command = shardkv();
        command
            .current_dir(self.dir.path())
            .args(["server", "--cluster-id", "7", "--node-id", "1", "--data-dir", "data"])
            .args(["--listen", &self.address])
            .args(flags("certs", shown));
        command
    }

    fn start_node(&mut self) {
        self.certs("certs", &["create-node", "1"]);
        let log = File::create(self.at("log")).unwrap();
        let mut command = self.node_command("node-1");
        self.node = Some(Guard(command.stderr(log).stdout(Stdio::null()).spawn().unwrap()));
    }

    /// A command of a client that shows the certificate of `shown`.
    fn client(&self, arguments: &[&str], flags: &[String]) -> Ended {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        self.run(&[arguments, &["--endpoints", &self.address], &flags].concat())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.at("log")).unwrap()
    }

    #[track_caller]
    fn logged(&self, says: &str) {
        eventually(says, || self.log().contains(says).then_some(()));
    }

    fn hang_up(&self) {
        signal(&self.node.as_ref().unwrap().0, "HUP");
    }
}

fn flags(folder: &str, shown: &str) -> Vec<String> {
    [("--tls-ca", "ca"), ("--tls-cert", shown), ("--tls-key", &format!("{shown}-key"))]
        .into_iter()
        .flat_map(|(flag, name)| [flag.to_owned(), format!("{folder}/{name}.pem")])
        .collect()
}

#[test]
fn a_client_needs_a_certificate_of_the_authority() {
    let mut setup = Setup::new();
    setup.start_node();
    setup.certs("certs", &["create-client", "ops"]);
    let good = flags("certs", "client-ops");
    let put = setup.client(&["put", "k", "v", "--timeout", "60s"], &good);
    assert_eq!(put.code, Some(0), "{}{}", put.err, setup.log());
    assert_eq!(setup.client(&["get", "k"], &good).out, "v");
    // By the environment as well.
    let files = flags("certs", "client-ops");
    let mut command = shardkv();
    command.current_dir(setup.dir.path()).env("SHARDKV_ENDPOINTS", &setup.address);
    for (name, file) in ["CA", "CERT", "KEY"].iter().zip(files.iter().skip(1).step_by(2)) {
        command.env(format!("SHARDKV_TLS_{name}"), file);
    }
    let by_environment = Ended::from(command.args(["get", "k"]).output().unwrap());
    assert_eq!(by_environment.out, "v", "{}", by_environment.err);

    // None, that of another authority, and that of another authority with the right one beside it.
    let get = ["get", "k", "--timeout", "3s"];
    let bare = setup.client(&get, &[]);
    assert_eq!((bare.code, bare.out.as_str()), (Some(3), ""), "{}", bare.err);
    assert!(bare.err.contains("the other side speaks TLS"), "{}", bare.err);
    setup.logged("the other side does not speak TLS");
    setup.certs("other", &["create-ca", "--cluster-id", "7"]);
    setup.certs("other", &["create-client", "ops"]);
    let other = setup.client(&get, &flags("other", "client-ops"));
    assert_eq!((other.code, other.out.as_str()), (Some(3), ""), "{}", other.err);
    assert!(other.err.contains("not signed by this cluster's authority"), "{}", other.err);
    let mut mixed = flags("other", "client-ops");
    mixed[1] = "certs/ca.pem".into();
    let mixed = setup.client(&get, &mixed);
    assert_eq!((mixed.code, mixed.out.as_str()), (Some(1), ""), "{}", mixed.err);
    assert!(mixed.err.contains("not signed by this cluster's authority"), "{}", mixed.err);
    // A right authority, and another cluster.
    setup.certs("eight", &["create-ca", "--cluster-id", "8"]);
    setup.certs("eight", &["create-client", "ops"]);
    let eight = setup.client(&get, &flags("eight", "client-ops"));
    assert_eq!(eight.code, Some(3), "{}", eight.err);
    assert_eq!(setup.client(&["get", "k"], &good).out, "v");
}

#[test]
fn certificates_are_read_again_without_a_restart() {
    let mut setup = Setup::new();
    setup.start_node();
    setup.certs("certs", &["create-client", "ops"]);
    let good = flags("certs", "client-ops");
    let put = setup.client(&["put", "k", "v", "--timeout", "60s"], &good);
    assert_eq!(put.code, Some(0), "{}{}", put.err, setup.log());

    // Those of another authority: the node shows them from now on, and the old clients are refused.
    setup.certs("next", &["create-ca", "--cluster-id", "7"]);
    setup.certs("next", &["create-node", "1"]);
    setup.certs("next", &["create-client", "ops"]);
    for name in ["ca", "node-1", "node-1-key"] {
        std::fs::copy(
            setup.at(&format!("next/{name}.pem")),
            setup.at(&format!("certs/{name}.pem")),
        )
        .unwrap();
    }
    let next = flags("next", "client-ops");
    assert_eq!(setup.client(&["get", "k", "--timeout", "3s"], &next).code, Some(3));
    setup.hang_up();
    setup.logged("new connections have the certificates of now");
    assert_eq!(setup.client(&["get", "k"], &next).out, "v");

    // A key that others can read, and the certificate of another: those from before stay.
    let key = setup.at("certs/node-1-key.pem");
    set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
    setup.hang_up();
    setup.logged("can be read by others (mode 640)");
    assert_eq!(setup.client(&["get", "k"], &next).out, "v");
    set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    setup.certs("next", &["create-node", "2"]);
    std::fs::copy(setup.at("next/node-2.pem"), setup.at("certs/node-1.pem")).unwrap();
    std::fs::copy(setup.at("next/node-2-key.pem"), &key).unwrap();
    setup.hang_up();
    setup.logged("the new certificate is of raft://7/node/2, and this is raft://7/node/1");
    assert_eq!(setup.client(&["get", "k"], &next).out, "v");

    let node = &mut setup.node.as_mut().unwrap().0;
    signal(node, "TERM");
    assert_eq!(ended(node), Some(0));
}

#[test]
fn private_keys_are_for_their_owner_and_nothing_is_overwritten() {
    let setup = Setup::new();
    let said = setup.certs("certs", &["create-node", "3", "--days", "2"]);
    assert!(said.contains("raft://7/node/3, valid for 2 days"), "{said}");
    assert!(said.contains("--tls-ca certs/ca.pem --tls-cert certs/node-3.pem"), "{said}");
    let read = |name: &str| std::fs::read(setup.at(name)).unwrap();
    let mode = |name: &str| setup.at(name).metadata().unwrap().mode() & 0o777;
    assert_eq!((mode("certs/ca-key.pem"), mode("certs/node-3-key.pem")), (0o600, 0o600));
    assert_eq!(setup.at("certs").read_dir().unwrap().count(), 4);

    let before = (read("certs/node-3.pem"), read("certs/node-3-key.pem"), read("certs/ca-key.pem"));
    for again in [&["certs", "create-ca", "--cluster-id", "7"][..], &["certs", "create-node", "3"]]
    {
        let refused = setup.run(again);
        assert_eq!(refused.code, Some(1));
        assert!(refused.err.contains("is there already, and stays"), "{}", refused.err);
    }
    let after = (read("certs/node-3.pem"), read("certs/node-3-key.pem"), read("certs/ca-key.pem"));
    assert_eq!(before, after);
    setup.certs("certs", &["create-node", "3", "--replace"]);
    assert!(before.0 != read("certs/node-3.pem") && before.1 != read("certs/node-3-key.pem"));
    assert_eq!(mode("certs/node-3-key.pem"), 0o600);

    // A certificate whose key is lost gets no other one, which would not fit.
    std::fs::remove_file(setup.at("certs/node-3-key.pem")).unwrap();
    assert_eq!(setup.run(&["certs", "create-node", "3"]).code, Some(1));
    assert!(!setup.at("certs/node-3-key.pem").exists());

    set_permissions(setup.at("certs/ca-key.pem"), Permissions::from_mode(0o644)).unwrap();
    let refused = setup.run(&["certs", "create-node", "4"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("ca-key.pem can be read by others (mode 644)"), "{}", refused.err);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let setup = Setup::new();
    for (arguments, code, says) in [
        (&["create-node", "0"][..], 2, "0 is not in 1.."),
        (&["create-client", "a/../b"], 2, "is not the name of a client"),
        (&["create-client", ""], 2, "is not the name of a client"),
        (&["create-ca", "--cluster-id", "0", "--dir", "zero"], 2, "a number from 1 on"),
        (&["create-node", "1", "--dir", "nowhere"], 1, "cannot read nowhere/ca.pem"),
        (&["create-node", "1", "--days", "0"], 2, "0 is not in 1..=36500"),
    ] {
        let ended = setup.run(&[&["certs"], arguments].concat());
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.err);
        assert!(ended.err.contains(says), "{arguments:?}: {}", ended.err);
    }
    // The key of another authority.
    setup.certs("other", &["create-ca", "--cluster-id", "7"]);
    std::fs::copy(setup.at("other/ca-key.pem"), setup.at("certs/ca-key.pem")).unwrap();
    let ended = setup.run(&["certs", "create-node", "1"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("not signed by this cluster's authority"), "{}", ended.err);
    assert!(!setup.at("certs/node-1.pem").exists() && !setup.at("certs/node-1-key.pem").exists());
}

#[test]
fn a_node_does_not_start_with_what_is_not_its_own() {
    let setup = Setup::new();
    setup.certs("certs", &["create-node", "1"]);
    setup.certs("certs", &["create-node", "2"]);
    let refused = Ended::from(setup.node_command("node-2").output().unwrap());
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("the certificate is of raft://7/node/2"), "{}", refused.err);
    set_permissions(setup.at("certs/node-1-key.pem"), Permissions::from_mode(0o604)).unwrap();
    let refused = Ended::from(setup.node_command("node-1").output().unwrap());
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("chmod 600 certs/node-1-key.pem"), "{}", refused.err);
}

#[test]
fn plaintext_does_not_leave_this_machine() {
    let setup = Setup::new();
    let server = ["server", "--cluster-id", "7", "--node-id", "1", "--data-dir", "data"];
    for arguments in [
        &[&server[..], &["--listen", "0.0.0.0:0", "--advertise", "localhost:1"]].concat()[..],
        &["get", "k", "--endpoints", "192.0.2.1:7101"],
    ] {
        let refused = setup.run(arguments);
        assert_eq!(refused.code, Some(2), "{}", refused.err);
        assert!(refused.err.contains("is not of this machine for certain"), "{}", refused.err);
    }
    assert!(!setup.at("data").exists());
}

/// The certificate names the node, and so it need not be told its number, and is believed no other.
#[test]
fn a_node_joins_as_the_node_that_its_certificate_names() {
    let mut setup = Setup::new();
    setup.start_node();
    setup.certs("certs", &["create-node", "4"]);
    setup.certs("certs", &["create-client", "ops"]);
    let good = flags("certs", "client-ops");
    let put = setup.client(&["put", "k", "v", "--timeout", "60s"], &good);
    assert_eq!(put.code, Some(0), "{}{}", put.err, setup.log());
    let join = |extra: &[&str]| {
        let listen = format!("127.0.0.1:{}", free_ports(1)[0]);
        let mut command = common::sharded();
        command.current_dir(setup.dir.path());
        command.args(["server", "--join", &setup.address, "--listen", &listen]);
        command.args(["--data-dir", "joined"]).args(flags("certs", "node-4")).args(extra);
        command
    };
    let other = Ended::from(join(&["--node-id", "5"]).output().unwrap());
    assert_eq!(other.code, Some(1), "{}", other.err);
    assert!(other.err.contains("is of node 4, and this is node 5"), "{}", other.err);
    assert!(!setup.at("joined").exists());
    let log = File::create(setup.at("joined.log")).unwrap();
    let _node = Guard(join(&[]).stderr(log).stdout(Stdio::null()).spawn().unwrap());
    eventually("it is a voter", || {
        let log = std::fs::read_to_string(setup.at("joined.log")).unwrap();
        log.contains("this node is a voter").then_some(())
    });
    let list = setup.client(&["member", "list", "--json"], &good);
    let list: serde_json::Value = serde_json::from_str(&list.out).unwrap();
    let nodes: Vec<_> =
        list[0]["members"].as_array().unwrap().iter().map(|it| &it["node"]).collect();
    assert_eq!(nodes, [1, 4]);
    // Without a certificate nobody joins.
    let mut bare = common::sharded();
    bare.current_dir(setup.dir.path());
    bare.args([
        "server",
        "--join",
        &setup.address,
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        "bare",
    ]);
    let mut bare = Guard(bare.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap());
    assert_eq!(ended(&mut bare.0), Some(3));
    assert!(!setup.at("bare").exists());
}
