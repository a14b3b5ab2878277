//! The commands that talk to a cluster as its client does.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use raft_transport::CredentialFiles;

use crate::config::{Exposure, HostPort, Mode, Security, Transport};
use crate::exit::Failure;
use crate::units::Span;

/// How to reach the cluster.
#[derive(Clone, Debug, Args)]
pub(crate) struct Connect {
    /// Nodes of the cluster; one that is up is enough to find the leader
    #[arg(long, env = "SHARDKV_ENDPOINTS", hide_env_values = true, value_delimiter = ',')]
    #[arg(value_name = "HOST:PORT,…", default_value = "127.0.0.1:7101")]
    pub(crate) endpoints: Vec<HostPort>,
    /// The deadline of a request with all its retries
    #[arg(long, env = "SHARDKV_TIMEOUT", hide_env_values = true)]
    #[arg(value_name = "SPAN", default_value = "5s")]
    pub(crate) timeout: Span,
    /// What the cluster is
    #[arg(long, env = "SHARDKV_MODE", hide_env_values = true, default_value = "sharded")]
    pub(crate) mode: Mode,
    #[command(flatten)]
    pub(crate) security: SecurityFlags,
}

/// How connections are carried and secured. All of a cluster have to agree.
#[derive(Clone, Default, Debug, Args)]
#[command(next_help_heading = "Security")]
pub(crate) struct SecurityFlags {
    /// What carries connections [default: tcp]
    #[arg(long, env = "SHARDKV_TRANSPORT", hide_env_values = true, value_name = "TRANSPORT")]
    pub(crate) transport: Option<Transport>,
    /// The certificate of the cluster's authority, in PEM [default: none, and plaintext on this machine]
    #[arg(long, env = "SHARDKV_TLS_CA", hide_env_values = true, value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// This client's certificate, in PEM, as `shardkv certs create-client` makes it
    #[arg(long, env = "SHARDKV_TLS_CERT", hide_env_values = true, value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The private key of this client's certificate, in PEM
    #[arg(long, env = "SHARDKV_TLS_KEY", hide_env_values = true, value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Whom plaintext may be exposed to, where there are no certificates [default: loopback-only]
    #[arg(
        long,
        env = "SHARDKV_INSECURE_PLAINTEXT",
        hide_env_values = true,
        value_name = "EXPOSURE"
    )]
    pub(crate) insecure_plaintext: Option<Exposure>,
}

impl SecurityFlags {
    /// What they ask for.
    pub(crate) fn wanted(&self) -> Result<Security, Failure> {
        let files = [&self.tls_ca, &self.tls_cert, &self.tls_key];
        let transport = self.transport.unwrap_or_default();
        let exposure = self.insecure_plaintext.unwrap_or_default();
        Security::of(transport, files.map(Option::as_ref), exposure)
    }
}

