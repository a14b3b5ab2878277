//! [`Transport`]: what nodes and clients talk over.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What nodes and clients talk over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Transport {
    /// Without encryption.
    Tcp,
    /// TCP with TLS, with certificates on both sides.
    Tls,
    /// QUIC, with the same certificates.
    Quic,
}

/// A certificate has three files, and a name for each in the environment.
const VARIABLES: [&str; 3] = ["SHARDKV_TLS_CA", "SHARDKV_TLS_CERT", "SHARDKV_TLS_KEY"];

impl Transport {
    pub(super) const ALL: [Self; 3] = [Self::Tcp, Self::Tls, Self::Quic];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Quic => "quic",
        }
    }

    /// Makes the certificates of as many nodes and of a client, where there have to be some.
    pub(super) fn prepare(self, program: &Path, dir: &Path, nodes: usize) -> Result<(), String> {
        if self == Self::Tcp {
            return Ok(());
        }
        let certs = |words: &[&str]| {
            let mut command = Command::new(program);
            command.arg("certs").args(words).arg("--dir").arg(dir.join("certs"));
            match command.stdout(Stdio::null()).status() {
                Ok(status) if status.success() => Ok(()),
                Ok(status) => {
                    Err(format!("`shardkv certs {}` ended with {status}", words.join(" ")))
                }
                Err(error) => Err(format!("`shardkv certs` cannot be run: {error}")),
            }
        };
        certs(&["create-ca", "--cluster-id", "7"])?;
        (1..=nodes).try_for_each(|node| certs(&["create-node", &node.to_string()]))?;
        certs(&["create-client", "soak"])
    }

    /// What a node has in its settings.
    pub(super) fn settings(self, dir: &Path, node: usize) -> String {
        let files = self.files(dir, &format!("node-{node}"));
        let lines = ["tls_ca", "tls_cert", "tls_key"].into_iter().zip(files);
        let files: String = lines.map(|(name, file)| format!("{name} = {file:?}\n")).collect();
        format!("transport = {:?}\n{files}", self.carrier())
    }

    /// What a client has in its environment.
    pub(super) fn environment(self, dir: &Path) -> Vec<(&'static str, PathBuf)> {
        let files = VARIABLES.into_iter().zip(self.files(dir, "client-soak"));
        files.chain([("SHARDKV_TRANSPORT", self.carrier().into())]).collect()
    }

    /// What a node or a client is told: whether there is TLS, it knows by its files.
    fn carrier(self) -> &'static str {
        match self {
            Self::Tcp | Self::Tls => "tcp",
            Self::Quic => "quic",
        }
    }

    fn files(self, dir: &Path, name: &str) -> Vec<PathBuf> {
        let file = |name: &str| dir.join("certs").join(format!("{name}.pem"));
        match self {
            Self::Tcp => Vec::new(),
            Self::Tls | Self::Quic => vec![file("ca"), file(name), file(&format!("{name}-key"))],
        }
    }
}
