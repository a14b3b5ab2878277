//! Connections that others make: accepted, asked whose they are, and given to whom they are for.

use std::pin::pin;
use std::sync::Arc;

use tokio::time::sleep;

use super::Shared;
use super::greet::greet;
use super::session;
use crate::carrier::{Acceptor, Arrived};
use crate::codec::{Claim, Intent};
use crate::link::{Link, LinkError};

/// Accepts connections until the transport stops.
pub(super) async fn run(shared: Arc<Shared>, mut acceptor: Acceptor) {
    let mut stopping = pin!(shared.stopping());
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stopping => return,
            accepted = acceptor.accept() => accepted,
        };
        match accepted {
            Ok(arrived) => admit(&shared, arrived),
            Err(error) => {
                shared.tally.accept_errors.one();
                if error.kind() == std::io::ErrorKind::ConnectionAborted {
                    // Whoever dialled has hung up: that must not make the others wait.
                    continue;
                }
                // Most often there are too many open files: trying again at once would fail again.
                shared.complaints.warn(format_args!("cannot accept: {error}"));
                sleep(shared.config.accept_pause).await;
            }
        }
    }
}

fn admit(shared: &Arc<Shared>, arrived: Arrived) {
    let from = arrived.from.clone();
    let Some(slot) = shared.handshakes.take() else {
        shared.tally.handshakes_full.one();
        shared.complaints.warn(format_args!("too many handshakes at once: {from} is cut off"));
        return;
    };
    let owner = Arc::clone(shared);
    // Once stopped, the connection is dropped with the task.
    let _ = shared.tasks.spawn(async move {
        let greeted = greet(&owner, arrived).await;
        drop(slot);
        match greeted {
            Ok((Claim::Client, link)) => client(&owner, link).await,
            Ok((Claim::Peer { intent, from, .. }, mut link)) => {
                let Some(peer) = owner.peer(from) else { return };
                link.established(owner.config.frame_bytes_max, owner.config.peer_liveness);
                match intent {
                    Intent::Connect => peer.connected(link),
                    Intent::Knock => peer.knocked(),
                }
            }
            Err(error) => {
                owner.complaints.warn(format_args!("handshake with {from} failed: {error}"));
            }
        }
    });
}

async fn client(shared: &Shared, link: Link) {
    // Both were there a moment ago; if not, the client sees its connection close.
    let (Some(service), Some(_slot)) = (shared.service(), shared.clients.take()) else {
        shared.tally.refused_client.one();
        return;
    };
    shared.tally.client_connections.one();
    if let Err(error) = session::serve(shared, service, link).await {
        match error {
            LinkError::Closed => {}
            error => shared.complaints.warn(format_args!("connection of a client: {error}")),
        }
    }
}
