//! Files of credentials, good and bad.

use std::fs::{Permissions, set_permissions, write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use raft_transport::{CertificateFault, CredentialFiles, Credentials, CredentialsError};
use tempfile::TempDir;

use crate::certs::{Authority, Issued, Usage, VALID, self_signed};

struct Files {
    _dir: TempDir,
    files: CredentialFiles,
}

impl Files {
    fn new(authority: &Authority, of: &Issued) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let files =
            CredentialFiles { authority: at("ca"), certificate: at("cert"), key: at("key") };
        let new = Self { _dir: dir, files };
        new.put(&new.files.authority, authority.pem());
        new.put(&new.files.certificate, of.certificate.pem());
        new.put(&new.files.key, of.key.serialize_pem());
        new
    }

    fn put(&self, path: &Path, bytes: impl AsRef<[u8]>) {
        write(path, bytes).unwrap();
        set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }

    fn read(&self) -> Result<Credentials, CredentialsError> {
        Credentials::read(&self.files)
    }

    fn error(&self) -> CredentialsError {
        self.read().err().expect("refused")
    }
}

#[test]
fn good_files() {
    let authority = Authority::new();
    for of in [authority.node(1), authority.client()] {
        let files = Files::new(&authority, &of);
        let subject = files.read().unwrap().subject().to_string();
        assert!(["raft://77/node/1", "raft://77/client/test"].contains(&&*subject), "{subject}");
    }
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let authority = Authority::new();
    let files = Files::new(&authority, &authority.node(1));
    for mode in [0o640, 0o604, 0o660, 0o644, 0o620, 0o610, 0o601] {
        set_permissions(&files.files.key, Permissions::from_mode(mode)).unwrap();
        let error = files.error();
        assert!(matches!(error, CredentialsError::KeyExposed { mode: found, .. } if found == mode));
        assert!(error.to_string().contains(&format!("(mode {mode:o}): chmod 600 ")), "{error}");
    }
    for mode in [0o400, 0o600, 0o700] {
        set_permissions(&files.files.key, Permissions::from_mode(mode)).unwrap();
        assert!(files.read().is_ok());
    }
    // What is no secret may be read by all.
    set_permissions(&files.files.certificate, Permissions::from_mode(0o644)).unwrap();
    assert!(files.read().is_ok());
}

#[test]
fn files_that_make_no_sense() {
    let authority = Authority::new();
    let one = authority.node(1);
    let files = Files::new(&authority, &one);
    let (certificate, key) = (one.certificate.pem(), one.key.serialize_pem());
    let (ca_at, certificate_at, key_at) =
        (&files.files.authority, &files.files.certificate, &files.files.key);
    type Case<'a> = (&'a Path, &'a str, fn(&CredentialsError) -> bool);
    let long = "x".repeat((1 << 20) + 1);
    let other = authority.node(1).key.serialize_pem();
    let cases: [Case<'_>; 9] = [
        (ca_at, "", |e| matches!(e, CredentialsError::Pem { .. })),
        (ca_at, &key, |e| matches!(e, CredentialsError::Pem { .. })),
        (certificate_at, "", |e| matches!(e, CredentialsError::Pem { .. })),
        (certificate_at, &certificate[..200], |e| matches!(e, CredentialsError::Pem { .. })),
        (certificate_at, &key, |e| matches!(e, CredentialsError::Pem { .. })),
        (certificate_at, &long, |e| matches!(e, CredentialsError::TooLong { .. })),
        (key_at, "", |e| matches!(e, CredentialsError::Pem { .. })),
        (key_at, &certificate, |e| matches!(e, CredentialsError::Pem { .. })),
        (key_at, &other, |e| matches!(e, CredentialsError::Key(_))),
    ];
    for (path, bytes, expected) in cases {
        let before = std::fs::read(path).unwrap();
        files.put(path, bytes);
        let error = files.error();
        assert!(expected(&error), "{}: {error}", path.display());
        files.put(path, before);
    }
    assert!(files.read().is_ok());
    std::fs::remove_file(certificate_at).unwrap();
    let error = files.error();
    assert!(error.to_string().contains("cannot read"), "{error}");
}

/// What others would refuse is refused at once, where the mistake was made.
#[test]
fn certificates_that_others_would_refuse() {
    let authority = Authority::new();
    let issue = |name: &str, usage, days| authority.issue(&[name], usage, days);
    let (node, both) = ("raft://77/node/1", Usage::BothEnds);
    let client = "raft://77/client/x";
    let cases = [
        (Authority::new().node(1), CertificateFault::UnknownAuthority),
        (self_signed(node), CertificateFault::SelfSigned),
        (issue(node, both, (-9, -1)), CertificateFault::Expired),
        (issue(client, Usage::Client, (-9, -1)), CertificateFault::Expired),
        (issue(node, both, (1, 9)), CertificateFault::NotYetValid),
        (issue("urn:x", both, VALID), CertificateFault::Unnamed),
        (
            issue("raft://77/authority", both, VALID),
            CertificateFault::OfAnAuthority { found: "raft://77/authority".parse().unwrap() },
        ),
    ];
    for (of, expected) in cases {
        let error = Files::new(&authority, &of).error();
        assert!(
            matches!(&error, CredentialsError::Certificate(fault) if *fault == expected),
            "{error}"
        );
    }
    // A node's that is good for dialling only.
    let error = Files::new(&authority, &issue(node, Usage::Client, VALID)).error();
    assert!(
        matches!(error, CredentialsError::Certificate(CertificateFault::Unusable(_))),
        "{error}"
    );
}
