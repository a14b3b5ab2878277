//! `shardkv shard`: which group has which shards, and changes of it.

mod change;
mod join;
mod show;
mod wait;

use std::sync::Arc;

use kv::ClerkError;
use raft_core::Caller;
use shardctrler::{Clerk, ConfigNumber, Configuration};

use crate::cli::{Connect, ShardCommand};
use crate::client::{caller, controller, failure};
use crate::config::Mode;
use crate::exit::{Done, Failure};

pub(crate) async fn shard(command: ShardCommand) -> Done {
    let connect = match &command {
        ShardCommand::List(args) => &args.connect,
        ShardCommand::Query(args) => &args.connect,
        ShardCommand::Join(args) => &args.changing.connect,
        ShardCommand::Leave(args) => &args.changing.connect,
        ShardCommand::Move(args) => &args.changing.connect,
        ShardCommand::Rebalance(args) => &args.changing.connect,
    };
    let cluster = Cluster::new(connect)?;
    match command {
        ShardCommand::List(args) => show::list(&cluster, &args).await,
        ShardCommand::Query(args) => show::query(&cluster, &args).await,
        ShardCommand::Join(args) => join::join(&cluster, &args).await,
        ShardCommand::Leave(args) => change::leave(&cluster, &args).await,
        ShardCommand::Move(args) => change::move_shard(&cluster, &args).await,
        ShardCommand::Rebalance(args) => change::rebalance(&cluster, &args).await,
    }
}

/// What the commands talk to.
struct Cluster {
    connect: Connect,
    caller: Arc<dyn Caller>,
    controller: Clerk,
}

impl Cluster {
    fn new(connect: &Connect) -> Result<Self, Failure> {
        if connect.mode == Mode::Plain {
            return Err(Failure::usage("a plain cluster has no shards")
                .hint("leave --mode plain out, if the cluster is sharded"));
        }
        let caller = caller(connect)?;
        let controller = controller(connect, caller.clone());
        Ok(Self { connect: connect.clone(), caller, controller })
    }

    async fn newest(&self) -> Result<Configuration, Failure> {
        self.controller.newest().await.map_err(|error| self.failure(error))
    }

    /// The configuration of exactly this number.
    async fn numbered(&self, number: ConfigNumber) -> Result<Configuration, Failure> {
        let found = self.controller.query(number).await.map_err(|error| self.failure(error))?;
        match found.number() == number {
            true => Ok(found),
            false => Err(Failure::refused(format!(
                "there is no configuration {number}: the newest is {}",
                found.number()
            ))),
        }
    }

    fn failure(&self, error: ClerkError<shardctrler::Refusal>) -> Failure {
        failure(error, &self.connect)
    }
}
