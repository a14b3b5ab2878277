//! What carries connections.

use clap::ValueEnum;
use serde::Deserialize;

/// What carries connections. The same on all nodes and clients.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Transport {
    /// TCP, with TLS or without
    #[default]
    Tcp,
    /// QUIC over UDP, which always has TLS
    Quic,
}

impl Transport {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Quic => "quic",
        }
    }
}
