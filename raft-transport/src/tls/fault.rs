//! Why a connection with TLS failed, and how that is counted.

use std::io;
use std::sync::Arc;

use raft_core::NodeId;
use rustls::{AlertDescription, CertificateError, OtherError};
use thiserror::Error;

use super::Subject;
use super::subject::shortened;
use crate::counters::Tally;

/// What is wrong with a certificate, one's own or another's.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum CertificateFault {
    /// It was not signed by the authority of the cluster.
    #[error("the certificate is not signed by this cluster's authority")]
    UnknownAuthority,
    /// It was signed by itself.
    #[error("the certificate is signed by itself, not by this cluster's authority")]
    SelfSigned,
    /// It was valid, and is not any more.
    #[error("the certificate has expired")]
    Expired,
    /// It will be valid, and is not yet.
    #[error("the certificate is not valid yet")]
    NotYetValid,
    /// It is of another cluster.
    #[error("the certificate is of another cluster: {found}")]
    OtherCluster {
        /// Whose it is.
        found: Subject,
    },
    /// It is of another node.
    #[error("the certificate is not of {expected}: {found}")]
    OtherNode {
        /// The node that was dialled, or that the hello claims.
        expected: NodeId,
        /// Whose it is.
        found: Subject,
    },
    /// It is of a client, and only a node's will do here.
    #[error("the certificate is not of a node: {found}")]
    NotOfANode {
        /// Whose it is.
        found: Subject,
    },
    /// It is of an authority, which is neither node nor client.
    #[error("the certificate is of an authority: {found}")]
    OfAnAuthority {
        /// Whose it is.
        found: Subject,
    },
    /// It does not say whose it is.
    #[error("the certificate has no name that begins with raft://")]
    Unnamed,
    /// There is none.
    #[error("there is no certificate")]
    Missing,
    /// It cannot be used, for another reason.
    #[error("the certificate cannot be used: {0}")]
    Unusable(String),
}

impl CertificateFault {
    /// For a reason of the libraries beneath, which may quote what is in the certificate.
    pub(super) fn unusable(reason: impl ToString) -> Self {
        Self::Unusable(shortened(&reason.to_string()))
    }

    /// What the verifiers say, in rustls' words where it has them: these the other side is told.
    pub(super) fn into_rustls(self) -> rustls::Error {
        rustls::Error::InvalidCertificate(match self {
            Self::UnknownAuthority => CertificateError::UnknownIssuer,
            Self::Expired => CertificateError::Expired,
            Self::NotYetValid => CertificateError::NotValidYet,
            other => CertificateError::Other(OtherError(Arc::new(other))),
        })
    }

    pub(super) fn of(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotYetValid
            }
            CertificateError::UnknownIssuer => Self::UnknownAuthority,
            CertificateError::Other(OtherError(inner)) => match inner.downcast_ref::<Self>() {
                Some(fault) => fault.clone(),
                None => Self::unusable(inner),
            },
            error => Self::unusable(error),
        }
    }

    pub(crate) fn count(&self, tally: &Tally) {
        match self {
            Self::UnknownAuthority => tally.certificate_unknown_authority.one(),
            Self::SelfSigned => tally.certificate_self_signed.one(),
            Self::Expired => tally.certificate_expired.one(),
            Self::NotYetValid => tally.certificate_not_yet_valid.one(),
            Self::OtherCluster { .. } => tally.certificate_other_cluster.one(),
            Self::OtherNode { .. } => tally.certificate_other_node.one(),
            Self::NotOfANode { .. } => tally.certificate_not_of_a_node.one(),
            Self::Missing => tally.certificate_missing.one(),
            Self::OfAnAuthority { .. } | Self::Unnamed | Self::Unusable(_) => {
                tally.certificate_unusable.one();
            }
        }
    }
}

/// Why a connection with TLS failed.
#[derive(Debug, Error)]
pub(crate) enum TlsFault {
    #[error("{0}")]
    Certificate(CertificateFault),
    /// Or so much garbage that it makes no difference.
    #[error("the other side does not speak TLS")]
    Plaintext,
    #[error("the other side speaks TLS, and here it is not spoken")]
    Unexpected,
    #[error("the other side refused: {}", told(*.0))]
    Alert(AlertDescription),
    #[error("the other side hung up in the TLS handshake; perhaps it does not speak TLS")]
    HungUp,
    #[error("TLS: {0}")]
    Protocol(rustls::Error),
    #[error("{0}")]
    Io(io::Error),
}

impl CertificateFault {
    /// Whether a certificate, if one was shown, is of `expected`. Its cluster is known to be right.
    pub(crate) fn unless_of(expected: NodeId, shown: Option<&Subject>) -> Result<(), TlsFault> {
        let fault = match shown {
            None => return Ok(()),
            Some(Subject::Node { node, .. }) if *node == expected => return Ok(()),
            Some(found @ Subject::Node { .. }) => {
                Self::OtherNode { expected, found: found.clone() }
            }
            Some(found) => Self::NotOfANode { found: found.clone() },
        };
        Err(TlsFault::Certificate(fault))
    }
}

/// The alerts that our own verifiers send, in words.
fn told(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::UnknownCA => {
            "it has another authority than this side's certificate".into()
        }
        AlertDescription::CertificateExpired => {
            "this side's certificate has expired, or is not valid yet, by its clock".into()
        }
        AlertDescription::CertificateUnknown => {
            "this side's certificate is not what it has to be".into()
        }
        AlertDescription::CertificateRequired => "it wants a certificate".into(),
        other => format!("{other:?}"),
    }
}

/// The reason in an error of a stream, if TLS gave it.
pub(crate) fn fault_of(error: &io::Error) -> Option<TlsFault> {
    let error: &rustls::Error = error.get_ref()?.downcast_ref()?;
    Some(match error {
        rustls::Error::InvalidCertificate(error) => {
            TlsFault::Certificate(CertificateFault::of(error))
        }
        rustls::Error::NoCertificatesPresented => TlsFault::Certificate(CertificateFault::Missing),
        rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => {
            TlsFault::Plaintext
        }
        rustls::Error::AlertReceived(alert) => TlsFault::Alert(*alert),
        error => TlsFault::Protocol(error.clone()),
    })
}

impl TlsFault {
    pub(crate) fn count(&self, tally: &Tally) {
        match self {
            Self::Certificate(fault) => fault.count(tally),
            Self::Plaintext => tally.refused_plaintext.one(),
            Self::Unexpected => tally.refused_tls.one(),
            Self::Alert(_) => tally.tls_alerts.one(),
            Self::HungUp | Self::Protocol(_) | Self::Io(_) => tally.tls_errors.one(),
        }
    }
}
