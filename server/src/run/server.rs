//! `shardkv server`: one node, until a signal or a failure.

use std::sync::Arc;

use raft_core::node::watch;
use raft_core::{NodeId, Role, RoleChange};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use crate::config::{Config, HostPort};
use crate::exit::{Done, Failure};
use crate::node::{AddressBook, OpenNode, RunningNode};
use crate::wire::Reloaded;

pub(crate) async fn server(config: Config) -> Done {
    let mut ending = Ending::new()?;
    let hangups = listen_for(SignalKind::hangup())?;
    let book = Arc::new(AddressBook::default());
    for (id, at) in &config.peers.value.0 {
        book.enter(NodeId(*id), HostPort::address(at));
    }
    let members = config.members();
    let (cluster, id) = (config.cluster_id.value, config.node_id.value);
    let node = OpenNode::open(config, book).await?;
    tracing::info!(cluster, node = id, nodes = members.len(), listen = %node.address(), "listening");
    let node = node.start().await?;
    let ended = tokio::select! {
        biased;
        name = ending.wait() => Ok(name),
        failure = node.failed() => Err(failure),
        // It ends with the node, whose own branch then says why.
        () = tell_changes(&node) => Err(node.failed().await),
        () = reload_on_hangup(&node, hangups) => Err(node.failed().await),
    };
    let name = ended?;
    tracing::info!("{name}: stopping");
    tokio::select! {
        biased;
        // Somebody insists.
        name = ending.wait() => tracing::warn!("{name} again: stopped at once"),
        () = node.stop() => tracing::info!("stopped"),
    }
    Ok(())
}

/// Reads the certificates again at each SIGHUP: by then whoever sends it has put all of the files in place. Ends
/// when no signals come any more, with the process.
async fn reload_on_hangup(node: &RunningNode, mut hangups: Signal) {
    while hangups.recv().await.is_some() {
        match node.reload().await {
            Ok(Reloaded::Renewed) => {
                tracing::info!("SIGHUP: new connections have the certificates of now")
            }
            Ok(Reloaded::Plaintext) => {
                tracing::info!("SIGHUP: there are no certificates to read again")
            }
            Err(failure) => {
                tracing::error!("SIGHUP: the certificates from before stay: {}", failure.cause);
            }
        }
    }
}

/// Logs every change of role and leader, of all groups.
async fn tell_changes(node: &RunningNode) {
    let mut telling: JoinSet<()> = node.roles.iter().cloned().map(tell).collect();
    while telling.join_next().await.is_some() {}
}

async fn tell(mut changes: watch::Receiver<RoleChange>) {
    loop {
        let change = *changes.borrow_and_update();
        let (term, group) = (change.term.0, change.group.0);
        match (change.role, change.leader) {
            (Role::Leader, _) => tracing::info!(group, term, "this node leads"),
            (_, Some(leader)) => tracing::info!(group, term, leader = leader.0, "follows"),
            (Role::Candidate, None) => tracing::info!(group, term, "stands for election"),
            (_, None) => tracing::info!(group, term, "knows of no leader"),
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

fn listen_for(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::refused(format!("cannot listen for signals: {error}")))
}

/// The signals that ask a process to end.
pub(super) struct Ending {
    interrupt: Signal,
    terminate: Signal,
}

impl Ending {
    pub(super) fn new() -> Result<Self, Failure> {
        Ok(Self {
            interrupt: listen_for(SignalKind::interrupt())?,
            terminate: listen_for(SignalKind::terminate())?,
        })
    }

    /// Waits for one of them; its name.
    pub(super) async fn wait(&mut self) -> &'static str {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
