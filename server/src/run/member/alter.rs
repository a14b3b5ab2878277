//! A change of the members: asked for until it is done, with lines that say how it does.

use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::list::{behind, standing};
use super::{Cluster, LOOK, named, no_group, unreachable};
use crate::cli::Altering;
use crate::config::PLAIN;
use crate::exit::{Done, Exit, Failure};
use crate::node::{
    Asked, Change, ChangeRefusal, Member, Members, Reply, Request, Standing, listed,
};
use crate::run::print;

/// How long one request waits for the change. It is repeated.
const ATTEMPT: Duration = Duration::from_secs(10);
/// The pause before it is repeated.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Serialize)]
struct Told {
    /// None of a plain cluster.
    group: Option<u64>,
    since: u64,
    voters: Vec<u64>,
    learners: Vec<u64>,
}

pub(super) async fn alter(altering: &Altering, change: Change) -> Done {
    let cluster = Cluster::find(&altering.which.connect).await?;
    let group = cluster.group(&altering.which)?;
    let since = tokio::select! {
        biased;
        outcome = ask(&cluster, group, altering, &change) => outcome?,
        never = watch(&cluster, group, concerned(&change)) => match never {},
    };
    tell(&cluster, group, altering, since).await
}

/// Asks until it is done, or cannot be, or the time is up.
async fn ask(
    cluster: &Cluster,
    group: u64,
    altering: &Altering,
    change: &Change,
) -> Result<u64, Failure> {
    let until = Instant::now() + altering.wait.0;
    let mut operator = cluster.operator();
    let mut expected = altering.expect;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let wait_ms = u32::try_from(left.min(ATTEMPT).as_millis()).unwrap_or(u32::MAX);
        let request = Request::Change(Asked { group, change: change.clone(), expected, wait_ms });
        // A leader that is cut off does not answer, and another one does.
        let deadline = Instant::now() + left.min(ATTEMPT) + cluster.connect.timeout.0;
        let refusal = match operator.ask(&request, deadline).await {
            Ok(Reply::Changed(Ok(since))) => return Ok(since),
            Ok(Reply::Changed(Err(refusal))) => refusal,
            Ok(_) => return Err(unreachable(&cluster.connect, &kv::Cause::Protocol)),
            Err(_) if Instant::now() < until => ChangeRefusal::Deadline,
            Err(cause) => return Err(unknown(&cause.to_string())),
        };
        let goes_on = matches!(
            refusal,
            ChangeRefusal::Deadline | ChangeRefusal::LeadershipLost { .. } | ChangeRefusal::NotNow
        );
        match (goes_on, Instant::now() + PAUSE < until) {
            (false, _) => return Err(refused(&refusal)),
            (true, false) => return Err(unknown(&refusal.to_string())),
            (true, true) => {}
        }
        if refusal != ChangeRefusal::NotNow {
            // What was begun has changed what there is to compare with.
            expected = None;
        }
        sleep(PAUSE).await;
    }
}

fn unknown(why: &str) -> Failure {
    Failure::new(Exit::Unknown, format!("it is not known to be done: {why}")).hint(
        "what was begun does no harm; ask for the same again, and it goes on, or see `shardkv member list`",
    )
}

fn refused(refusal: &ChangeRefusal) -> Failure {
    let cause = refusal.to_string();
    match refusal {
        ChangeRefusal::Elsewhere(elsewhere) => no_group(elsewhere),
        ChangeRefusal::Unreachable { .. } => {
            Failure::new(Exit::Unreachable, format!("{cause}, and nothing was changed"))
                .hint("start it first; --at gives another address")
        }
        ChangeRefusal::TooSlow { .. } => Failure::refused(cause)
            .hint("`shardkv member promote` tries again, with less load perhaps"),
        ChangeRefusal::Overtaken { .. } => {
            Failure::refused(cause).hint("`shardkv member list` shows what they are now")
        }
        _ => Failure::refused(format!("{cause}, and nothing was changed")).hint(remedy(refusal)),
    }
}

fn remedy(refusal: &ChangeRefusal) -> &'static str {
    match refusal {
        ChangeRefusal::Stale { .. } | ChangeRefusal::NoMember { .. } => {
            "`shardkv member list` shows what they are now"
        }
        ChangeRefusal::InProgress { .. } | ChangeRefusal::Busy => {
            "wait until that is done: `shardkv member list` shows it"
        }
        ChangeRefusal::NoAddress { .. } => "--at says where it is",
        ChangeRefusal::OtherNode { .. } => "--at gives another address, or is it another node?",
        ChangeRefusal::OtherLife { .. } => {
            "a node with an empty directory gets its number by `shardkv server --join`"
        }
        ChangeRefusal::NoVoter => "add another voter first",
        ChangeRefusal::NotHosted { .. } => "start that node again, then ask again",
        _ => "try again",
    }
}

/// The nodes whose progress is of interest.
fn concerned(change: &Change) -> Vec<u64> {
    match change {
        Change::Add { node, .. } | Change::Promote { node } | Change::Remove { node } => {
            vec![*node]
        }
        Change::Replace { old, new, .. } => vec![*old, *new],
    }
}

/// Says on stderr how these nodes do, whenever that has changed. Never ends.
async fn watch(cluster: &Cluster, group: u64, nodes: Vec<u64>) -> std::convert::Infallible {
    let mut operator = cluster.operator();
    let mut told = String::new();
    loop {
        sleep(LOOK).await;
        let deadline = Instant::now() + cluster.connect.timeout.0;
        let answer = operator.ask(&Request::Members { group }, deadline).await;
        let Ok(Reply::Members(Ok(members))) = answer else { continue };
        for member in members.members.iter().filter(|member| nodes.contains(&member.node)) {
            let line = progress(member);
            if line != told {
                eprintln!("{line}");
                told = line;
            }
        }
    }
}

fn progress(member: &Member) -> String {
    let mut line = format!("node {}: {}", member.node, standing(member.standing));
    if let Some(progress) = &member.progress {
        line.push_str(&format!(", behind by {}", behind(progress)));
        if let Some((rounds, _)) = progress.rounds {
            line.push_str(&format!(", round {}", rounds + 1));
        }
    }
    line
}

async fn tell(cluster: &Cluster, group: u64, altering: &Altering, since: u64) -> Done {
    // Who led may be gone with the change: whatever can be said of the members is.
    let (since, voters, learners) = match cluster.members(group).await {
        Ok(members) => {
            (members.since, of(&members, Standing::Voter), of(&members, Standing::Learner))
        }
        Err(_) => (since, Vec::new(), Vec::new()),
    };
    let out = match altering.which.json {
        true => {
            let group = Some(group).filter(|group| *group != PLAIN.0);
            let told = Told { group, since, voters, learners };
            serde_json::to_string(&told).unwrap_or_default() + "\n"
        }
        false => {
            let mut line = format!("{}: voters {}", named(group), listed(voters));
            if !learners.is_empty() {
                line.push_str(&format!("; learners {}", listed(learners)));
            }
            format!("{line}; since index {since}\n")
        }
    };
    print(out.as_bytes())
}

fn of(members: &Members, wanted: Standing) -> Vec<u64> {
    let of = members.members.iter().filter(|member| member.standing == wanted);
    of.map(|member| member.node).collect()
}
