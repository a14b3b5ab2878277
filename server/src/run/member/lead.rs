//! `shardkv leader`.

use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::{Cluster, LOOK, named, no_group, unreachable};
use crate::cli::{TransferArgs, Which};
use crate::config::PLAIN;
use crate::exit::{Done, Exit, Failure};
use crate::node::{Members, Reply, Request, TransferRefusal};
use crate::run::print;

#[derive(Serialize)]
struct Told {
    /// None of a plain cluster.
    group: Option<u64>,
    leader: u64,
    address: Option<String>,
    term: u64,
}

pub(super) async fn show(which: &Which) -> Done {
    let cluster = Cluster::find(&which.connect).await?;
    let mut told = Vec::new();
    for group in cluster.groups(which)? {
        told.push(of(group, &cluster.members(group).await?));
    }
    let out = match which.json {
        true => serde_json::to_string(&told).unwrap_or_default() + "\n",
        false => told.iter().map(line).collect(),
    };
    print(out.as_bytes())
}

pub(super) async fn transfer(args: &TransferArgs) -> Done {
    let cluster = Cluster::find(&args.which.connect).await?;
    let group = cluster.group(&args.which)?;
    let deadline = Instant::now() + cluster.connect.timeout.0;
    let mut operator = cluster.operator();
    loop {
        match operator.ask(&Request::Transfer { group, to: args.to }, deadline).await {
            Ok(Reply::Transferred(Ok(()))) => break,
            Ok(Reply::Transferred(Err(TransferRefusal::Elsewhere(elsewhere)))) => {
                return Err(no_group(&elsewhere));
            }
            // What was asked for may be what is under way.
            Ok(Reply::Transferred(Err(TransferRefusal::InProgress { to })))
                if to == args.to && Instant::now() < deadline =>
            {
                sleep(LOOK).await;
            }
            Ok(Reply::Transferred(Err(refusal))) => {
                return Err(Failure::refused(refusal.to_string())
                    .hint("`shardkv member list` shows the voters, and whether they are well"));
            }
            Ok(_) => return Err(unreachable(&cluster.connect, &kv::Cause::Protocol)),
            Err(cause) => {
                return Err(Failure::new(
                    Exit::Unknown,
                    format!("it is not known to be done: {cause}"),
                )
                .hint("`shardkv leader show` shows who leads; to ask again does no harm"));
            }
        }
    }
    let told = of(group, &cluster.members(group).await?);
    let out = match args.which.json {
        true => serde_json::to_string(&told).unwrap_or_default() + "\n",
        false => line(&told),
    };
    print(out.as_bytes())
}

fn of(group: u64, members: &Members) -> Told {
    let leader = members.members.iter().find(|member| member.node == members.leader);
    Told {
        group: Some(group).filter(|group| *group != PLAIN.0),
        leader: members.leader,
        address: leader.and_then(|member| member.address.clone()),
        term: members.term,
    }
}

fn line(told: &Told) -> String {
    let at = told.address.as_deref().unwrap_or("an unknown address");
    let group = named(told.group.unwrap_or(PLAIN.0));
    format!("{group}: node {} at {at} leads, in term {}\n", told.leader, told.term)
}
