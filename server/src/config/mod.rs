//! What `shardkv server` can be told, and where it can be told it.
//!
//! Every setting is a flag, an environment variable and a key of the TOML file, with the same name; a flag
//! wins over the environment, the environment over the file, the file over the default, each setting for
//! itself. They are declared once, in [`settings`]; a test holds the sample file against them.

mod check;
mod file;
mod groups;
mod join;
mod leaders;
mod peers;
mod security;
mod settings;
mod show;
mod transport;

pub(crate) use groups::{CONTROLLER, GROUP_MAX, Groups, Mode, PLAIN};
pub(crate) use peers::{HostPort, Peers};
pub(crate) use security::{Exposure, Security};
use settings::Sourced;
pub(crate) use settings::{Config, ServerFlags};
pub(crate) use transport::Transport;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use raft_core::NodeId;
use raft_transport::CredentialFiles;

use crate::cli::LogFlags;
use crate::exit::Failure;

/// The sample file, as `shardkv config example` prints it.
pub(crate) const EXAMPLE: &str = include_str!("../../shardkv.example.toml");

/// The effective settings, checked. `matches` are those of the subcommand that has the flags.
pub(crate) fn load(
    flags: &ServerFlags,
    log: &LogFlags,
    path: Option<&Path>,
    matches: &ArgMatches,
) -> Result<Config, Failure> {
    let file = path.map(file::read).transpose()?.unwrap_or_default();
    let mut config = Config::merge(flags, log, file, matches);
    config.complete_data_dir();
    config.check()?;
    Ok(config)
}

impl Config {
    /// The defaults, for a node of a demonstration: at a port of this machine that the system chooses.
    pub(crate) fn for_demo(cluster: u64, node: u64, dir: PathBuf) -> Self {
        let mut config = Self::defaults();
        config.cluster_id.value = cluster;
        config.node_id.value = node;
        config.data_dir.value = dir;
        config.listen.value = HostPort::new("127.0.0.1:0");
        config
    }

    pub(crate) fn set_security(&mut self, files: &CredentialFiles) {
        self.tls_ca.value.clone_from(&files.authority);
        self.tls_cert.value.clone_from(&files.certificate);
        self.tls_key.value.clone_from(&files.key);
    }

    pub(crate) fn set_groups(&mut self, groups: impl IntoIterator<Item = u64>, nodes: &[NodeId]) {
        let nodes: BTreeSet<u64> = nodes.iter().map(|node| node.0).collect();
        let groups = groups.into_iter().map(|group| (group, nodes.clone()));
        self.groups.value = Groups(groups.collect());
    }

    fn defaults() -> Self {
        Self::merge(
            &ServerFlags::default(),
            &LogFlags::default(),
            file::FileSettings::default(),
            &ArgMatches::default(),
        )
    }
}

#[cfg(test)]
mod tests;
