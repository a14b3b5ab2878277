//! Connections that others make: accepted, asked whose they are, and given to whom they are for.

use std::pin::pin;
use std::sync::Arc;

use tokio::time::sleep;

use super::Shared;
use super::greet::{Greeted, greet};
use super::session;
use crate::carrier::{Acceptor, Arrived};
use crate::handshake::HandshakeError;
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
    let arrived = match shared.handshakes.is_dense() {
        true => arrived.unless_spoofed(),
        false => Some(arrived),
    };
    let Some(arrived) = arrived else { return };
    let from = arrived.from.clone();
    let Some(origin) = shared.origins.take(&from) else {
        shared.tally.refused_address.one();
        shared.complaints.warn(format_args!("too many connections from the address of {from}"));
        return;
    };
    let mut place = shared.handshakes.enter();
    let owner = Arc::clone(shared);
    // Once stopped, the connection is dropped with the task.
    let _ = shared.tasks.spawn(async move {
        let greeted = tokio::select! {
            biased;
            greeted = greet(&owner, arrived) => greeted,
            () = place.pushed_out() => {
                owner.tally.handshakes_full.one();
                Err(HandshakeError::Crowded)
            }
        };
        drop(place);
        match greeted {
            Ok(Greeted::Client(link)) => {
                client(&owner, *link).await;
                // Of a client, it is kept to the end.
                drop(origin);
            }
            Ok(Greeted::Peer(from, lanes)) => {
                if let Some(peer) = owner.peer(from) {
                    peer.connected(*lanes);
                }
            }
            Ok(Greeted::Knock(from)) => {
                if let Some(peer) = owner.peer(from) {
                    peer.knocked();
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
