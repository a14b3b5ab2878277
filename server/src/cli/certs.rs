//! The commands that make certificates.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use raft_transport::ClientName;

#[derive(Debug, Subcommand)]
pub(crate) enum CertsCommand {
    /// Make the authority of a cluster, which signs the certificates of its nodes and clients
    ///
    /// Whoever has its private key, ca-key.pem, can make nodes and clients of the cluster: nodes need ca.pem
    /// only. Keep the key elsewhere.
    #[command(name = "create-ca")]
    Authority(CreateCaArgs),
    /// Make the certificate of a node
    #[command(name = "create-node")]
    Node(CreateNodeArgs),
    /// Make the certificate of a client
    #[command(name = "create-client")]
    Client(CreateClientArgs),
}

/// Where certificates are, and for how long one is valid.
#[derive(Debug, Args)]
pub(crate) struct IssueArgs {
    /// The folder of the authority's files, and of those that are made
    #[arg(long, value_name = "DIR", default_value = "certs")]
    pub(crate) dir: PathBuf,
    /// For how many days it is valid, from an hour ago on
    #[arg(long, value_name = "NUMBER", default_value_t = 365)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) days: u32,
    /// Put it, and a key of its own, in place of one that is there: to renew it
    #[arg(long)]
    pub(crate) replace: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CreateCaArgs {
    /// The cluster, as its nodes have it in `cluster_id`
    #[arg(long, env = "SHARDKV_CLUSTER_ID", hide_env_values = true, value_name = "NUMBER")]
    pub(crate) cluster_id: u64,
    /// The folder of its files, which is made if it is not there
    #[arg(long, value_name = "DIR", default_value = "certs")]
    pub(crate) dir: PathBuf,
    /// For how many days it is valid, from an hour ago on, and with it all that it signs
    #[arg(long, value_name = "NUMBER", default_value_t = 3650)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) days: u32,
}

#[derive(Debug, Args)]
pub(crate) struct CreateNodeArgs {
    /// The node, as it has itself in `node_id`
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) node_id: u64,
    #[command(flatten)]
    pub(crate) issue: IssueArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CreateClientArgs {
    /// The client's name, for people: letters, digits, `-`, `_` and `.`
    pub(crate) name: ClientName,
    #[command(flatten)]
    pub(crate) issue: IssueArgs,
}
