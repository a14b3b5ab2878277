//! How connections are to be made, for nodes and clients alike: over TCP or QUIC, secured by three files; or over TCP
//! and not secured at all, and then on this machine only.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::ValueEnum;
use raft_transport::CredentialFiles;
use serde::Deserialize;

use super::{HostPort, Transport};
use crate::exit::{Done, Failure};

/// Whom plaintext may be exposed to.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Exposure {
    /// Whoever has an account on this machine
    #[default]
    LoopbackOnly,
    /// Whoever reaches a port of a node, or sits on the way to it
    AnyoneCanReadAndWrite,
}

impl Exposure {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::LoopbackOnly => "loopback-only",
            Self::AnyoneCanReadAndWrite => "anyone-can-read-and-write",
        }
    }
}

/// What connections are to be carried and secured by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Security {
    /// TCP, and nothing.
    Plaintext(Exposure),
    /// TCP and TLS, with certificates on both sides.
    MutualTls(CredentialFiles),
    /// QUIC, which has the same TLS.
    Quic(CredentialFiles),
}

impl Security {
    /// What the settings say; `files` are those of the authority, of the certificate and of its key.
    pub(crate) fn of(
        transport: Transport,
        files: [Option<&PathBuf>; 3],
        exposure: Exposure,
    ) -> Result<Self, Failure> {
        let missing = ["--tls-ca", "--tls-cert", "--tls-key"].into_iter().zip(&files);
        let missing = missing.filter(|(_, file)| file.is_none()).map(|(flag, _)| flag).next();
        match (files, missing, exposure) {
            ([None, None, None], ..) => match transport {
                Transport::Tcp => Ok(Self::Plaintext(exposure)),
                Transport::Quic => Err(Failure::usage("QUIC is never without TLS").hint(
                    "give --tls-ca, --tls-cert and --tls-key, files that `shardkv certs` makes",
                )),
            },
            ([Some(authority), Some(certificate), Some(key)], _, Exposure::LoopbackOnly) => {
                let (authority, certificate, key) =
                    (authority.clone(), certificate.clone(), key.clone());
                let files = CredentialFiles { authority, certificate, key };
                Ok(match transport {
                    Transport::Tcp => Self::MutualTls(files),
                    Transport::Quic => Self::Quic(files),
                })
            }
            (_, None, _) => Err(Failure::usage("the settings ask for both TLS and plaintext")
                .hint("leave out --insecure-plaintext, or the files of TLS")),
            (_, Some(missing), _) => Err(Failure::usage(format!("{missing} is missing")).hint(
                "TLS needs --tls-ca, --tls-cert and --tls-key; `shardkv certs` makes the files",
            )),
        }
    }

    /// Whether what is said at these addresses stays on this machine, where it has to.
    pub(crate) fn check<'a>(&self, addresses: impl IntoIterator<Item = &'a HostPort>) -> Done {
        if *self != Self::Plaintext(Exposure::LoopbackOnly) {
            return Ok(());
        }
        match addresses.into_iter().find(|at| !is_loopback(at)) {
            None => Ok(()),
            Some(at) => Err(Failure::usage(format!(
                "{at} is not of this machine for certain, and without TLS anyone on the way could read \
                 and write"
            ))
            .hint(
                "give --tls-ca, --tls-cert and --tls-key, files that `shardkv certs` makes; or else \
                 --insecure-plaintext anyone-can-read-and-write",
            )),
        }
    }
}

/// Whether it is of this machine whatever a name server says; `localhost` is held to it by whoever resolves it,
/// [`LoopbackNetwork`](raft_transport::LoopbackNetwork).
fn is_loopback(at: &HostPort) -> bool {
    let host = at.0.rsplit_once(':').map_or(at.0.as_str(), |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
