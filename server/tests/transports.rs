//! Nodes and clients over each transport, as processes.

mod common;

use common::{Cluster, Ended, ended, eventually, free_ports, run, shardkv, signal};
use tempfile::TempDir;

/// Certificates of nodes 1 to 3 and of a client, in one folder.
struct Certificates(TempDir);

impl Certificates {
    fn make() -> Self {
        let made = Self(tempfile::tempdir().unwrap());
        for arguments in [
            &["create-ca", "--cluster-id", "7"][..],
            &["create-node", "1"],
            &["create-node", "2"],
            &["create-node", "3"],
            &["create-client", "ops"],
        ] {
            let folder = made.0.path().to_str().unwrap();
            let ended = run(&[&["certs"], arguments, &["--dir", folder]].concat());
            assert_eq!(ended.code, Some(0), "{}", ended.err);
        }
        made
    }

    /// What a node or a client is told; `{node}` in a name is left as it is.
    fn flags(&self, transport: &str, name: &str) -> Vec<String> {
        let file = |name: &str| format!("{}/{name}.pem", self.0.path().display());
        let mut flags = vec!["--transport".to_owned(), transport.to_owned()];
        for (flag, name) in
            [("--tls-ca", "ca"), ("--tls-cert", name), ("--tls-key", &format!("{name}-key"))]
        {
            flags.extend([flag.to_owned(), file(name)]);
        }
        flags
    }
}

fn words(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

#[track_caller]
fn ok(cluster: &Cluster, arguments: &[&str], flags: &[String]) -> String {
    cluster.ok(&[arguments, &words(flags)].concat())
}

/// The index of the node that leads.
fn leader(cluster: &Cluster, flags: &[String]) -> usize {
    let endpoints = cluster.endpoints();
    eventually("a leader", || {
        let status = ["status", "--json", "--endpoints", &endpoints, "--timeout", "2s"];
        let ended = run(&[&status[..], &words(flags)].concat());
        let rows: Vec<serde_json::Value> = serde_json::from_str(&ended.out).ok()?;
        rows.iter().position(|row| row["role"] == "leader")
    })
}

#[test]
fn a_cluster_over_quic() {
    let certificates = Certificates::make();
    let mut cluster = Cluster::start(&words(&certificates.flags("quic", "node-{node}")));
    let client = certificates.flags("quic", "client-ops");
    ok(&cluster, &["put", "k", "v"], &client);
    for _ in 0..2 {
        let killed = leader(&cluster, &client);
        cluster.kill_node(killed);
        ok(&cluster, &["put", "k", "w"], &client);
        cluster.start_node(killed);
        assert_eq!(ok(&cluster, &["get", "k"], &client), "w");
    }
    // Whoever has no certificate, or another transport, gets no answer.
    let get = |flags: &[String]| -> Ended {
        let endpoints = cluster.endpoints();
        let get = ["get", "k", "--endpoints", &endpoints, "--timeout", "2s"];
        run(&[&get[..], &words(flags)].concat())
    };
    assert_eq!(get(&certificates.flags("tcp", "client-ops")).code, Some(3));
    let bare = get(&["--transport".to_owned(), "quic".to_owned()]);
    assert_eq!(bare.code, Some(2), "{}", bare.err);
    assert!(bare.err.contains("QUIC is never without TLS"), "{}", bare.err);
    // And by the environment.
    let mut command = shardkv();
    command.env("SHARDKV_TRANSPORT", "quic").env("SHARDKV_ENDPOINTS", cluster.endpoints());
    let by_environment = command.args(["get", "k"]).args(&client[2..]).output().unwrap();
    assert_eq!(Ended::from(by_environment).out, "w");
    for node in cluster.nodes.iter_mut().flatten() {
        signal(&node.0, "TERM");
        assert_eq!(ended(&mut node.0), Some(0));
    }
}

/// All nodes go, and come back with what they had, each somewhere else.
fn all_addresses_change(transport: &str) {
    let certificates = Certificates::make();
    let mut cluster = Cluster::start(&words(&certificates.flags(transport, "node-{node}")));
    let client = certificates.flags(transport, "client-ops");
    ok(&cluster, &["put", "k", "v"], &client);
    for round in 0..2 {
        (0..3).for_each(|index| cluster.kill_node(index));
        let ports = free_ports(3).into_iter();
        let old = cluster.addresses.clone();
        cluster.addresses = ports.map(|port| format!("127.0.0.1:{port}")).collect();
        assert!(cluster.addresses.iter().all(|address| !old.contains(address)));
        (0..3).for_each(|index| cluster.start_node(index));
        assert_eq!(ok(&cluster, &["get", "k"], &client), ["v", "w"][round]);
        ok(&cluster, &["put", "k", "w"], &client);
    }
}

#[test]
fn all_addresses_change_over_tcp() {
    all_addresses_change("tcp");
}

#[test]
fn all_addresses_change_over_quic() {
    all_addresses_change("quic");
}
