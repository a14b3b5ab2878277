//! Who is at the other end: TLS 1.3 with certificates on both sides, for nodes and clients alike.
//!
//! A cluster has an *authority* that signs a certificate for each node and each client, and each certificate
//! says in one URI whom it is of ([`Subject`]). Whoever dials wants a certificate of a node of the same
//! cluster, and whoever is dialled one of a node or a client of it. Which node it is, is then compared with
//! the one that was dialled, and with the one that the hello claims. [`Credentials`] are a certificate, its
//! key and the authority; [`Tls`] is what connections are secured by, and can be given newer credentials
//! while they go on. Why it is like this is in `docs/adr/0012`.
//!
//! Invariants:
//! 1. TLS 1.3 only, by aws-lc-rs, which is named and not looked up; no resumption and no early data, so that
//!    each connection is judged anew.
//! 2. Nobody is let in without a certificate that this cluster's authority has signed.
//! 3. Everything here is free of sockets but [`stream`]; QUIC takes [`Tls::server_noting`] and
//!    [`Tls::client_noting`].

mod credentials;
mod fault;
mod note;
mod reset;
pub(crate) mod stream;
mod subject;
mod verify;

pub use credentials::{CredentialFiles, Credentials, CredentialsError, read_private_key};
pub use fault::CertificateFault;
pub(crate) use fault::{TlsFault, fault_of};
pub(crate) use note::Note;
pub(crate) use reset::ResetKey;
pub use subject::{ClientName, Subject, SubjectError};

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};
use thiserror::Error;
use verify::{AnyVerifier, NodeVerifier};

/// A name that TLS wants of whoever is dialled. Never sent, and never compared with anything: nodes are known by their
/// certificates.
pub(crate) const SERVER_NAME: &str = "node.invalid";

/// What is spoken within TLS. Others that share our authority by mistake are told apart by it.
const ALPN: &[u8] = b"raft";

/// What connections are secured by. Clones are the same: all of them see a [`reload`](Self::reload).
#[derive(Clone)]
pub struct Tls {
    subject: Subject,
    current: Arc<RwLock<Configs>>,
}

/// What newer connections are made by.
#[derive(Clone)]
struct Configs {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    parts: Arc<Parts>,
}

/// What configurations are made of.
struct Parts {
    provider: Arc<CryptoProvider>,
    own: Arc<SingleCertAndKey>,
    node: NodeVerifier,
    any: AnyVerifier,
    reset_key: ResetKey,
}

/// Why something cannot be secured by these credentials.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The crypto library does not do what is asked.
    #[error("TLS cannot be used: {0}")]
    Unusable(String),
    /// Newer credentials are those of another.
    #[error("the new certificate is of {new}, and this is {old}")]
    OtherSubject {
        /// Of whom they were.
        old: Subject,
        /// Of whom they are.
        new: Subject,
    },
}

impl Tls {
    /// Secures connections by these.
    pub fn new(credentials: &Credentials) -> Result<Self, TlsError> {
        let current = Arc::new(RwLock::new(configs(credentials)?));
        Ok(Self { subject: credentials.subject.clone(), current })
    }

    /// Whose the credentials are.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// From now on connections are made by these; those that there are go on.
    ///
    /// # Errors
    ///
    /// When these are not of the same subject. Then nothing has changed.
    pub fn reload(&self, credentials: &Credentials) -> Result<(), TlsError> {
        if credentials.subject != self.subject {
            let (old, new) = (self.subject.clone(), credentials.subject.clone());
            return Err(TlsError::OtherSubject { old, new });
        }
        let newer = configs(credentials)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = newer;
        Ok(())
    }

    fn current(&self) -> Configs {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// For whoever is dialled.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        self.current().server
    }

    /// For whoever dials. The name that rustls wants of a server is of no account.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        self.current().client
    }

    /// For one connection of whoever is dialled; what is wrong with the other's certificate is noted.
    pub(crate) fn server_noting(&self, note: &Note) -> Result<ServerConfig, TlsError> {
        self.current().parts.server(note)
    }

    /// For one connection of whoever dials; what is wrong with the other's certificate is noted.
    pub(crate) fn client_noting(&self, note: &Note) -> Result<ClientConfig, TlsError> {
        self.current().parts.client(note)
    }

    /// By which forgotten connections of QUIC are reset.
    pub(crate) fn reset_key(&self) -> ResetKey {
        self.current().parts.reset_key.clone()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("subject", &self.subject).finish_non_exhaustive()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn configs(credentials: &Credentials) -> Result<Configs, TlsError> {
    let (cluster, roots, provider) =
        (credentials.subject.cluster(), &credentials.roots, provider());
    let any = AnyVerifier::new(cluster, roots.clone(), provider.clone());
    let parts = Parts {
        own: Arc::new(SingleCertAndKey::from(Arc::clone(&credentials.own))),
        node: NodeVerifier::new(cluster, roots.clone(), &provider),
        any: any.map_err(|error| TlsError::Unusable(error.to_string()))?,
        reset_key: credentials.reset_key.clone(),
        provider,
    };
    // Nobody reads what these verifiers note: a stream's error has the reason itself.
    let nobody = Note::default();
    let (server, client) = (parts.server(&nobody)?, parts.client(&nobody)?);
    Ok(Configs { server: Arc::new(server), client: Arc::new(client), parts: Arc::new(parts) })
}

impl Parts {
    fn client(&self, note: &Note) -> Result<ClientConfig, TlsError> {
        let mut client = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(unusable)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(self.node.noting(note)))
            .with_client_cert_resolver(self.own.clone());
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.resumption = Resumption::disabled();
        client.enable_sni = false;
        Ok(client)
    }

    fn server(&self, note: &Note) -> Result<ServerConfig, TlsError> {
        let mut server = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(unusable)?
            .with_client_cert_verifier(Arc::new(self.any.noting(note)))
            .with_cert_resolver(self.own.clone());
        server.alpn_protocols = vec![ALPN.to_vec()];
        // Without a ticket there is nothing to resume by, and nothing to say before the handshake is over. Nor is there
        // anything to be remembered: over QUIC each connection would have a memory of its own.
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.max_early_data_size = 0;
        Ok(server)
    }
}

fn unusable(error: rustls::Error) -> TlsError {
    TlsError::Unusable(error.to_string())
}
