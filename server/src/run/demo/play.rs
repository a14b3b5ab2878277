//! What happens in a demonstration: the groups join, a workload runs, a leader stops and comes back, a shard
//! moves.

use std::time::Duration;

use kv::ClerkError;
use raft_core::{Address, GroupId, NodeId};
use raft_transport::group_address;
use shardctrler::{Group, Refusal};
use tokio::time::{Instant, interval, sleep};

use super::nodes::Nodes;
use super::{tell, workload};
use crate::cli::Connect;
use crate::client::{caller, controller, failure};
use crate::config::HostPort;
use crate::exit::Done;

/// How long it goes on before the next thing happens.
const SCENE: Duration = Duration::from_secs(2);
/// How often the workload's counts are told.
const COUNTS_EVERY: Duration = Duration::from_secs(5);

/// Ends only if something fails.
pub(super) async fn play(nodes: &mut Nodes, connect: &Connect, idle: bool, begun: Instant) -> Done {
    join(nodes, connect, begun).await?;
    if idle {
        std::future::pending::<()>().await;
    }
    let (counts, _lanes) = workload::start(connect)?;
    sleep(SCENE).await;
    tell(begun, &counts.line())?;
    if nodes.count() >= 3 {
        fell_leader(nodes, begun).await?;
        tell(begun, &counts.line())?;
    }
    let mut every = interval(COUNTS_EVERY);
    every.tick().await;
    loop {
        every.tick().await;
        tell(begun, &counts.line())?;
    }
}

async fn join(nodes: &Nodes, connect: &Connect, begun: Instant) -> Done {
    let places: Vec<(NodeId, Address)> =
        (1..).map(NodeId).zip(connect.endpoints.iter().map(HostPort::address)).collect();
    debug_assert_eq!(places.len(), nodes.count());
    let group = |group: u64| {
        let group = GroupId(group);
        let servers = places.iter().map(|(node, at)| (*node, group_address(at, group)));
        (group, Group::new(servers))
    };
    let controller = controller(connect, caller(connect)?);
    match controller.join([1, 2].map(group).into()).await {
        Ok(number) => {
            tell(begun, &format!("controller  groups 1 and 2 have joined (configuration {number})"))
        }
        // A second run in the same folder: the ports may be others.
        Err(ClerkError::Refused(Refusal::GroupExists { same, .. })) => {
            for (group, of) in [1, 2].map(group).into_iter().filter(|_| !same) {
                let told = controller.set_servers(group, of.servers).await;
                told.map_err(|error| failure(error, connect))?;
            }
            tell(begun, "controller  groups 1 and 2 go on where they were")
        }
        Err(error) => Err(failure(error, connect)),
    }
}

/// Stops the node that leads group 1, in the middle of the work, and starts it again.
async fn fell_leader(nodes: &mut Nodes, begun: Instant) -> Done {
    let Some(leader) = nodes.leader(1) else { return Ok(()) };
    tell(begun, &format!("node {}      leads group 1, and is stopped", leader.0))?;
    nodes.stop_one(leader).await;
    sleep(SCENE).await;
    nodes.start_one(leader).await?;
    tell(begun, &format!("node {}      runs again", leader.0))
}
