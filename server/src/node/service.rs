//! The node's own service: gives each [`Request`] to whom it is for.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use raft_core::{BoxFuture, GroupId, Membership, NodeId, Service};

use super::book::{Contents, Raw};
use super::holds::Hold;
use super::host::Host;
use super::protocol::{Elsewhere, HostRefusal, Probed, Reply, Request};
use super::{giving, members, transfer};
use crate::config::{GROUP_MAX, Mode, PLAIN};

/// It has its host weakly: the host has its services.
pub(super) struct NodeService(pub(super) Weak<Host>);

impl Service for NodeService {
    fn call(&self, request: Bytes) -> BoxFuture<'static, Bytes> {
        let (host, request) = (self.0.upgrade(), Request::decode(&request));
        Box::pin(async move {
            match (host, request) {
                (Some(host), Ok(request)) => answer(&host, request).await.encode(),
                // Whoever asked sees that this is no reply.
                _ => Bytes::new(),
            }
        })
    }
}

async fn answer(host: &Arc<Host>, request: Request) -> Reply {
    match request {
        Request::Describe => Reply::Described(host.describe()),
        Request::Exchange { cluster, book } => exchange(host, cluster, book),
        Request::Join(joining) => Reply::Joined(giving::join(host, joining).await),
        Request::Probe { group } => Reply::Probed(Probed {
            cluster: host.cluster.0,
            node: host.id.0,
            life: host.life.0,
            has_replica: host.holds.get(GroupId(group)).is_some_and(|hold| hold.has_replica()),
        }),
        Request::Host { group, life } => Reply::Hosted(give(host, GroupId(group), life).await),
        Request::Members { group } => Reply::Members(members::list(host, GroupId(group)).await),
        Request::Change(asked) => Reply::Changed(members::change(host, asked).await),
        Request::Transfer { group, to } => {
            Reply::Transferred(transfer::transfer(host, GroupId(group), NodeId(to)).await)
        }
    }
}

fn exchange(host: &Host, cluster: u64, book: Raw) -> Reply {
    if cluster == host.cluster.0 {
        host.book.merge(&Contents::from(book));
    }
    let book = Raw::from(&host.book.contents());
    Reply::Exchanged { cluster: host.cluster.0, node: host.id.0, book }
}

/// A leader gives this node a replica of its group. This life of the node has promised nothing in it as the member that it
/// is; without members to begin with, it has no vote before it has caught up.
async fn give(host: &Arc<Host>, group: GroupId, life: u64) -> Result<(), HostRefusal> {
    if life != host.life.0 {
        return Err(HostRefusal::OtherLife { life: host.life.0 });
    }
    let exists = match host.mode() {
        Mode::Plain => group == PLAIN,
        Mode::Sharded => group.0 <= GROUP_MAX,
    };
    if !exists {
        return Err(HostRefusal::NoSuchGroup);
    }
    let hold = match host.holds.get(group) {
        Some(hold) if hold.has_replica() => hold,
        Some(Hold::Wanted) => Hold::Asking,
        _ => Hold::Given,
    };
    let not_started = |reason: String| HostRefusal::NotStarted { reason };
    // First on the disk: what it says in the group from now on it must not forget to have said.
    host.holds.set(group, hold).map_err(|failure| not_started(failure.cause))?;
    let started = host.start(group, Membership::default()).await;
    started.map_err(|failure| not_started(failure.cause))
}

/// Who leads a group, or else who may know.
pub(super) fn elsewhere(host: &Host, group: GroupId, leader: Option<NodeId>) -> Elsewhere {
    let address = |node: NodeId| {
        let at = host.book.addresses().remove(&node);
        (node.0, at.map(|at| at.0))
    };
    if let Some(leader) = leader {
        return Elsewhere::NotLeader { hint: Some(address(leader)) };
    }
    if host.replica(group).is_some() {
        return Elsewhere::NotLeader { hint: None };
    }
    let members: Vec<NodeId> =
        host.book.contents().groups.get(&group).iter().flat_map(|it| it.members()).collect();
    match members.iter().find(|node| **node != host.id) {
        Some(node) => Elsewhere::NotLeader { hint: Some(address(*node)) },
        None => Elsewhere::NoSuchGroup { group: group.0 },
    }
}
