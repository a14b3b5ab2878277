//! Certificates for the occasion, good and bad.

use raft_transport::{Credentials, Security, Tls};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, SanType,
};
use time::{Duration, OffsetDateTime};

/// A certificate and its key.
pub struct Issued {
    pub certificate: Certificate,
    pub key: KeyPair,
}

/// From so many days from now on to so many.
pub type Days = (i64, i64);

pub const VALID: Days = (-1, 30);

/// What a certificate may be used for.
#[derive(Clone, Copy)]
pub enum Usage {
    BothEnds,
    Client,
}

/// Somebody who signs. All of them have the same name, so that nobody is told by it.
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

fn params(names: &[&str], (from, to): Days) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names =
        names.iter().map(|name| SanType::URI((*name).try_into().unwrap())).collect();
    params.not_before = OffsetDateTime::now_utc() + Duration::days(from);
    params.not_after = OffsetDateTime::now_utc() + Duration::days(to);
    params
}

impl Authority {
    pub fn new() -> Self {
        let mut params = params(&["raft://77/authority"], VALID);
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    pub fn issue(&self, names: &[&str], usage: Usage, days: Days) -> Issued {
        let mut params = params(names, days);
        params.distinguished_name.push(DnType::CommonName, names.join(" "));
        params.extended_key_usages = match usage {
            Usage::BothEnds => {
                vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]
            }
            Usage::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        };
        let key = KeyPair::generate().unwrap();
        Issued { certificate: params.signed_by(&key, &self.issuer).unwrap(), key }
    }

    pub fn node(&self, node: u64) -> Issued {
        self.issue(&[&format!("raft://77/node/{node}")], Usage::BothEnds, VALID)
    }

    pub fn client(&self) -> Issued {
        self.issue(&["raft://77/client/test"], Usage::Client, VALID)
    }

    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    pub fn credentials(&self, of: &Issued) -> Credentials {
        let (certificate, key) = (of.certificate.pem(), of.key.serialize_pem());
        Credentials::from_pem(self.pem().as_bytes(), certificate.as_bytes(), key.as_bytes())
            .unwrap()
    }

    pub fn tls(&self, of: &Issued) -> Tls {
        Tls::new(&self.credentials(of)).unwrap()
    }

    pub fn security(&self, of: &Issued) -> Security {
        Security::MutualTls(self.tls(of))
    }
}

/// Signed by nobody but itself.
pub fn self_signed(name: &str) -> Issued {
    let mut params = params(&[name], VALID);
    params.distinguished_name.push(DnType::CommonName, "itself");
    let key = KeyPair::generate().unwrap();
    Issued { certificate: params.self_signed(&key).unwrap(), key }
}
