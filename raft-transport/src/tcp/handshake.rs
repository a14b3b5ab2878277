//! The handshake on a link, from both ends.

use std::sync::Arc;

use raft_core::{Address, NodeId};
use thiserror::Error;
use tokio::time::timeout;

use super::link::{Link, LinkError};
use super::{Admission, Shared};
use crate::codec::{Claim, FrameKind, Hello, Intent, Protocols, Refusal, Welcome};
use crate::counters::Tally;
use crate::network::Stream;
use crate::tls::{CertificateFault, Subject, TlsFault, stream};

/// Why a handshake failed.
#[derive(Debug, Error)]
pub(crate) enum HandshakeError {
    #[error("cannot connect: {0}")]
    Connect(std::io::Error),
    #[error("it did not end in time")]
    Late,
    #[error(transparent)]
    Tls(#[from] TlsFault),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("refused by the other side: {0}")]
    RefusedByPeer(Refusal),
    #[error("refused here: {0}")]
    Refused(Refusal),
}

/// Dials a peer.
pub(crate) async fn dial(
    shared: &Shared,
    peer: NodeId,
    address: &Address,
    intent: Intent,
) -> Result<Link, HandshakeError> {
    let config = &shared.config;
    let connecting = timeout(config.dial_max, shared.network.connect(address)).await;
    let stream = connecting.map_err(|_| HandshakeError::Late)?.map_err(HandshakeError::Connect)?;
    let claim = Claim::Peer {
        intent,
        cluster: config.cluster,
        from: config.node,
        incarnation: config.incarnation,
        to: peer,
    };
    let introducing = async {
        let stream::Secured { stream, subject } =
            stream::connect(&config.security, stream).await.map_err(counted(&shared.tally))?;
        check_certificate(subject.as_ref(), peer).map_err(counted(&shared.tally))?;
        let mut link = Link::new(stream, config.peer_liveness, Arc::clone(&shared.tally));
        Ok((introduce(&mut link, claim).await?, link))
    };
    let introduced: Result<_, HandshakeError> =
        timeout(config.handshake_max, introducing).await.map_err(|_| HandshakeError::Late)?;
    let (welcome, mut link) = introduced?;
    check_welcome(shared, peer, &welcome).map_err(HandshakeError::Refused)?;
    link.established(config.frame_bytes_max, config.peer_liveness);
    Ok(link)
}

/// Says hello and waits for the answer.
pub(crate) async fn introduce(link: &mut Link, claim: Claim) -> Result<Welcome, HandshakeError> {
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

/// Whether the certificate, if there is one, is of `node`. Its cluster is known to be right.
fn check_certificate(subject: Option<&Subject>, expected: NodeId) -> Result<(), TlsFault> {
    let fault = match subject {
        None => return Ok(()),
        Some(Subject::Node { node, .. }) if *node == expected => return Ok(()),
        Some(found @ Subject::Node { .. }) => {
            CertificateFault::OtherNode { expected, found: found.clone() }
        }
        Some(found) => CertificateFault::NotOfANode { found: found.clone() },
    };
    Err(TlsFault::Certificate(fault))
}

fn check_welcome(shared: &Shared, peer: NodeId, welcome: &Welcome) -> Result<(), Refusal> {
    if welcome.cluster != shared.config.cluster {
        return Err(Refusal::WrongCluster);
    }
    if welcome.node != peer {
        return Err(Refusal::WrongNode(welcome.node));
    }
    admit(shared, peer, welcome.incarnation)
}

fn admit(
    shared: &Shared,
    node: NodeId,
    incarnation: raft_core::Incarnation,
) -> Result<(), Refusal> {
    match shared.peers.admit(node, incarnation) {
        Admission::Admitted => Ok(()),
        Admission::UnknownNode => Err(Refusal::UnknownNode(node)),
        Admission::WrongIncarnation => Err(Refusal::WrongIncarnation),
    }
}

/// Answers whoever dialled.
pub(crate) async fn greet(
    shared: &Shared,
    stream: Box<dyn Stream>,
) -> Result<(Claim, Link), HandshakeError> {
    let config = &shared.config;
    let greeting = async {
        let stream::Secured { stream, subject } =
            stream::accept(&config.security, stream).await.map_err(counted(&shared.tally))?;
        let mut link = Link::new(stream, config.client_liveness, Arc::clone(&shared.tally));
        Ok((answer(shared, &mut link, subject.as_ref()).await?, link))
    };
    match timeout(config.handshake_max, greeting).await {
        Ok(greeted) => greeted,
        Err(_) => {
            shared.tally.handshakes_late.one();
            Err(HandshakeError::Late)
        }
    }
}

async fn answer(
    shared: &Shared,
    link: &mut Link,
    subject: Option<&Subject>,
) -> Result<Claim, HandshakeError> {
    let frame = link.frame().await?;
    let hello = match frame.kind {
        FrameKind::Hello => Hello::decode(&frame.payload).map_err(|_| Refusal::NoHello),
        _ => Err(Refusal::NoHello),
    };
    if let Ok(Hello { claim: Claim::Peer { from, .. }, .. }) = hello
        && let Err(fault) = check_certificate(subject, from)
    {
        refuse(link, Refusal::WrongCertificate).await?;
        return Err(counted(&shared.tally)(fault));
    }
    match hello.and_then(|hello| judge(shared, &hello).map(|protocol| (hello, protocol))) {
        Ok((hello, protocol)) => {
            let config = &shared.config;
            let welcome = Welcome {
                protocol,
                cluster: config.cluster,
                node: config.node,
                incarnation: config.incarnation,
            };
            // It fits: its length is fixed.
            let _ = link.put(FrameKind::Welcome, |out| welcome.encode(out));
            link.flush().await?;
            Ok(hello.claim)
        }
        Err(refusal) => {
            count(shared, refusal);
            refuse(link, refusal).await?;
            Err(HandshakeError::Refused(refusal))
        }
    }
}

async fn refuse(link: &mut Link, refusal: Refusal) -> Result<(), LinkError> {
    // It fits: its length is fixed.
    let _ = link.put(FrameKind::Refusal, |out| refusal.encode(out));
    link.flush().await
}

/// The protocol to speak with whoever says `hello`, or why not.
fn judge(shared: &Shared, hello: &Hello) -> Result<u16, Refusal> {
    let ours = Protocols::OURS;
    let protocol = ours.common(hello.protocols).ok_or(Refusal::Protocol(ours))?;
    let Claim::Peer { intent, cluster, from, incarnation, to } = hello.claim else {
        shared.service().ok_or(Refusal::NoService)?;
        return match shared.clients.is_full() {
            true => Err(Refusal::TooManyClients),
            false => Ok(protocol),
        };
    };
    if cluster != shared.config.cluster {
        return Err(Refusal::WrongCluster);
    }
    if to != shared.config.node {
        return Err(Refusal::WrongNode(shared.config.node));
    }
    let right = match intent {
        Intent::Connect => from < to,
        Intent::Knock => from > to,
    };
    if !right {
        return Err(Refusal::WrongDirection);
    }
    // A node is dialled only where its address is known; so only such a node is let in.
    shared.peers.address(from).ok_or(Refusal::UnknownNode(from))?;
    admit(shared, from, incarnation)?;
    Ok(protocol)
}

fn count(shared: &Shared, refusal: Refusal) {
    let tally = &shared.tally;
    match refusal {
        Refusal::Protocol(_) => tally.refused_protocol.one(),
        Refusal::WrongCluster => tally.refused_cluster.one(),
        Refusal::WrongNode(_) | Refusal::UnknownNode(_) | Refusal::WrongDirection => {
            tally.refused_node.one();
        }
        Refusal::WrongIncarnation => tally.refused_incarnation.one(),
        Refusal::TooManyClients | Refusal::NoService => tally.refused_client.one(),
        Refusal::NoHello => tally.refused_no_hello.one(),
        Refusal::WrongCertificate => tally.certificate_other_node.one(),
    }
}
