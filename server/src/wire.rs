//! What bytes leave this process by: a network, and how it is secured.

use std::sync::Arc;

use raft_core::Caller;
use raft_transport::{
    CallerConfig, Carrier, CredentialFiles, Credentials, GroupCaller, LoopbackNetwork, NetCaller,
    Network, Subject, Tls, TokioNetwork,
};

use crate::client::entropy;
use crate::config::{Exposure, Security};
use crate::exit::Failure;

/// What carries connections, and what they are secured by. Clones are the same.
#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) carrier: Carrier,
    secured: Option<(Tls, CredentialFiles)>,
}

/// What has come of a wish to read the certificates again.
pub(crate) enum Reloaded {
    /// New connections are made by what the files have now.
    Renewed,
    /// There are none.
    Plaintext,
}

impl Wire {
    /// Reads the certificates, if there are any. Blocks for as long as their disk does.
    pub(crate) fn open(security: Security) -> Result<Self, Failure> {
        match security {
            // The address was looked at before; this is so that no name, and no hint of a node, leads away.
            Security::Plaintext(Exposure::LoopbackOnly) => {
                Ok(Self::plaintext(Arc::new(LoopbackNetwork)))
            }
            Security::Plaintext(Exposure::AnyoneCanReadAndWrite) => {
                Ok(Self::plaintext(Arc::new(TokioNetwork)))
            }
            Security::MutualTls(files) => Self::secured(files, |tls| Carrier::Streams {
                network: Arc::new(TokioNetwork),
                security: raft_transport::Security::MutualTls(tls),
            }),
            Security::Quic(files) => Self::secured(files, Carrier::Quic),
        }
    }

    fn secured(files: CredentialFiles, over: impl FnOnce(Tls) -> Carrier) -> Result<Self, Failure> {
        let tls = Tls::new(&read(&files)?).map_err(|error| Failure::refused(error.to_string()))?;
        Ok(Self { carrier: over(tls.clone()), secured: Some((tls, files)) })
    }

    fn plaintext(network: Arc<dyn Network>) -> Self {
        Self { carrier: Carrier::plaintext(network), secured: None }
    }

    /// Reads the certificates again, for connections from now on; if they are no good, those from before stay.
    pub(crate) async fn reload(&self) -> Result<Reloaded, Failure> {
        let wire = self.clone();
        let reading = tokio::task::spawn_blocking(move || wire.reload_now());
        let failed = |error| Failure::refused(format!("they could not be read: {error}"));
        reading.await.map_err(failed)?
    }

    fn reload_now(&self) -> Result<Reloaded, Failure> {
        let Some((tls, files)) = &self.secured else { return Ok(Reloaded::Plaintext) };
        let reloaded = tls.reload(&read(files)?);
        reloaded.map_err(|error| Failure::refused(error.to_string()))?;
        Ok(Reloaded::Renewed)
    }

    /// Whose certificate is shown to others, if any is.
    pub(crate) fn subject(&self) -> Option<Subject> {
        self.secured.as_ref().map(|(tls, _)| tls.subject().clone())
    }

    /// A client's end, which knows the addresses of groups. Within a runtime only.
    pub(crate) fn caller(&self) -> Arc<dyn Caller> {
        let caller = NetCaller::new(CallerConfig::new(entropy()), self.carrier.clone());
        Arc::new(GroupCaller::new(Arc::new(caller)))
    }
}

fn read(files: &CredentialFiles) -> Result<Credentials, Failure> {
    Credentials::read(files).map_err(|error| {
        let (certificate, key) = (files.certificate.display(), files.key.display());
        Failure::refused(format!("cannot use {certificate} and {key}: {error}")).hint(
            "`shardkv certs` makes certificates; all of a cluster are signed by one authority",
        )
    })
}

#[cfg(test)]
mod tests {
    use raft_core::Address;

    use super::*;

    /// Also where a leader's hint or a name server leads to.
    #[tokio::test]
    async fn plaintext_goes_nowhere_else_unless_it_is_asked_to() {
        let bound = |exposure| {
            let wire = Wire::open(Security::Plaintext(exposure)).expect("nothing to read");
            let Carrier::Streams { network, .. } = wire.carrier else { panic!("not TCP") };
            async move { network.bind(&Address::from("0.0.0.0:0")).await.err() }
        };
        let refused = bound(Exposure::LoopbackOnly).await.map(|error| error.kind());
        assert_eq!(refused, Some(std::io::ErrorKind::PermissionDenied));
        assert!(bound(Exposure::AnyoneCanReadAndWrite).await.is_none());
    }
}
