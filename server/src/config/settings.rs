//! The settings, each declared once: its name, its type, its environment variable, its default and its
//! documentation. From that come the flags, the file's keys and the merged [`Config`].

use std::fmt::Display;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use serde::Deserialize;

use super::groups::{Groups, Mode};
use super::join::JoinGroups;
use super::leaders::PreferredLeaders;
use super::peers::{HostPort, Peers};
use super::security::Exposure;
use super::transport::Transport;
use crate::cli::LogFlags;
use crate::logging::LogFormat;
use crate::units::{Size, Span};

/// Where a value came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    Flag,
    Env,
    File,
    Default,
}

impl Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Flag => "flag",
            Self::Env => "environment",
            Self::File => "file",
            Self::Default => "default",
        })
    }
}

/// A value and where it came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sourced<T> {
    pub(crate) value: T,
    pub(crate) source: Source,
}

/// One setting through its layers. `outer` is what clap found in the flags and the environment; which of
/// the two it was, only the matches know.
fn layered<T: Clone>(
    name: &str,
    matches: &ArgMatches,
    outer: Option<&T>,
    file: Option<T>,
    default: T,
) -> Sourced<T> {
    let source = match matches.try_contains_id(name) {
        Ok(true) => matches.value_source(name),
        _ => None,
    };
    match (outer, file) {
        (Some(value), _) if source == Some(ValueSource::EnvVariable) => {
            Sourced { value: value.clone(), source: Source::Env }
        }
        (Some(value), _) => Sourced { value: value.clone(), source: Source::Flag },
        (None, Some(value)) => Sourced { value, source: Source::File },
        (None, None) => Sourced { value: default, source: Source::Default },
    }
}

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $name:ident: $kind:ty, $env:literal, $value:literal, $default:expr;)+) => {
        /// The settings as flags and environment variables.
        #[derive(Clone, Default, Debug, Args)]
        pub(crate) struct ServerFlags {
            $(
                $(#[doc = $doc])+
                #[arg(long, env = $env, hide_env_values = true, value_name = $value)]
                pub(crate) $name: Option<$kind>,
            )+
        }

        /// The settings as the TOML file has them.
        #[derive(Clone, Default, Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct FileSettings {
            $(pub(super) $name: Option<$kind>,)+
            pub(super) log_format: Option<LogFormat>,
            pub(super) log_level: Option<String>,
        }

        /// The settings in effect.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub(crate) struct Config {
            $($(#[doc = $doc])+ pub(crate) $name: Sourced<$kind>,)+
            /// How log lines are written.
            pub(crate) log_format: Sourced<LogFormat>,
            /// The log level, or a filter per module.
            pub(crate) log_level: Sourced<String>,
        }

        impl Config {
            /// Merges the layers, setting by setting.
            pub(super) fn merge(
                flags: &ServerFlags,
                log: &LogFlags,
                file: FileSettings,
                matches: &ArgMatches,
            ) -> Self {
                Self {
                    $($name: layered(
                        stringify!($name), matches, flags.$name.as_ref(), file.$name, $default,
                    ),)+
                    log_format: layered(
                        "log_format", matches, log.log_format.as_ref(), file.log_format,
                        LogFormat::Text,
                    ),
                    log_level: layered(
                        "log_level", matches, log.log_level.as_ref(), file.log_level,
                        "info".to_owned(),
                    ),
                }
            }

            /// Every setting: its name, its value as it is written in the file, and its source.
            pub(super) fn rows(&self) -> Vec<(&'static str, String, Source)> {
                vec![
                    $((stringify!($name), self.$name.value.written(), self.$name.source),)+
                    ("log_format", self.log_format.value.to_string().written(), self.log_format.source),
                    ("log_level", self.log_level.value.written(), self.log_level.source),
                ]
            }
        }
    };
}

