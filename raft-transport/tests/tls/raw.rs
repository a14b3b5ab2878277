//! Ends of a TLS connection that show what one likes, and believe everything.

use std::sync::Arc;

use raft_transport::Stream;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::certs::Issued;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

#[derive(Debug)]
struct Credulous;

impl Credulous {
    fn schemes() -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        Self::schemes()
    }
}

impl ClientCertVerifier for Credulous {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        Self::schemes()
    }
}

fn key(of: &Issued) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(of.key.serialize_der()).into()
}

/// To dial with.
pub fn client_config(shows: Option<&Issued>) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_protocol_versions(&[&TLS13]).unwrap().dangerous();
    let builder = builder.with_custom_certificate_verifier(Arc::new(Credulous));
    let mut config = match shows {
        None => builder.with_no_client_auth(),
        Some(of) => {
            builder.with_client_auth_cert(vec![of.certificate.der().clone()], key(of)).unwrap()
        }
    };
    config.alpn_protocols = vec![b"raft".to_vec()];
    Arc::new(config)
}

/// To dial with a certificate and a key that is not its own.
pub fn careless_client_config(shows: &Issued) -> Arc<ClientConfig> {
    let key = provider().key_provider.load_private_key(key(shows)).unwrap();
    let own = CertifiedKey::new(vec![shows.certificate.der().clone()], key);
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_protocol_versions(&[&TLS13]).unwrap().dangerous();
    let builder = builder.with_custom_certificate_verifier(Arc::new(Credulous));
    let mut config = builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
    config.alpn_protocols = vec![b"raft".to_vec()];
    Arc::new(config)
}

/// Dials.
pub async fn connect(
    stream: Box<dyn Stream>,
    config: Arc<ClientConfig>,
) -> std::io::Result<client::TlsStream<Box<dyn Stream>>> {
    TlsConnector::from(config).connect("x.invalid".try_into().unwrap(), stream).await
}

/// Answers.
pub async fn accept(
    stream: Box<dyn Stream>,
    shows: &Issued,
) -> std::io::Result<server::TlsStream<Box<dyn Stream>>> {
    let builder = ServerConfig::builder_with_provider(provider());
    let builder = builder.with_protocol_versions(&[&TLS13]).unwrap();
    let builder = builder.with_client_cert_verifier(Arc::new(Credulous));
    let chain = vec![shows.certificate.der().clone()];
    let mut config = builder.with_single_cert(chain, key(shows)).unwrap();
    config.alpn_protocols = vec![b"raft".to_vec()];
    TlsAcceptor::from(Arc::new(config)).accept(stream).await
}

/// Somebody on a socket who speaks QUIC, and lets others speak early.
pub fn quic_server(shows: &Issued) -> quinn::Endpoint {
    let builder = ServerConfig::builder_with_provider(provider());
    let builder = builder.with_protocol_versions(&[&TLS13]).unwrap().with_no_client_auth();
    let chain = vec![shows.certificate.der().clone()];
    let mut config = builder.with_single_cert(chain, key(shows)).unwrap();
    config.alpn_protocols = vec![b"raft".to_vec()];
    config.max_early_data_size = u32::MAX;
    let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(config).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let runtime = Arc::new(quinn::TokioRuntime);
    quinn::Endpoint::new(quinn::EndpointConfig::default(), Some(config), socket, runtime).unwrap()
}
