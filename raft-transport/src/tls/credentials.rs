//! What a node or a client shows of itself, and whom it believes: read from files in PEM, and checked before
//! it is used.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use thiserror::Error;

use super::verify::{AnyVerifier, NodeVerifier};
use super::{CertificateFault, ResetKey, Subject, provider};

/// No file of certificates is longer than this.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The files of a node's or a client's credentials, all in PEM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CredentialFiles {
    /// The certificate of the cluster's authority. Several are allowed, so that one can replace another.
    pub authority: PathBuf,
    /// The certificate, followed by those between it and the authority's, if there are any.
    pub certificate: PathBuf,
    /// Its private key, which nobody but the owner of the file may be able to read.
    pub key: PathBuf,
}

/// Why credentials cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Others can read the private key.
    #[error("the private key {path} can be read by others (mode {mode:03o}): chmod 600 {path}")]
    KeyExposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A file is longer than any of its kind.
    #[error("{path} has more than {FILE_BYTES_MAX} bytes")]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// There is not in the PEM what should be.
    #[error("no {what} in PEM: {reason}")]
    Pem {
        /// What should be there.
        what: &'static str,
        /// Why it is not.
        reason: String,
    },
    /// The authority's certificate cannot be used.
    #[error("the authority's certificate cannot be used: {0}")]
    Authority(String),
    /// The key is of a kind that is not known here, or not the certificate's.
    #[error("the private key cannot be used: {0}")]
    Key(String),
    /// The certificate would be refused by others.
    #[error("of no use to others: {0}")]
    Certificate(#[from] CertificateFault),
}

/// A certificate that is right, with its key, and the authority by which others are judged.
#[derive(Clone)]
pub struct Credentials {
    pub(super) subject: Subject,
    pub(super) roots: Arc<RootCertStore>,
    pub(super) own: Arc<CertifiedKey>,
    pub(super) reset_key: ResetKey,
}

impl Credentials {
    /// Reads files.
    ///
    /// # Errors
    ///
    /// When one cannot be read, when others than its owner can read the key, and as
    /// [`from_pem`](Self::from_pem). This blocks for as long as the files' disk does.
    pub fn read(files: &CredentialFiles) -> Result<Self, CredentialsError> {
        let (authority, _) = read(&files.authority)?;
        let (certificate, _) = read(&files.certificate)?;
        Self::from_pem(&authority, &certificate, &read_private_key(&files.key)?)
    }

    /// Takes them from bytes in PEM, each as its file of [`CredentialFiles`] has it.
    ///
    /// # Errors
    ///
    /// When others would refuse the certificate today: it has to be of a node or a client, signed by the
    /// authority, and valid. And when the key is not the certificate's.
    pub fn from_pem(
        authority: &[u8],
        certificate: &[u8],
        key: &[u8],
    ) -> Result<Self, CredentialsError> {
        let roots = Arc::new(roots(authority)?);
        let chain = certificates(certificate, "certificate")?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| CredentialsError::Pem {
            what: "private key",
            reason: error.to_string(),
        })?;
        let reset_key = ResetKey::of(&key);
        let provider = provider();
        let subject = verified(&chain, &roots, &provider)?;
        let own = CertifiedKey::from_der(chain, key, &provider);
        let own = Arc::new(own.map_err(|error| CredentialsError::Key(error.to_string()))?);
        Ok(Self { subject, roots, own, reset_key })
    }

    /// Whose they are.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }
}

/// Reads a file that nobody but its owner may be able to read.
///
/// # Errors
///
/// When it cannot be read, or by others also.
pub fn read_private_key(path: &Path) -> Result<Vec<u8>, CredentialsError> {
    let (bytes, mode) = read(path)?;
    match mode & 0o077 {
        0 => Ok(bytes),
        _ => Err(CredentialsError::KeyExposed { path: path.to_owned(), mode }),
    }
}

/// The bytes of a file, and its permissions.
fn read(path: &Path) -> Result<(Vec<u8>, u32), CredentialsError> {
    let unreadable = |error| CredentialsError::Unreadable { path: path.to_owned(), error };
    let file = File::open(path).map_err(unreadable)?;
    // Of the file that is open, which another may have replaced meanwhile.
    let mode = mode(&file.metadata().map_err(unreadable)?);
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    match bytes.len() as u64 > FILE_BYTES_MAX {
        true => Err(CredentialsError::TooLong { path: path.to_owned() }),
        false => Ok((bytes, mode)),
    }
}

#[cfg(unix)]
fn mode(metadata: &std::fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::mode(metadata) & 0o777
}

/// Elsewhere there is nothing to be told by.
#[cfg(not(unix))]
fn mode(_: &std::fs::Metadata) -> u32 {
    0o600
}

fn certificates(
    pem: &[u8],
    what: &'static str,
) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let bad = |reason: String| CredentialsError::Pem { what, reason };
    let found = found.map_err(|error| bad(error.to_string()))?;
    match found.is_empty() {
        true => Err(bad("there is none".into())),
        false => Ok(found),
    }
}

fn roots(pem: &[u8]) -> Result<RootCertStore, CredentialsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, "certificate of an authority")? {
        let added = roots.add(certificate);
        added.map_err(|error| CredentialsError::Authority(error.to_string()))?;
    }
    Ok(roots)
}

/// Whose the certificate is, if others will accept it: a node's is shown at both ends of a connection.
fn verified(
    chain: &[CertificateDer<'static>],
    roots: &Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Subject, CredentialsError> {
    let (own, rest) = chain.split_first().ok_or(CertificateFault::Missing)?;
    let cluster = Subject::of(own)?.cluster();
    let dialling = AnyVerifier::new(cluster, roots.clone(), provider.clone());
    let dialling = dialling.map_err(|error| CredentialsError::Authority(error.to_string()))?;
    let now = UnixTime::now();
    let subject = dialling.verify(own, rest, now)?;
    if let Subject::Node { .. } = subject {
        NodeVerifier::new(cluster, roots.clone(), provider).verify(own, rest, now)?;
    }
    Ok(subject)
}
