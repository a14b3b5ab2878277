//! What a node sees to beside its groups: that nodes know of each other, and clients of nodes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raft_core::{Address, GroupId, NodeId, Role};
use raft_transport::group_address;
use shardctrler::Configuration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::book::{Contents, Raw};
use super::describe::Local;
use super::host::Host;
use super::protocol::{Reply, Request};
use super::replica::Replica;
use super::sharded;
use crate::client::ask;
use crate::config::Mode;

/// The shortest pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// What changes without notice is looked at so often.
const LOOK: Duration = Duration::from_millis(500);
/// Nodes tell each other what they know at least this often.
const EXCHANGE: Duration = Duration::from_secs(5);
/// How long another node has to answer, and how soon it is asked again if it has not.
const ANSWER: Duration = Duration::from_secs(1);
/// How long the controller has for a change.
const CHANGE: Duration = Duration::from_secs(5);

/// Tells all nodes that this one knows of what it knows, when that has changed and now and then, and takes what is newer
/// of what they know. `contact` is a node of the cluster, as the command line says: it may be the only one whose
/// address is right.
pub(super) async fn exchange(host: Arc<Host>, contact: Option<Address>) {
    let mut changes = host.book.version();
    let mut due: BTreeMap<Address, (u64, Instant)> = BTreeMap::new();
    loop {
        let version = *changes.borrow_and_update();
        let now = Instant::now();
        let nodes = host.book.whereabouts().into_iter().chain(contact.clone());
        let nodes: Vec<Address> = nodes
            .filter(|at| due.get(at).is_none_or(|(told, next)| *told < version || *next <= now))
            .collect();
        let mut asking: JoinSet<_> =
            nodes.into_iter().map(|at| exchange_with(host.clone(), at)).collect();
        while let Some(asked) = asking.join_next().await {
            // A panic of it is its own.
            let Ok((at, answered)) = asked else { continue };
            let pause = if answered { EXCHANGE } else { ANSWER };
            due.insert(at, (version, Instant::now() + pause));
        }
        due.retain(|_, (_, next)| *next + EXCHANGE > now);
        sleep(PAUSE).await;
        // Ends with the host, whose the sender is.
        let _ = timeout(LOOK, changes.changed()).await;
    }
}

async fn exchange_with(host: Arc<Host>, at: Address) -> (Address, bool) {
    let book = Raw::from(&host.book.contents());
    let request = Request::Exchange { cluster: host.cluster.0, book };
    let answered = match ask(&host.caller, &at, &request, ANSWER).await {
        Ok(Reply::Exchanged { cluster, book, .. }) if cluster == host.cluster.0 => {
            host.book.merge(&Contents::from(book));
            true
        }
        _ => false,
    };
    (at, answered)
}

/// Writes the book whenever it has changed.
pub(super) async fn save(host: Arc<Host>) {
    let mut changes = host.book.version();
    loop {
        changes.borrow_and_update();
        if let Err(error) = host.book.save().await {
            tracing::warn!("cannot write the address book: {error}");
        }
        sleep(PAUSE).await;
        let _ = timeout(EXCHANGE, changes.changed()).await;
    }
}

/// Keeps the book, the services' hints and the controller's configurations at what the groups' members are.
pub(super) async fn follow_members(host: Arc<Host>) {
    let controller = match host.mode() {
        Mode::Plain => None,
        Mode::Sharded => Some(sharded::clerk(&host).with_deadline(CHANGE)),
    };
    let mut changes = host.book.version();
    loop {
        changes.borrow_and_update();
        for (group, replica) in host.replicas() {
            let status = replica.operated.status();
            let membership = &status.membership;
            if status.membership_since > status.commit || membership.is_joint() {
                continue;
            }
            host.book.place(group, status.membership_since.0, membership);
            let members = host.book.members(group);
            if let (Some(controller), Role::Leader, true) =
                (&controller, status.role, members.len() == membership.members().count())
            {
                tell_controller(controller, group, &replica, &members).await;
            }
            (replica.set_addresses)(members);
        }
        sleep(PAUSE).await;
        let _ = timeout(LOOK, changes.changed()).await;
    }
}

/// Clients find a group by the newest configuration: its leader sees to it that its members stand there.
async fn tell_controller(
    controller: &shardctrler::Clerk,
    group: GroupId,
    replica: &Replica,
    members: &[(NodeId, Address)],
) {
    let Local::Shards(store) = &replica.local else { return };
    let servers: BTreeMap<NodeId, Address> =
        members.iter().map(|(node, at)| (*node, group_address(at, group))).collect();
    let is_told =
        |config: &Configuration| config.group(group).is_none_or(|there| there.servers == servers);
    if store.peek(|_, store| store.configuration().is_none_or(is_told)) {
        return;
    }
    // The group may be behind: asked again before anything is changed.
    let Ok(newest) = controller.newest().await else { return };
    if !is_told(&newest) {
        match controller.set_servers(group, servers).await {
            Ok(number) => {
                tracing::info!(group = group.0, %number, "told the controller of the members");
            }
            Err(error) => tracing::warn!(group = group.0, "cannot tell the controller: {error}"),
        }
    }
}
