//! The handshake of whoever dials, a node or a client: connect, see who answers, say hello, hear the answer.

use std::sync::Arc;
use std::time::Duration;

use raft_core::Address;
use thiserror::Error;
use tokio::time::timeout;

use crate::carrier::{Dialler, Further};
use crate::codec::{Claim, FrameKind, Hello, Protocols, Refusal, Welcome};
use crate::config::Liveness;
use crate::counters::Tally;
use crate::link::{Link, LinkError};
use crate::tls::{CertificateFault, TlsFault};

/// Why a handshake failed.
#[derive(Debug, Error)]
pub(crate) enum HandshakeError {
    #[error("cannot connect: {0}")]
    Connect(std::io::Error),
    #[error("it did not end in time")]
    Late,
    #[error("too many began at once, and this one had not ended")]
    Crowded,
    #[error(transparent)]
    Tls(#[from] TlsFault),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("refused by the other side: {0}")]
    RefusedByPeer(Refusal),
    #[error("refused here: {0}")]
    Refused(Refusal),
}

/// How connections are dialled.
pub(crate) struct Dialling<'a> {
    pub(crate) dialler: &'a Dialler,
    /// How long connecting may take.
    pub(crate) dial_max: Duration,
    /// How long what follows may take.
    pub(crate) handshake_max: Duration,
    pub(crate) liveness: Liveness,
    pub(crate) tally: &'a Arc<Tally>,
}

/// What has come of it.
pub(crate) struct Introduced {
    pub(crate) welcome: Welcome,
    pub(crate) link: Link,
    pub(crate) further: Further,
}

impl Dialling<'_> {
    /// Dials, and says hello with this claim. A claim that names the node to be reached is made to that node
    /// only; a client takes any node of the cluster, for it knows addresses and not nodes.
    pub(crate) async fn dial(
        &self,
        address: &Address,
        claim: Claim,
    ) -> Result<Introduced, HandshakeError> {
        let connecting = timeout(self.dial_max, self.dialler.connect(address)).await;
        let dialled =
            connecting.map_err(|_| HandshakeError::Late)?.map_err(HandshakeError::Connect)?;
        let introducing = async {
            let carried = dialled.open().await.map_err(counted(self.tally))?;
            if let Claim::Peer { to, .. } = claim {
                let right = CertificateFault::unless_of(to, carried.subject.as_ref());
                right.map_err(counted(self.tally))?;
            }
            let mut link = Link::new(carried.stream, self.liveness, Arc::clone(self.tally));
            let welcome = introduce(&mut link, claim).await?;
            Ok(Introduced { welcome, link, further: carried.further })
        };
        timeout(self.handshake_max, introducing).await.unwrap_or(Err(HandshakeError::Late))
    }
}

/// Says hello and waits for the answer.
async fn introduce(link: &mut Link, claim: Claim) -> Result<Welcome, HandshakeError> {
    let hello = Hello { protocols: Protocols::OURS, claim };
    // It fits: its length is fixed.
    let _ = link.put(FrameKind::Hello, |out| hello.encode(out));
    let frame = link.frame().await?;
    let bad = |error| LinkError::Payload { at: frame.at, error };
    match frame.kind {
        FrameKind::Welcome => {
            let welcome = Welcome::decode(&frame.payload).map_err(bad)?;
            let spoken = Protocols { min: welcome.protocol, max: welcome.protocol };
            match Protocols::OURS.common(spoken) {
                Some(_) => Ok(welcome),
                None => Err(HandshakeError::Refused(Refusal::Protocol(Protocols::OURS))),
            }
        }
        FrameKind::Refusal => {
            Err(HandshakeError::RefusedByPeer(Refusal::decode(&frame.payload).map_err(bad)?))
        }
        kind => Err(LinkError::Kind(kind).into()),
    }
}

/// The error, counted.
pub(crate) fn counted(tally: &Tally) -> impl FnOnce(TlsFault) -> HandshakeError {
    |fault| {
        fault.count(tally);
        HandshakeError::Tls(fault)
    }
}
