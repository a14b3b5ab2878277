//! `shardkv member` and `shardkv leader`: the members of a group, and its leader.

mod alter;
mod lead;
mod list;

use std::sync::Arc;
use std::time::Duration;

use kv::Cause;
use raft_core::{Address, Caller};
use tokio::time::Instant;

use crate::cli::{Connect, LeaderCommand, MemberCommand, Which};
use crate::client::{Operator, ask, caller};
use crate::config::{HostPort, PLAIN};
use crate::exit::{Done, Exit, Failure};
use crate::node::{
    Change, Described, Elsewhere, MemberRole, Members, Reply, Request, WireMode, listed,
};

pub(crate) async fn member(command: MemberCommand) -> Done {
    let at = |at: &Option<HostPort>| at.as_ref().map(|at| at.0.clone());
    let (altering, change) = match &command {
        MemberCommand::List(args) => return list::list(&args.which).await,
        MemberCommand::Add(args) => {
            let role = if args.learner { MemberRole::Learner } else { MemberRole::Voter };
            (&args.altering, Change::Add { node: args.node, address: at(&args.at), role })
        }
        MemberCommand::Promote(args) => (&args.altering, Change::Promote { node: args.node }),
        MemberCommand::Remove(args) => (&args.altering, Change::Remove { node: args.node }),
        MemberCommand::Replace(args) => {
            let (old, new) = (args.old, args.new);
            (&args.altering, Change::Replace { old, new, address: at(&args.at) })
        }
    };
    alter::alter(altering, change).await
}

pub(crate) async fn leader(command: LeaderCommand) -> Done {
    match command {
        LeaderCommand::Show(args) => lead::show(&args.which).await,
        LeaderCommand::Transfer(args) => lead::transfer(&args).await,
    }
}

/// What the commands talk to.
struct Cluster {
    connect: Connect,
    caller: Arc<dyn Caller>,
    /// What a node of it says.
    described: Described,
}

impl Cluster {
    /// Asks the endpoints in turn what the cluster is.
    async fn find(connect: &Connect) -> Result<Self, Failure> {
        let caller = caller(connect)?;
        let mut cause = Cause::NoEndpoint;
        for endpoint in connect.endpoints.iter().map(HostPort::address) {
            match ask(&caller, &endpoint, &Request::Describe, connect.timeout.0).await {
                Ok(Reply::Described(described)) => {
                    return Ok(Self { connect: connect.clone(), caller, described });
                }
                Ok(_) => cause = Cause::Protocol,
                Err(error) => cause = error,
            }
        }
        Err(unreachable(connect, &cause))
    }

    fn operator(&self) -> Operator {
        let endpoints = self.connect.endpoints.iter().map(HostPort::address);
        let known = self.described.groups.iter().flat_map(|group| &group.members);
        let known = known.map(|(_, at)| Address(at.clone()));
        let mut all: Vec<Address> = Vec::new();
        for at in endpoints.chain(known) {
            if !all.contains(&at) {
                all.push(at);
            }
        }
        Operator::new(self.caller.clone(), all)
    }

    /// The groups that are meant: the one that is named, or all.
    fn groups(&self, which: &Which) -> Result<Vec<u64>, Failure> {
        match (self.described.mode, which.group) {
            (WireMode::Plain, None) => Ok(vec![PLAIN.0]),
            (WireMode::Plain, Some(_)) => {
                Err(Failure::usage("a plain cluster has one group, without a number")
                    .hint("leave --group out"))
            }
            (WireMode::Sharded, Some(group)) => Ok(vec![group]),
            (WireMode::Sharded, None) => {
                Ok(self.described.groups.iter().map(|group| group.group).collect())
            }
        }
    }

    /// The one group that is meant.
    fn group(&self, which: &Which) -> Result<u64, Failure> {
        match self.groups(which)?[..] {
            [group] => Ok(group),
            ref groups => Err(Failure::usage("it is not said which group is meant").hint(format!(
                "give --group; the cluster has the groups {}",
                listed(groups.iter().copied())
            ))),
        }
    }

    /// The members of a group, as its leader says.
    async fn members(&self, group: u64) -> Result<Members, Failure> {
        let deadline = Instant::now() + self.connect.timeout.0;
        match self.operator().ask(&Request::Members { group }, deadline).await {
            Ok(Reply::Members(Ok(members))) => Ok(members),
            Ok(Reply::Members(Err(elsewhere))) => Err(no_group(&elsewhere)),
            Ok(_) => Err(unreachable(&self.connect, &Cause::Protocol)),
            Err(cause) => Err(unreachable(&self.connect, &cause)),
        }
    }
}

/// A group in messages.
fn named(group: u64) -> String {
    match group {
        group if group == PLAIN.0 => "the group".to_owned(),
        group => format!("group {group}"),
    }
}

/// Nobody knows of the group.
fn no_group(elsewhere: &Elsewhere) -> Failure {
    Failure::refused(elsewhere.to_string())
        .hint("`shardkv member list` shows the groups and their members")
}

/// Nobody could be asked.
fn unreachable(connect: &Connect, cause: &Cause) -> Failure {
    let endpoints: Vec<_> = connect.endpoints.iter().map(|at| at.0.as_str()).collect();
    let within = connect.timeout;
    Failure::new(Exit::Unreachable, format!("nobody answers within {within}: {cause}")).hint(
        format!(
            "most of the group's nodes must be up; is one at {}? --endpoints gives others",
            endpoints.join(", ")
        ),
    )
}

/// How often it is looked how a change does.
const LOOK: Duration = Duration::from_millis(250);
