//! The key by which a node that has forgotten a QUIC connection tells the other side so.

use aws_lc_rs::hmac;
use rustls_pki_types::PrivateKeyDer;

/// What the key is for, so that it is good for nothing else.
const PURPOSE: &[u8] = b"raft: QUIC stateless reset";

/// Made from the private key: a node has the same one after a restart, and nobody else has it. (RFC 9000,
/// section 10.3.)
#[derive(Clone)]
pub(crate) struct ResetKey(hmac::Key);

impl ResetKey {
    pub(super) fn of(key: &PrivateKeyDer<'_>) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, key.secret_der());
        let derived = hmac::sign(&secret, PURPOSE);
        Self(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
    }

    pub(crate) fn key(&self) -> &hmac::Key {
        &self.0
    }
}
