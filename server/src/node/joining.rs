//! How a node comes to a cluster that there is: it asks for its number, and to be a voter in its groups.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use raft_core::{Address, Caller, GroupId, Incarnation, NodeId};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::book::{Contents, Raw};
use super::holds::Hold;
use super::host::Host;
use super::protocol::{
    Asked, Change, ChangeRefusal, JoinRefusal, Joined, Joining, MemberRole, Reply, Request,
};
use crate::client::{Operator, ask};
use crate::config::{Config, HostPort};
use crate::exit::{Done, Exit, Failure};

/// How long a cluster has to say what it is.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a node has to say whom it knows.
const LOOK: Duration = Duration::from_secs(1);
/// How long one attempt to become a voter may take. It is repeated.
const ATTEMPT: Duration = Duration::from_secs(10);
/// The pause before the next.
const PAUSE: Duration = Duration::from_millis(500);

/// Asks the cluster at `contact` for a number, for this life.
pub(super) async fn ask_for_number(
    caller: &Arc<dyn Caller>,
    contact: &HostPort,
    joining: Joining,
) -> Result<Joined, Failure> {
    let mut operator = Operator::new(caller.clone(), [contact.address()]);
    let request = Request::Join(joining);
    let cause = match operator.ask(&request, Instant::now() + ANSWER).await {
        Ok(Reply::Joined(Ok(joined))) => return Ok(joined),
        Ok(Reply::Joined(Err(JoinRefusal::OtherCluster { cluster }))) => {
            return Err(Failure::refused(format!("at {contact} is cluster {cluster}")));
        }
        Ok(Reply::Joined(Err(JoinRefusal::Alive { node, address }))) => {
            return Err(Failure::refused(format!("node {node} runs, at {address}"))
                .hint("leave --node-id out, and the cluster gives this node a number of its own"));
        }
        Ok(Reply::Joined(Err(JoinRefusal::NotKept { reason }))) => {
            format!("the cluster cannot remember another node: {reason}")
        }
        Ok(_) => "there is something else".to_owned(),
        Err(cause) => cause.to_string(),
    };
    Err(Failure::new(Exit::Unreachable, format!("no cluster at {contact} lets this node in: {cause}"))
        .hint(
            "--join is the address of any node of it; most of the nodes that have the controller, or the \
             plain cluster's group, must be up",
        ))
}

/// Fails if one of the nodes in the settings knows this node, which has an empty directory, with another one.
pub(super) async fn look_for_earlier_life(
    config: &Config,
    caller: &Arc<dyn Caller>,
    dir: &Path,
) -> Done {
    let own = config.node_id.value;
    let peers = config.peers.value.0.iter().filter(|(id, _)| **id != own);
    let mut asking: JoinSet<_> = peers
        .map(|(_, at)| knows_own(caller.clone(), at.clone(), config.cluster_id.value, NodeId(own)))
        .collect();
    while let Some(asked) = asking.join_next().await {
        if let Ok(Some(contact)) = asked {
            return Err(lost(config, &contact, dir));
        }
    }
    Ok(())
}

/// The address of the node, if it knows a life of `own`.
async fn knows_own(
    caller: Arc<dyn Caller>,
    at: HostPort,
    cluster: u64,
    own: NodeId,
) -> Option<HostPort> {
    let book = Raw::from(&Contents::default());
    let request = Request::Exchange { cluster, book };
    match ask(&caller, &at.address(), &request, LOOK).await {
        Ok(Reply::Exchanged { cluster: found, book, .. }) if found == cluster => {
            let life = Contents::from(book).nodes.get(&own)?.life;
            life.map(|_| at)
        }
        _ => None,
    }
}

/// The directory is not the one that the cluster knows the node by.
pub(super) fn lost(config: &Config, contact: &HostPort, dir: &Path) -> Failure {
    let node = config.node_id.value;
    Failure::refused(format!(
        "node {node} had another data directory than {}: what it had promised is lost with that, and it does not \
         vote again as if it were not",
        dir.display()
    ))
    .hint(format!(
        "start it with the directory that it had; or, if that is lost, with an empty one, so that it joins \
         anew: {}",
        config.join_command(contact, dir)
    ))
}

/// Asks to be a voter in all groups that the node wants to be in, until it is.
pub(super) async fn ask_for_votes(host: Arc<Host>) {
    let wanted = host.holds.all().into_iter().filter(|(_, hold)| hold.is_asking());
    let mut asking: JoinSet<()> =
        wanted.map(|(group, _)| ask_for_vote(host.clone(), group)).collect();
    while asking.join_next().await.is_some() {}
}

async fn ask_for_vote(host: Arc<Host>, group: GroupId) {
    let mut told = None;
    loop {
        let change = Change::Add {
            node: host.id.0,
            address: Some(host.address().0),
            role: MemberRole::Voter,
        };
        let wait_ms = ATTEMPT.as_millis() as u32;
        let asked = Asked { group: group.0, change, expected: None, wait_ms };
        // Anew each time: the nodes that are known may be others by now.
        let mut operator = Operator::new(host.caller.clone(), host.others(group));
        let deadline = Instant::now() + 2 * ATTEMPT;
        let refusal = match operator.ask(&Request::Change(asked), deadline).await {
            Ok(Reply::Changed(Ok(since))) => {
                tracing::info!(group = group.0, since, "this node is a voter");
                if let Err(failure) = host.holds.set(group, Hold::Given) {
                    // It asks again when it starts again, and is told that it is one.
                    tracing::error!("{}", failure.cause);
                }
                return;
            }
            Ok(Reply::Changed(Err(ChangeRefusal::Deadline))) => "it is catching up".to_owned(),
            Ok(Reply::Changed(Err(refusal))) => refusal.to_string(),
            Ok(_) => "the reply makes no sense".to_owned(),
            Err(cause) => cause.to_string(),
        };
        if told.as_ref() != Some(&refusal) {
            tracing::info!(group = group.0, "not a voter yet: {refusal}");
            told = Some(refusal);
        }
        sleep(PAUSE).await;
    }
}

/// What a node that has no data tells of itself.
pub(super) fn joining(config: &Config, node: Option<NodeId>, life: Incarnation) -> Joining {
    let address: Address = match config.advertise.value.0.is_empty() {
        true => config.listen.value.address(),
        false => config.advertise.value.address(),
    };
    let given = |number: u64| Some(number).filter(|number| *number != 0);
    Joining {
        cluster: given(config.cluster_id.value),
        node: node.map(|node| node.0).or(given(config.node_id.value)),
        life: life.0,
        address: address.0,
    }
}
