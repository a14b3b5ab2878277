//! The files of certificates: what they are called, and how they come to be.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use raft_transport::{CredentialFiles, Subject};

use crate::exit::{Done, Failure};

/// What happens to a file that is there already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Existing {
    /// It stays, and nothing is written.
    Kept,
    /// Another takes its place.
    Replaced,
}

/// A certificate and its key, as files.
pub(super) struct Named {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Named {
    pub(super) fn authority(dir: &Path) -> Self {
        Self::by(dir, "ca")
    }

    pub(super) fn of(dir: &Path, subject: &Subject) -> Self {
        match subject {
            Subject::Node { node, .. } => Self::by(dir, &format!("node-{}", node.0)),
            // A name has no `/`, so that it stays in the folder.
            Subject::Client { name, .. } => Self::by(dir, &format!("client-{name}")),
            Subject::Authority { .. } => Self::authority(dir),
        }
    }

    fn by(dir: &Path, name: &str) -> Self {
        let at = |suffix: &str| dir.join(format!("{name}{suffix}.pem"));
        Self { certificate: at(""), key: at("-key") }
    }

    pub(super) fn with_authority(self, dir: &Path) -> CredentialFiles {
        let authority = Self::authority(dir).certificate;
        CredentialFiles { authority, certificate: self.certificate, key: self.key }
    }

    pub(super) fn make_folder(&self, dir: &Path) -> Done {
        std::fs::create_dir_all(dir)
            .map_err(|error| Failure::refused(format!("cannot make {}: {error}", dir.display())))
    }

    /// Writes both, the key first: a certificate that is there has its key.
    pub(super) fn write(&self, certificate: &str, key: &str, existing: Existing) -> Done {
        if existing == Existing::Kept
            && let Some(there) =
                [&self.certificate, &self.key].into_iter().find(|path| path.exists())
        {
            return Err(kept(there));
        }
        write(&self.key, key, 0o600, existing)?;
        self.write_certificate(certificate, existing)
    }

    pub(super) fn write_certificate(&self, certificate: &str, existing: Existing) -> Done {
        write(&self.certificate, certificate, 0o644, existing)
    }
}

fn kept(path: &Path) -> Failure {
    Failure::refused(format!("{} is there already, and stays", path.display()))
        .hint("give another folder with --dir; a node's or client's is renewed with --replace")
}

/// A file that is whole, and never had other permissions than these, from the moment on that it has its name.
fn write(path: &Path, text: &str, mode: u32, existing: Existing) -> Done {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => kept(path),
        _ => Failure::refused(format!("cannot write {}: {error}", path.display())),
    };
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(std::fs::Permissions::from_mode(0o600))
        .tempfile_in(dir)
        .map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    let named = match existing {
        Existing::Kept => file.persist_noclobber(path),
        Existing::Replaced => file.persist(path),
    };
    named.map(drop).map_err(|error| failed(error.error))
}
