//! The verifiers: rustls' for the chain, the times and the signatures, and then our rule for the name.

use std::sync::Arc;

use raft_core::ClusterId;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::EndEntityCert;

use super::{CertificateFault, Note, Subject};

/// Verifies whoever was dialled: a node of the cluster.
///
/// `WebPkiServerVerifier` itself is of no use here, because it insists on a DNS name or an IP address: what is
/// called is the function that it calls for everything else.
#[derive(Clone, Debug)]
pub(super) struct NodeVerifier {
    cluster: ClusterId,
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
    note: Note,
}

impl NodeVerifier {
    pub(super) fn new(
        cluster: ClusterId,
        roots: Arc<RootCertStore>,
        provider: &CryptoProvider,
    ) -> Self {
        let algorithms = provider.signature_verification_algorithms;
        Self { cluster, roots, algorithms, note: Note::default() }
    }

    /// The same one, for one connection: what it finds is written to `note`.
    pub(super) fn noting(&self, note: &Note) -> Self {
        Self { note: note.clone(), ..self.clone() }
    }

    /// Whom the certificate is of, once it is known to be right.
    pub(super) fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Subject, CertificateFault> {
        let parsed = ParsedCertificate::try_from(certificate);
        let verified = parsed.and_then(|parsed| {
            let (roots, algorithms) = (&self.roots, self.algorithms.all);
            verify_server_cert_signed_by_trust_anchor(
                &parsed,
                roots,
                intermediates,
                now,
                algorithms,
            )
        });
        verified.map_err(|error| chain_fault(&error, certificate))?;
        let subject = subject_in(certificate, self.cluster)?;
        match subject {
            Subject::Node { .. } => Ok(subject),
            found => Err(CertificateFault::NotOfANode { found }),
        }
    }
}

impl ServerCertVerifier for NodeVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.verify(certificate, intermediates, now) {
            Ok(_) => Ok(ServerCertVerified::assertion()),
            Err(fault) => {
                self.note.write(&fault);
                Err(fault.into_rustls())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verified = verify_tls13_signature(message, certificate, signature, &self.algorithms);
        verified.inspect_err(|error| self.note.write_signature(error))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Verifies whoever dials: a node or a client of the cluster.
#[derive(Clone, Debug)]
pub(super) struct AnyVerifier {
    cluster: ClusterId,
    chain: Arc<dyn ClientCertVerifier>,
    note: Note,
}

impl AnyVerifier {
    pub(super) fn new(
        cluster: ClusterId,
        roots: Arc<RootCertStore>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, VerifierBuilderError> {
        let chain = WebPkiClientVerifier::builder_with_provider(roots, provider).build()?;
        Ok(Self { cluster, chain, note: Note::default() })
    }

    /// The same one, for one connection: what it finds is written to `note`.
    pub(super) fn noting(&self, note: &Note) -> Self {
        Self { note: note.clone(), ..self.clone() }
    }

    /// Whom the certificate is of, once it is known to be right.
    pub(super) fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Subject, CertificateFault> {
        let verified = self.chain.verify_client_cert(certificate, intermediates, now);
        verified.map_err(|error| chain_fault(&error, certificate))?;
        match subject_in(certificate, self.cluster)? {
            found @ Subject::Authority { .. } => Err(CertificateFault::OfAnAuthority { found }),
            subject => Ok(subject),
        }
    }
}

impl ClientCertVerifier for AnyVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.verify(certificate, intermediates, now) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(fault) => {
                self.note.write(&fault);
                Err(fault.into_rustls())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verified = self.chain.verify_tls13_signature(message, certificate, signature);
        verified.inspect_err(|error| self.note.write_signature(error))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// Never asked: TLS 1.2 is not offered.
fn tls12() -> Error {
    Error::General("TLS 1.2 is not spoken here".into())
}

/// The subject of a certificate whose chain is right.
fn subject_in(
    certificate: &CertificateDer<'_>,
    cluster: ClusterId,
) -> Result<Subject, CertificateFault> {
    let subject = Subject::of(certificate)?;
    match subject.cluster() == cluster {
        true => Ok(subject),
        false => Err(CertificateFault::OtherCluster { found: subject }),
    }
}

/// Why rustls does not accept a chain. The certificate is not to be believed then: it is looked at only to say
/// more clearly what is wrong with it.
fn chain_fault(error: &Error, certificate: &CertificateDer<'_>) -> CertificateFault {
    let Error::InvalidCertificate(error) = error else {
        return CertificateFault::unusable(error);
    };
    match error {
        // The latter: an authority of the same name has signed it, with another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            let parsed = EndEntityCert::try_from(certificate);
            match parsed.is_ok_and(|parsed| parsed.issuer() == parsed.subject()) {
                true => CertificateFault::SelfSigned,
                false => CertificateFault::UnknownAuthority,
            }
        }
        // A node's certificate is for both ends of a connection, a client's for one.
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            match Subject::of(certificate) {
                Ok(found @ Subject::Client { .. }) => CertificateFault::NotOfANode { found },
                _ => CertificateFault::of(error),
            }
        }
        error => CertificateFault::of(error),
    }
}
