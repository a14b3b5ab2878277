//! `shardkv demo`: a whole cluster in one process, with real logs and real sockets.
//!
//! All nodes share one thread, as one process does that runs many groups. Their disks are apart, and so are
//! their connections: what is seen here is what a cluster does, but for the network's delay.

use std::path::PathBuf;
use std::sync::Arc;

use raft_core::{NodeId, RoleChange};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::print;
use super::server::Ending;
use crate::cli::DemoArgs;
use crate::config::Config;
use crate::exit::{Done, Failure};
use crate::node::{AddressBook, OpenNode, RunningNode};

const CLUSTER: u64 = 1;
const CHANGES: usize = 64;

pub(crate) async fn demo(args: DemoArgs) -> Done {
    let mut ending = Ending::new()?;
    let (root, temporary) = folder(&args)?;
    let nodes = start(&args, &root).await?;
    let (told, mut changes) = mpsc::channel(CHANGES);
    for node in &nodes {
        tokio::spawn(forward(node.group.changes(), told.clone()));
    }
    let end = async {
        match args.for_ {
            Some(span) => sleep(span.0).await,
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        biased;
        _ = ending.wait() => Ok(()),
        () = end => Ok(()),
        failure = any_failed(&nodes) => Err(failure),
        done = tell_leaders(&mut changes) => done,
    };
    if ended.is_ok() {
        for node in &nodes {
            node.stop().await;
        }
    }
    drop(nodes);
    close(temporary)?;
    ended
}

/// Where the data directories are made: the folder that was asked for, or one that is removed at the end.
fn folder(args: &DemoArgs) -> Result<(PathBuf, Option<TempDir>), Failure> {
    if let Some(dir) = &args.dir {
        return Ok((dir.clone(), None));
    }
    let made = tempfile::Builder::new().prefix("shardkv-demo-").tempdir();
    let temporary =
        made.map_err(|error| Failure::refused(format!("cannot make a temporary folder: {error}")))?;
    Ok((temporary.path().to_owned(), Some(temporary)))
}

fn close(temporary: Option<TempDir>) -> Done {
    let Some(temporary) = temporary else { return Ok(()) };
    let path = temporary.path().display().to_string();
    match temporary.close() {
        Ok(()) => print(format!("\nended; {path} is removed\n").as_bytes()),
        Err(error) => Err(Failure::refused(format!("cannot remove {path}: {error}"))),
    }
}

async fn start(args: &DemoArgs, root: &std::path::Path) -> Result<Vec<RunningNode>, Failure> {
    let book = Arc::new(AddressBook::default());
    let members: Vec<NodeId> = (1..=args.nodes).map(NodeId).collect();
    let mut opened = Vec::new();
    for id in 1..=args.nodes {
        let config = Config::for_demo(CLUSTER, id, root.join(format!("node-{id}")));
        opened.push(OpenNode::open(config, book.clone()).await?);
    }
    print(welcome(&opened, root).as_bytes())?;
    let mut nodes = Vec::new();
    for node in opened {
        nodes.push(node.start(&members).await?);
    }
    Ok(nodes)
}

fn welcome(nodes: &[OpenNode], root: &std::path::Path) -> String {
    let addresses: Vec<_> = nodes.iter().map(|node| node.address().0.clone()).collect();
    let endpoints = addresses.join(",");
    let plural = if nodes.len() == 1 { "node" } else { "nodes" };
    format!(
        "A cluster of {} {plural}, in {}\n\n  endpoints  {endpoints}\n\nIn another terminal:\n\n  \
         export SHARDKV_ENDPOINTS={endpoints}\n  shardkv put hello world\n  shardkv get hello\n  \
         shardkv status\n  shardkv bench --duration 5s\n\nCtrl-C ends it.\n\n",
        nodes.len(),
        root.display()
    )
}

async fn any_failed(nodes: &[RunningNode]) -> Failure {
    let mut waiting: Vec<_> = nodes.iter().map(|node| Box::pin(node.failed())).collect();
    std::future::poll_fn(|context| {
        for failed in &mut waiting {
            if let std::task::Poll::Ready(failure) = failed.as_mut().poll(context) {
                return std::task::Poll::Ready(failure);
            }
        }
        std::task::Poll::Pending
    })
    .await
}

/// Passes a node's changes on until nobody wants them.
async fn forward(
    mut changes: tokio::sync::watch::Receiver<RoleChange>,
    told: mpsc::Sender<RoleChange>,
) {
    loop {
        let change = *changes.borrow_and_update();
        if told.send(change).await.is_err() || changes.changed().await.is_err() {
            return;
        }
    }
}

/// Prints a line whenever the cluster has another leader, as the first node knows it.
async fn tell_leaders(changes: &mut mpsc::Receiver<RoleChange>) -> Done {
    let begun = Instant::now();
    let (mut newest, mut known) = (0, None);
    while let Some(change) = changes.recv().await {
        let term = change.term.0;
        if term > newest {
            newest = term;
            known = None;
        }
        let Some(leader) = change.leader.filter(|_| term == newest && known.is_none()) else {
            continue;
        };
        known = Some(leader);
        let seconds = begun.elapsed().as_secs_f64();
        let line = format!("{seconds:8.3} s  leader: node {} (term {term})\n", leader.0);
        print(line.as_bytes())?;
    }
    // The nodes have ended, and say why themselves.
    std::future::pending().await
}
