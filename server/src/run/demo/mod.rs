//! `shardkv demo`: a whole cluster in one process, with real logs and real sockets.
//!
//! Each node has a replica of the controller and of two groups that own shards, over one log and one listener.
//! All nodes share one thread. Their disks are apart, and so are their connections: what is seen here is what a
//! cluster does, but for the network's delay.

mod leaders;
mod nodes;
mod play;
mod workload;

use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::print;
use super::server::Ending;
use crate::cli::{Connect, DemoArgs};
use crate::config::Mode;
use crate::exit::{Done, Failure};
use crate::units::Span;
use nodes::Nodes;

pub(crate) async fn demo(args: DemoArgs) -> Done {
    let mut ending = Ending::new()?;
    let (root, temporary) = folder(&args)?;
    let begun = Instant::now();
    let mut nodes = Nodes::open(args.nodes, &root).await?;
    print(welcome(&nodes, &root).as_bytes())?;
    nodes.start().await?;
    let connect = Arc::new(Connect {
        endpoints: nodes.endpoints(),
        timeout: Span::secs(30),
        mode: Mode::Sharded,
        security: nodes.client().clone().into(),
    });
    let end = async {
        match args.for_ {
            Some(span) => sleep(span.0).await,
            None => std::future::pending().await,
        }
    };
    let failures = nodes.failures();
    let leaders = leaders::tell(nodes.changes(), begun);
    let ended = tokio::select! {
        biased;
        _ = ending.wait() => Ok(()),
        () = end => Ok(()),
        failure = nodes::first(failures) => Err(failure),
        done = leaders => done,
        done = play::play(&mut nodes, &connect, args.idle, begun) => done,
    };
    if ended.is_ok() {
        nodes.stop().await;
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

fn welcome(nodes: &Nodes, root: &std::path::Path) -> String {
    let endpoints: Vec<_> = nodes.endpoints().into_iter().map(|at| at.0).collect();
    let endpoints = endpoints.join(",");
    let client = nodes.client();
    let plural = if nodes.count() == 1 { "node" } else { "nodes" };
    format!(
        "A cluster of {} {plural}, in {}\nEach has a replica of the controller and of groups 1 and \
         2, which share 16 shards.\nAll connections have TLS, with certificates on both sides.\n\n  \
         endpoints  {endpoints}\n\nIn another terminal:\n\n  export SHARDKV_ENDPOINTS={endpoints}\n  \
         export SHARDKV_TLS_CA={}\n  export SHARDKV_TLS_CERT={}\n  export SHARDKV_TLS_KEY={}\n  shardkv put hello world\n  shardkv get hello\n  \
         shardkv status\n  shardkv shard list\n  shardkv shard move 0 --to 2 --wait\n  \
         shardkv bench --duration 5s\n\nCtrl-C ends it.\n\n",
        nodes.count(),
        root.display(),
        client.authority.display(),
        client.certificate.display(),
        client.key.display(),
    )
}

/// Prints what has happened, and when.
fn tell(begun: Instant, what: &str) -> Done {
    print(format!("{:8.3} s  {what}\n", begun.elapsed().as_secs_f64()).as_bytes())
}
