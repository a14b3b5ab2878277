//! `shardkv server`: one node, until a signal or a failure.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::Config;
use crate::exit::{Done, Exit, Failure};
use crate::node::{OpenNode, RunningNode};
use crate::wire::Reloaded;

pub(crate) async fn server(config: Config) -> Done {
    let mut ending = Ending::new()?;
    let hangups = listen_for(SignalKind::hangup())?;
    let node = tokio::select! {
        biased;
        // A cluster that is to be joined may be long in coming.
        _ = ending.wait() => return Ok(()),
        node = OpenNode::open(config) => node?,
    };
    let config = node.config();
    let (cluster, id) = (config.cluster_id.value, config.node_id.value);
    tracing::info!(cluster, node = id, listen = %node.address(), "listening");
    let node = node.start().await?;
    let ended = tokio::select! {
        biased;
        name = ending.wait() => Ok(name),
        failure = node.failed() => Err(failure),
        // It ends with the process.
        () = reload_on_hangup(&node, hangups) => Err(node.failed().await),
    };
    let name = match ended {
        Ok(name) => name,
        Err(failure) => {
            if failure.exit == Exit::Removed {
                // Whoever asked for that may wait for the answer.
                node.take_leave().await;
            }
            return Err(failure);
        }
    };
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