impl From<CredentialFiles> for SecurityFlags {
    fn from(files: CredentialFiles) -> Self {
        Self {
            transport: None,
            tls_ca: Some(files.authority),
            tls_cert: Some(files.certificate),
            tls_key: Some(files.key),
            insecure_plaintext: None,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// The key
    pub(crate) key: OsString,
    /// The key is given in hexadecimal, and the value is printed so
    #[arg(long)]
    pub(crate) hex: bool,
    /// Print key, value and version as one line of JSON
    #[arg(long, conflicts_with = "hex")]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// The key
    pub(crate) key: OsString,
    /// The value; `-` reads it from stdin, to the last byte
    #[arg(allow_hyphen_values = true)]
    pub(crate) value: OsString,
    /// Key and value are given in hexadecimal
    #[arg(long)]
    pub(crate) hex: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DelArgs {
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// The key
    pub(crate) key: OsString,
    /// The key is given in hexadecimal
    #[arg(long)]
    pub(crate) hex: bool,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("expected").required(true))]
pub(crate) struct CasArgs {
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// The key
    pub(crate) key: OsString,
    /// The new value; `-` reads it from stdin, to the last byte
    #[arg(allow_hyphen_values = true)]
    pub(crate) value: OsString,
    /// Only if the key has this value
    #[arg(long, group = "expected", value_name = "VALUE", allow_hyphen_values = true)]
    pub(crate) expect: Option<OsString>,
    /// Only if there is no such key
    #[arg(long, group = "expected")]
    pub(crate) absent: bool,
    /// Only if the key was last written at this version, as `get --json` shows it
    #[arg(long, group = "expected", value_name = "NUMBER")]
    pub(crate) version: Option<u64>,
    /// Key and values are given in hexadecimal
    #[arg(long)]
    pub(crate) hex: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ScanArgs {
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// Only keys that begin with this
    #[arg(long, value_name = "KEY", conflicts_with_all = ["from", "to"])]
    pub(crate) prefix: Option<OsString>,
    /// From this key on
    #[arg(long, value_name = "KEY")]
    pub(crate) from: Option<OsString>,
    /// Up to this key, which is not listed itself
    #[arg(long, value_name = "KEY")]
    pub(crate) to: Option<OsString>,
    /// At most this many
    #[arg(long, value_name = "NUMBER")]
    pub(crate) limit: Option<u64>,
    /// Leave the values out
    #[arg(long)]
    pub(crate) keys_only: bool,
    /// Keys are given, and keys and values printed, in hexadecimal
    #[arg(long)]
    pub(crate) hex: bool,
    /// Print a line of JSON for each, with its version
    #[arg(long, conflicts_with_all = ["hex", "keys_only"])]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// Print JSON: an object; of a plain cluster an array with an object for each endpoint
    #[arg(long)]
    pub(crate) json: bool,
}

/// How records stand in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Format {
    /// A line for each: key, tab, value, with \t \n \r \\ and \xNN for bytes that would not survive
    Tsv,
    /// A line of JSON for each: {"key":"…","value":"…"}, or key_b64 and value_b64 for bytes that are
    /// not UTF-8
    Ndjson,
    /// Any text: the key is the number of the line with eight digits, the value the line
    Lines,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// The file; `-` reads stdin
    pub(crate) file: OsString,
    /// How the records are written [default: by the name, .tsv or .ndjson]
    #[arg(long)]
    pub(crate) format: Option<Format>,
    /// Put this in front of every key
    #[arg(long, value_name = "KEY", default_value = "")]
    pub(crate) prefix: OsString,
    /// How many writes are in flight at once
    #[arg(long, value_name = "NUMBER", default_value_t = 256)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) in_flight: u32,
    /// Leave this many records out: what an import that was cut short says it has done
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) skip: u64,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// The file, which is replaced when the export is whole; `-` writes to stdout
    pub(crate) file: OsString,
    /// How the records are written [default: by the name, .tsv or .ndjson]
    #[arg(long)]
    pub(crate) format: Option<Format>,
    /// Only keys that begin with this
    #[arg(long, value_name = "KEY", default_value = "")]
    pub(crate) prefix: OsString,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// How many clients, each with one request outstanding
    #[arg(long, value_name = "NUMBER", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) clients: u32,
    /// How many connections they share; each has a session of its own
    #[arg(long, value_name = "NUMBER", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) connections: u32,
    /// Bytes of a key
    #[arg(long, value_name = "BYTES", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) key_size: u32,
    /// Bytes of a value
    #[arg(long, value_name = "BYTES", default_value_t = 256)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=(4 << 20)))]
    pub(crate) value_size: u32,
    /// How many different keys; with reads among the requests they are all written first
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) keys: u64,
    /// How many of a hundred requests are reads; the rest are writes
    #[arg(long, value_name = "PERCENT", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) read_percent: u8,
    /// How long to measure
    #[arg(long, value_name = "SPAN", default_value = "10s")]
    pub(crate) duration: Span,
    /// How long to run before that, unmeasured
    #[arg(long, value_name = "SPAN", default_value = "1s")]
    pub(crate) warmup: Span,
    /// The seed of the keys and of the choice between reads and writes
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Print one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}
