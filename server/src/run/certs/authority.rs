//! An authority, and what it signs.

use std::fmt::Display;
use std::path::Path;

use raft_core::ClusterId;
use raft_transport::{Credentials, Subject, read_private_key};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};

use super::files::Named;
use crate::exit::Failure;

/// Clocks differ: a certificate is valid from a little before it was made.
const CLOCKS_DIFFER: Duration = Duration::hours(1);

/// A certificate and its key, in PEM.
pub(super) struct Made {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// Somebody who can sign for a cluster.
pub(super) struct Authority {
    pub(super) cluster: ClusterId,
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one.
    pub(super) fn make(cluster: ClusterId, days: u32) -> Result<Made, Failure> {
        let mut params = params(&Subject::Authority { cluster }, days)?;
        // It signs nodes and clients, and no other authorities.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.self_signed(&key).map_err(failed)?;
        Ok(Made { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// The one whose files are in `dir`.
    pub(super) fn read(dir: &Path) -> Result<Self, Failure> {
        let named = Named::authority(dir);
        let hint = "`shardkv certs create-ca` makes an authority; --dir gives another folder";
        let certificate = std::fs::read_to_string(&named.certificate).map_err(|error| {
            let path = named.certificate.display();
            Failure::refused(format!("cannot read {path}: {error}")).hint(hint)
        })?;
        let key = read_private_key(&named.key)
            .map_err(|error| Failure::refused(error.to_string()).hint(hint))?;
        let key = String::from_utf8(key)
            .map_err(|_| Failure::refused(format!("{} is not PEM", named.key.display())))?;
        Self::of(&certificate, &key)
    }

    /// The one with this certificate and this key.
    pub(super) fn of(certificate: &str, key: &str) -> Result<Self, Failure> {
        let subject = Subject::of_pem(certificate.as_bytes());
        let subject = subject.map_err(|fault| {
            Failure::refused(format!(
                "the authority's certificate does not say its cluster: {fault}"
            ))
        })?;
        let Subject::Authority { cluster } = subject else {
            return Err(Failure::refused(format!("no authority's certificate, but {subject}'s")));
        };
        let key = KeyPair::from_pem(key).map_err(failed)?;
        let issuer = Issuer::from_ca_cert_pem(certificate, key).map_err(failed)?;
        Ok(Self { cluster, certificate: certificate.to_owned(), issuer })
    }

    /// A certificate for `subject`, which others will accept.
    pub(super) fn issue(&self, subject: &Subject, days: u32) -> Result<Made, Failure> {
        let mut params = params(subject, days)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match subject {
            // A node answers, and dials.
            Subject::Node { .. } => {
                vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]
            }
            _ => vec![ExtendedKeyUsagePurpose::ClientAuth],
        };
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        let made = Made { certificate: certificate.pem(), key: key.serialize_pem() };
        // By the eyes of others: the files of the authority need not belong together.
        let (authority, certificate) = (self.certificate.as_bytes(), made.certificate.as_bytes());
        match Credentials::from_pem(authority, certificate, made.key.as_bytes()) {
            Ok(_) => Ok(made),
            Err(error) => Err(Failure::refused(format!("it would be {error}"))
                .hint("are ca.pem and ca-key.pem of the same authority, and is it still valid?")),
        }
    }
}

fn params(subject: &Subject, days: u32) -> Result<CertificateParams, Failure> {
    let mut params = CertificateParams::default();
    let name = subject.to_string();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name.clone());
    params.subject_alt_names = vec![SanType::URI(name.try_into().map_err(failed)?)];
    let from = OffsetDateTime::now_utc() - CLOCKS_DIFFER;
    params.not_before = from;
    params.not_after = from + Duration::days(i64::from(days));
    Ok(params)
}

fn failed(error: impl Display) -> Failure {
    Failure::refused(format!("cannot make the certificate: {error}"))
}
