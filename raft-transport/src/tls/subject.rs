//! Whom a certificate is of: one URI among its subject alternative names.
//!
//! | URI | of |
//! |---|---|
//! | `raft://77/node/3` | node 3 of cluster 77 |
//! | `raft://77/client/backup` | a client of cluster 77, by the name `backup` |
//! | `raft://77/authority` | the authority of cluster 77 itself |
//!
//! A certificate has exactly one name of this scheme, written as above to the letter; names of other schemes, a
//! DNS name say, are not looked at.

use std::fmt;
use std::str::FromStr;

use raft_core::{ClusterId, NodeId};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use thiserror::Error;
use webpki::EndEntityCert;

use super::CertificateFault;

const SCHEME: &str = "raft://";
/// The longest name of a client, in bytes.
const CLIENT_NAME_BYTES_MAX: usize = 64;

/// Whom a certificate is of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Subject {
    /// A node of a cluster. It may answer, dial other nodes, and call services.
    Node {
        /// Its cluster.
        cluster: ClusterId,
        /// Its id.
        node: NodeId,
    },
    /// A client of a cluster. It may call services.
    Client {
        /// Its cluster.
        cluster: ClusterId,
        /// Its name, for people.
        name: ClientName,
    },
    /// The authority of a cluster. It signs the others' certificates, and may do nothing by its own.
    Authority {
        /// Its cluster.
        cluster: ClusterId,
    },
}

/// The name of a client: 1 to 64 letters, digits, `-`, `_` and `.`, all of ASCII.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientName(String);

/// What is no [`Subject`] or no [`ClientName`].
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum SubjectError {
    /// Not written as a subject is.
    #[error(
        "`{0}` is not written like raft://77/node/3, raft://77/client/NAME or raft://77/authority"
    )]
    Form(String),
    /// Not the name of a client.
    #[error("`{0}` is not the name of a client: 1 to 64 letters, digits, `-`, `_` and `.`")]
    ClientName(String),
}

impl Subject {
    /// The cluster it belongs to.
    pub fn cluster(&self) -> ClusterId {
        match self {
            Self::Node { cluster, .. }
            | Self::Client { cluster, .. }
            | Self::Authority { cluster } => *cluster,
        }
    }

    /// The subject of a certificate in PEM, the first if there are several.
    ///
    /// # Errors
    ///
    /// When there is none, and as [`of`](Self::of).
    pub fn of_pem(pem: &[u8]) -> Result<Self, CertificateFault> {
        match CertificateDer::from_pem_slice(pem) {
            Ok(certificate) => Self::of(&certificate),
            Err(_) => Err(CertificateFault::Missing),
        }
    }

    /// The subject of a certificate in DER.
    ///
    /// # Errors
    ///
    /// When the certificate cannot be read, or has no name of our scheme, or several, or one that is not
    /// written as it has to be. The certificate is not verified.
    pub fn of(certificate: &[u8]) -> Result<Self, CertificateFault> {
        let der = CertificateDer::from(certificate);
        let certificate = EndEntityCert::try_from(&der).map_err(CertificateFault::unusable)?;
        let mut names = certificate.valid_uri_names().filter(|name| name.starts_with(SCHEME));
        match (names.next(), names.next()) {
            (Some(name), None) => name
                .parse()
                .map_err(|error: SubjectError| CertificateFault::Unusable(error.to_string())),
            (None, _) => Err(CertificateFault::Unnamed),
            (Some(_), Some(_)) => Err(CertificateFault::Unusable("it has several names".into())),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node { cluster, node } => write!(f, "{SCHEME}{}/node/{}", cluster.0, node.0),
            Self::Client { cluster, name } => write!(f, "{SCHEME}{}/client/{name}", cluster.0),
            Self::Authority { cluster } => write!(f, "{SCHEME}{}/authority", cluster.0),
        }
    }
}

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        let parsed = parse(text);
        // One way to write it only: no signs, no leading zeros.
        let parsed = parsed.filter(|subject| subject.to_string() == text);
        parsed.ok_or_else(|| SubjectError::Form(shortened(text)))
    }
}

fn parse(text: &str) -> Option<Subject> {
    let (cluster, rest) = text.strip_prefix(SCHEME)?.split_once('/')?;
    let cluster = ClusterId(cluster.parse().ok()?);
    Some(match rest.split_once('/') {
        None if rest == "authority" => Subject::Authority { cluster },
        Some(("node", node)) => Subject::Node { cluster, node: NodeId(node.parse().ok()?) },
        Some(("client", name)) => Subject::Client { cluster, name: name.parse().ok()? },
        _ => return None,
    })
}

/// What came from outside is shown, but not all of it, and nothing that could be taken for another line.
pub(super) fn shortened(text: &str) -> String {
    text.chars().flat_map(char::escape_debug).take(200).collect()
}

impl FromStr for ClientName {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        match (1..=CLIENT_NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed) {
            true => Ok(Self(text.to_owned())),
            false => Err(SubjectError::ClientName(shortened(text))),
        }
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_written_in_one_way() {
        for text in [
            "raft://77/node/3",
            "raft://0/client/back-up_1.2",
            "raft://18446744073709551615/authority",
        ] {
            assert_eq!(text.parse::<Subject>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "raft://",
            "raft://77",
            "raft://77/",
            "raft://77/node",
            "raft://77/node/",
            "raft://77/node/x",
            "raft://77/node/03",
            "raft://+77/node/3",
            "raft://77/node/3/",
            "raft://77/node/3?x",
            "raft://77/client/",
            "raft://77/client/a/b",
            "raft://77/client/a b",
            "raft://77/authority/",
            "raft://-1/node/3",
            "raft://18446744073709551616/node/1",
            "http://77/node/3",
            "RAFT://77/node/3",
            "raft://77/Node/3",
        ] {
            assert!(matches!(text.parse::<Subject>(), Err(SubjectError::Form(_))), "{text}");
        }
        let long = "x".repeat(CLIENT_NAME_BYTES_MAX);
        assert!(long.parse::<ClientName>().is_ok() && (long + "x").parse::<ClientName>().is_err());
    }
}
