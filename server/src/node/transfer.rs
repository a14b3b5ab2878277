//! Leadership that goes to another node: because an operator wants it, or because this one stops.

use std::time::Duration;

use raft_core::node::HandoverError;
use raft_core::{GroupId, NodeId, Replication, Role, TransferError};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::host::Host;
use super::protocol::TransferRefusal;
use super::replica::Operated;
use super::service::elsewhere;

pub(super) async fn transfer(
    host: &Host,
    group: GroupId,
    to: NodeId,
) -> Result<(), TransferRefusal> {
    let Some(replica) = host.replica(group) else {
        return Err(TransferRefusal::Elsewhere(elsewhere(host, group, None)));
    };
    let refusal = match replica.operated.transfer(to).await {
        Ok(()) => return Ok(()),
        Err(HandoverError::Refused(TransferError::NotLeader { leader })) => {
            TransferRefusal::Elsewhere(elsewhere(host, group, leader))
        }
        Err(HandoverError::Refused(TransferError::InProgress { to })) => {
            TransferRefusal::InProgress { to: to.0 }
        }
        Err(HandoverError::Refused(TransferError::NotVoter { node })) => {
            TransferRefusal::NotVoter { node: node.0 }
        }
        Err(HandoverError::GivenUp) => TransferRefusal::GivenUp,
        Err(HandoverError::Elsewhere { leader }) => {
            TransferRefusal::Other { leader: leader.map(|leader| leader.0) }
        }
        Err(HandoverError::Stopped) => TransferRefusal::Elsewhere(elsewhere(host, group, None)),
        Err(_) => TransferRefusal::Busy,
    };
    Err(refusal)
}

/// Hands over what this node leads, each group to the voter that has most of its log, all at once and for at most
/// `within`. What does not come about in time does no harm: the others elect somebody.
pub(super) async fn resign(host: &Host, within: Duration) {
    let mut resigning = JoinSet::new();
    for (group, replica) in host.replicas() {
        let operated = replica.operated.clone();
        resigning.spawn(async move {
            match timeout(within, resign_from(&*operated)).await {
                Ok(Some(to)) => tracing::info!(group = group.0, to = to.0, "handed over"),
                Ok(None) => {}
                Err(_) => tracing::warn!(group = group.0, "could not hand over in time"),
            }
        });
    }
    while resigning.join_next().await.is_some() {}
}

/// To whom, if it has come about.
async fn resign_from(operated: &dyn Operated) -> Option<NodeId> {
    let status = operated.status();
    if status.role != Role::Leader {
        return None;
    }
    let progress = operated.progress().await;
    let voters = progress.iter().filter(|it| status.membership.voters.contains(&it.node));
    let ready = voters.filter(|it| it.replication == Replication::Replicate);
    let to = ready.max_by_key(|it| it.matched)?.node;
    operated.transfer(to).await.ok().map(|()| to)
}
