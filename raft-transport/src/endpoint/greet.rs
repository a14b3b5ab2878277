//! The handshake of whoever is dialled: who is it, and may it be connected?

use std::sync::Arc;

use raft_core::NodeId;
use tokio::time::timeout;

use super::Shared;
use super::lane::Lanes;
use crate::carrier::Arrived;
use crate::codec::{Claim, FrameKind, Hello, Intent, Protocols, Refusal, Welcome};
use crate::handshake::{HandshakeError, counted};
use crate::link::Link;
use crate::tls::{CertificateFault, Subject};

/// Whoever dialled and is welcome.
pub(super) enum Greeted {
    /// A client.
    Client(Box<Link>),
    /// A peer that is connected now.
    Peer(NodeId, Box<Lanes>),
    /// A peer that wants to be dialled.
    Knock(NodeId),
}

/// Answers whoever dialled.
pub(super) async fn greet(shared: &Shared, arrived: Arrived) -> Result<Greeted, HandshakeError> {
    let config = &shared.config;
    let greeting = async {
        let carried = arrived.open().await.map_err(counted(&shared.tally))?;
        let mut link = Link::new(carried.stream, config.client_liveness, Arc::clone(&shared.tally));
        Ok(match answer(shared, &mut link, carried.subject.as_ref()).await? {
            Claim::Client => Greeted::Client(Box::new(link)),
            Claim::Peer { intent: Intent::Connect, from, .. } => {
                let lanes = Lanes::of(shared, link, &carried.further).await?;
                Greeted::Peer(from, Box::new(lanes))
            }
            Claim::Peer { intent: Intent::Knock, from, .. } => {
                link.close().await?;
                Greeted::Knock(from)
            }
        })
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
        && let Err(fault) = CertificateFault::unless_of(from, subject)
    {
        let error = counted(&shared.tally)(fault);
        refuse(link, Refusal::WrongCertificate).await;
        return Err(error);
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
            refuse(link, refusal).await;
            Err(HandshakeError::Refused(refusal))
        }
    }
}

async fn refuse(link: &mut Link, refusal: Refusal) {
    // It fits: its length is fixed.
    let _ = link.put(FrameKind::Refusal, |out| refusal.encode(out));
    // Whoever does not wait for it is refused all the same.
    let _ = link.close().await;
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
    shared.peers.admit(from, incarnation).of(from)?;
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
