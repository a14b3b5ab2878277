//! Requests that come while the node stands for election.

use std::time::Duration;

use raft_core::node::watch;
use raft_core::{Role, RoleChange};
use tokio::time::timeout;

/// A client that is sent away waits for about so long, too.
const ELECTION_MAX: Duration = Duration::from_millis(100);

/// Waits while the node stands for election, but not for long. Whoever was sent here because leadership is being handed
/// over comes a round trip after that has begun, and an election takes a little longer: it would be sent away for nothing.
pub async fn elected(mut changes: watch::Receiver<RoleChange>) {
    if changes.borrow().role == Role::Candidate {
        let decided = changes.wait_for(|change| change.role != Role::Candidate);
        // Whatever it is by then, the core says so.
        let _ = timeout(ELECTION_MAX, decided).await;
    }
}
