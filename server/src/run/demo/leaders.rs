//! Who leads, as it changes.

use std::collections::BTreeMap;

use raft_core::RoleChange;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::exit::Done;

/// Prints a line whenever a group has another leader, as the first node knows it.
pub(super) async fn tell(changes: Option<mpsc::Receiver<RoleChange>>, begun: Instant) -> Done {
    // The newest term in which each group's leader is known.
    let mut known: BTreeMap<u64, u64> = BTreeMap::new();
    if let Some(mut changes) = changes {
        while let Some(change) = changes.recv().await {
            let (group, term) = (change.group.0, change.term.0);
            let Some(leader) = change.leader.filter(|_| known.get(&group) < Some(&term)) else {
                continue;
            };
            known.insert(group, term);
            let name = match group {
                0 => "controller".to_owned(),
                group => format!("group {group}"),
            };
            super::tell(begun, &format!("{name:<10}  leader: node {} (term {term})", leader.0))?;
        }
    }
    // The nodes have ended, and say why themselves.
    std::future::pending().await
}