settings! {
    /// The cluster that this node belongs to: any number, the same on all of its nodes. Nodes of
    /// different clusters refuse each other. Required; the data directory remembers it
    cluster_id: u64, "SHARDKV_CLUSTER_ID", "NUMBER", 0;
    /// This node, a number from 1 on. Required; the data directory remembers it
    node_id: u64, "SHARDKV_NODE_ID", "NUMBER", 0;
    /// The directory of this node's log and snapshots; made if it is not there. Required
    data_dir: PathBuf, "SHARDKV_DATA_DIR", "DIR", PathBuf::new();
    /// Where to listen, for peers and clients alike. Port 0 takes a free one [default: 127.0.0.1:7101]
    listen: HostPort, "SHARDKV_LISTEN", "HOST:PORT", HostPort::new("127.0.0.1:7101");
    /// Where clients and peers reach this node, if not where it listens [default: this node's entry in
    /// `peers`, or else `listen`]
    advertise: HostPort, "SHARDKV_ADVERTISE", "HOST:PORT", HostPort::new("");
    /// What carries all connections, with peers and clients: `tcp`, or `quic`, which needs certificates. The same
    /// on all nodes and clients [default: tcp]
    transport: Transport, "SHARDKV_TRANSPORT", "TRANSPORT", Transport::Tcp;
    /// The certificate of the cluster's authority, in PEM. With `tls_cert` and `tls_key` all connections are
    /// secured by TLS, with certificates on both sides [default: none, and plaintext on this machine]
    tls_ca: PathBuf, "SHARDKV_TLS_CA", "FILE", PathBuf::new();
    /// The certificate of this node, in PEM, as `shardkv certs create-node` makes it. SIGHUP makes the node
    /// read it again, and its key and the authority's
    tls_cert: PathBuf, "SHARDKV_TLS_CERT", "FILE", PathBuf::new();
    /// The private key of this node's certificate, in PEM, which only its owner may be able to read
    tls_key: PathBuf, "SHARDKV_TLS_KEY", "FILE", PathBuf::new();
    /// Whom plaintext may be exposed to, where there are no certificates: `loopback-only`, or
    /// `anyone-can-read-and-write`, which means what it says [default: loopback-only]
    insecure_plaintext: Exposure, "SHARDKV_INSECURE_PLAINTEXT", "EXPOSURE", Exposure::LoopbackOnly;
    /// The nodes of the cluster and where they are reached, as 1=HOST:PORT,2=HOST:PORT. This node may be
    /// among them, so that all nodes can be given the same list [default: this node alone]
    peers: Peers, "SHARDKV_PEERS", "ID=HOST:PORT,…", Peers::default();
    /// Any node of a cluster that there is, which this node is to join: without data it asks that cluster for all
    /// that it needs, and for a vote. A node that has data goes on from it [default: none]
    join: HostPort, "SHARDKV_JOIN", "HOST:PORT", HostPort::new("");
    /// The groups that a node that joins wants to be in: `all` that there are, `none`, or numbers, as 0,1
    /// [default: all]
    join_groups: JoinGroups, "SHARDKV_JOIN_GROUPS", "GROUPS", JoinGroups::All;
    /// What the cluster is: `sharded`, or `plain`, which is one group that has all keys. The same on all
    /// nodes [default: sharded]
    mode: Mode, "SHARDKV_MODE", "MODE", Mode::Sharded;
    /// The groups of the cluster and the nodes that hold a replica of each, as 0=1+2+3,1=1+2+3. Group 0 is
    /// the controller; all nodes can be given the same list [default: groups 0 and 1, on all nodes]
    groups: Groups, "SHARDKV_GROUPS", "ID=NODE+NODE,…", Groups::default();
    /// How many shards the keys are spread over, from 1 to 16384. It counts when the cluster is made, and
    /// not any more after that [default: 16]
    shards: u32, "SHARDKV_SHARDS", "NUMBER", 16;
    /// The node that is to lead when it is well, or one for each group, as 0=1,1=2. The same on all nodes
    /// [default: whoever is elected]
    preferred_leaders: PreferredLeaders, "SHARDKV_PREFERRED_LEADERS", "NODES", PreferredLeaders::default();
    /// How long a follower hears nothing from a leader before it stands for election: drawn anew each
    /// time, from once to twice this. A multiple of `tick` [default: 500ms]
    election_timeout: Span, "SHARDKV_ELECTION_TIMEOUT", "SPAN", Span::millis(500);
    /// How often a leader shows that it is alive. A multiple of `tick` [default: 100ms]
    heartbeat: Span, "SHARDKV_HEARTBEAT", "SPAN", Span::millis(100);
    /// The unit of a node's clock [default: 50ms]
    tick: Span, "SHARDKV_TICK", "SPAN", Span::millis(50);
    /// Take a snapshot whenever the log has grown by this much since the last one [default: 64MiB]
    snapshot_after: Size, "SHARDKV_SNAPSHOT_AFTER", "SIZE", Size::mib(64);
    /// The longest key. The same on all nodes [default: 64KiB]
    key_bytes_max: Size, "SHARDKV_KEY_BYTES_MAX", "SIZE", Size::kib(64);
    /// The longest value. The same on all nodes [default: 1MiB]
    value_bytes_max: Size, "SHARDKV_VALUE_BYTES_MAX", "SIZE", Size::mib(1);
    /// Writes in flight beyond this many bytes are refused as overload [default: 64MiB]
    in_flight_bytes_max: Size, "SHARDKV_IN_FLIGHT_BYTES_MAX", "SIZE", Size::mib(64);
    /// How many clients may be connected [default: 10000]
    clients_max: u32, "SHARDKV_CLIENTS_MAX", "NUMBER", 10_000;
    /// A client that is silent for this long loses its session, and with it the memory of what it has
    /// sent already [default: 1h]
    session_ttl: Span, "SHARDKV_SESSION_TTL", "SPAN", Span::secs(3600);
    /// How long a stopping node waits for requests that are in flight [default: 5s]
    shutdown_timeout: Span, "SHARDKV_SHUTDOWN_TIMEOUT", "SPAN", Span::secs(5);
}

