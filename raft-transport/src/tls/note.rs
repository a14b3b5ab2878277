//! Why a certificate was refused, for those whom a TLS library tells it in words only.

use std::sync::{Arc, Mutex, PoisonError};

use super::CertificateFault;

/// What the verifier of one connection found. Clones are the same.
#[derive(Clone, Default, Debug)]
pub(crate) struct Note(Arc<Mutex<Option<CertificateFault>>>);

impl Note {
    pub(super) fn write(&self, fault: &CertificateFault) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault.clone());
    }

    /// That a signature is not by the certificate's key.
    pub(super) fn write_signature(&self, error: &rustls::Error) {
        if let rustls::Error::InvalidCertificate(error) = error {
            self.write(&CertificateFault::of(error));
        }
    }

    /// What was found; `None` if nothing was wrong.
    pub(crate) fn take(&self) -> Option<CertificateFault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
