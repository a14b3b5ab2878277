//! How a node without data gets its number, from the node that leads the group which gives them out.
//!
//! A number that is new is the one after all that are known. One that is taken goes over to the new life of its node,
//! unless the old one runs: whoever asks for it says that the old directory is lost. Nothing follows from it in any
//! group: there the old life is a member until a leader removes it, and only then does the new one get a replica.

use std::time::Duration;

use raft_core::{Address, GroupId, Incarnation, NodeId, Role};

use super::book::Raw;
use super::host::Host;
use super::protocol::{JoinRefusal, Joined, Joining, Reply, Request, WireMode};
use super::service::elsewhere;
use crate::client::ask;
use crate::config::Mode;

/// How long a node that may run has to answer.
const LOOK: Duration = Duration::from_secs(1);

pub(super) async fn join(host: &Host, joining: Joining) -> Result<Joined, JoinRefusal> {
    if let Some(cluster) = joining.cluster
        && cluster != host.cluster.0
    {
        return Err(JoinRefusal::OtherCluster { cluster: host.cluster.0 });
    }
    let authority = host.authority();
    let status = host.replica(authority).map(|replica| replica.operated.status());
    match &status {
        Some(status) if status.role == Role::Leader && status.commit >= status.membership_since => {
        }
        status => {
            let leader = status.as_ref().and_then(|it| it.leader).filter(|it| *it != host.id);
            return Err(JoinRefusal::Elsewhere(elsewhere(host, authority, leader)));
        }
    }
    let life = Incarnation(joining.life);
    let node = match joining.node {
        Some(node) => {
            look_for_the_old_life(host, NodeId(node), life).await?;
            NodeId(node)
        }
        None => number_for(host, life),
    };
    let address = Address(joining.address);
    if let Err(error) = host.book.succeed(node, life, address).await {
        return Err(JoinRefusal::NotKept { reason: error.to_string() });
    }
    tracing::info!(node = node.0, "gave a node its number");
    Ok(welcome(host, node))
}

/// The number that the life has, or the one after all that are known.
fn number_for(host: &Host, life: Incarnation) -> NodeId {
    let contents = host.book.contents();
    let known = contents.nodes.iter().find(|(_, entry)| entry.life == Some(life));
    if let Some((node, _)) = known {
        return *node;
    }
    let members = contents.groups.values().flat_map(|place| place.members().collect::<Vec<_>>());
    let taken = contents.nodes.keys().copied().chain(members).chain([host.id]);
    NodeId(taken.map(|node| node.0).max().unwrap_or(0).saturating_add(1))
}

async fn look_for_the_old_life(
    host: &Host,
    node: NodeId,
    life: Incarnation,
) -> Result<(), JoinRefusal> {
    let alive = |address: &Address| JoinRefusal::Alive { node: node.0, address: address.0.clone() };
    let address = host.book.addresses().remove(&node).unwrap_or(Address(String::new()));
    if node == host.id {
        return Err(alive(&address));
    }
    let known = host.book.contents().nodes.get(&node).and_then(|entry| entry.life);
    if known.is_none_or(|known| known == life) {
        return Ok(());
    }
    let probe = Request::Probe { group: host.authority().0 };
    match ask(&host.caller, &address, &probe, LOOK).await {
        Ok(Reply::Probed(found))
            if found.cluster == host.cluster.0
                && found.node == node.0
                && Some(Incarnation(found.life)) == known =>
        {
            Err(alive(&address))
        }
        _ => Ok(()),
    }
}

fn welcome(host: &Host, node: NodeId) -> Joined {
    let contents = host.book.contents();
    Joined {
        cluster: host.cluster.0,
        node: node.0,
        kind: match host.mode() {
            Mode::Plain => WireMode::Plain,
            Mode::Sharded => WireMode::Sharded,
        },
        groups: contents.groups.keys().map(|GroupId(group)| *group).collect(),
        key_bytes_max: host.config.key_bytes_max.value.0,
        value_bytes_max: host.config.value_bytes_max.value.0,
        book: Raw::from(&contents),
    }
}