/// A value as the TOML file has it.
pub(super) trait Written {
    fn written(&self) -> String;
}

/// `text` in TOML's quotes.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

impl Written for u64 {
    fn written(&self) -> String {
        self.to_string()
    }
}

impl Written for u32 {
    fn written(&self) -> String {
        self.to_string()
    }
}

impl Written for String {
    fn written(&self) -> String {
        quoted(self)
    }
}

impl Written for PathBuf {
    fn written(&self) -> String {
        quoted(&self.display().to_string())
    }
}

impl Written for HostPort {
    fn written(&self) -> String {
        quoted(&self.0)
    }
}

impl Written for Span {
    fn written(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Written for Size {
    fn written(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Written for Mode {
    fn written(&self) -> String {
        quoted(match self {
            Self::Sharded => "sharded",
            Self::Plain => "plain",
        })
    }
}

impl Written for JoinGroups {
    fn written(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Written for PreferredLeaders {
    fn written(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Written for Exposure {
    fn written(&self) -> String {
        quoted(self.name())
    }
}

impl Written for Transport {
    fn written(&self) -> String {
        quoted(self.name())
    }
}

impl Written for Groups {
    fn written(&self) -> String {
        let entries: Vec<_> =
            self.0.iter().map(|(group, nodes)| format!("{group} = {nodes:?}")).collect();
        match entries.is_empty() {
            true => "{}".to_owned(),
            // A set is written as a list is.
            false => format!("{{ {} }}", entries.join(", ").replace('{', "[").replace('}', "]")),
        }
    }
}

impl Written for Peers {
    fn written(&self) -> String {
        let entries: Vec<_> =
            self.0.iter().map(|(id, at)| format!("{id} = {}", quoted(&at.0))).collect();
        match entries.is_empty() {
            true => "{}".to_owned(),
            false => format!("{{ {} }}", entries.join(", ")),
        }
    }
}
