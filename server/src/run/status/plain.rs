//! The status of a plain cluster: what each node says of itself.

use kv::NodeStatus;
use raft_core::{Address, LogId, NodeId, Role};
use serde::Serialize;
use tokio::task::JoinSet;

use super::{size, table as columns};
use crate::cli::StatusArgs;
use crate::client::{other_mode, plain};
use crate::config::HostPort;
use crate::exit::{Done, Exit, Failure};
use crate::run::print;

/// An endpoint's row.
#[derive(Serialize)]
struct Row {
    endpoint: String,
    reachable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten)]
    seen: Option<Seen>,
}

#[derive(Serialize)]
struct Seen {
    role: &'static str,
    term: u64,
    leader: Option<u64>,
    commit: u64,
    applied: u64,
    last: u64,
    durable: u64,
    /// Entries that the furthest node asked has committed and this one has not applied.
    lag: u64,
    keys: u64,
    sessions: u64,
    /// In hexadecimal: JSON's numbers do not reach so far.
    digest: String,
    log_bytes: u64,
    snapshot: Option<u64>,
}

pub(super) async fn status(args: StatusArgs) -> Done {
    let clerk = plain(&args.connect, 64)?;
    let mut asking = JoinSet::new();
    for (place, endpoint) in args.connect.endpoints.iter().map(HostPort::address).enumerate() {
        let clerk = clerk.clone();
        asking.spawn(async move { (place, clerk.status(&endpoint).await, endpoint) });
    }
    let mut answers = asking.join_all().await;
    answers.sort_by_key(|(place, ..)| *place);
    let furthest =
        answers.iter().filter_map(|(_, answer, _)| Some(answer.as_ref().ok()?.commit.0)).max();
    let rows: Vec<Row> = answers
        .into_iter()
        .map(|(_, answer, endpoint)| row(endpoint, answer, furthest.unwrap_or(0)))
        .collect();
    let text = match args.json {
        true => serde_json::to_string(&rows).unwrap_or_default() + "\n",
        false => table(&rows),
    };
    print(text.as_bytes())?;
    match rows.iter().any(|row| row.reachable) {
        true => Ok(()),
        false if rows.iter().any(|row| row.error == Some(kv::Cause::Protocol.to_string())) => {
            Err(Failure::new(Exit::Unreachable, "no node understands what it is asked")
                .hint(other_mode(&args.connect)))
        }
        false => Err(Failure::new(Exit::Unreachable, "no node answers")
            .hint("give the cluster's addresses with --endpoints")),
    }
}

fn row(endpoint: Address, answer: Result<NodeStatus, kv::ClerkError>, furthest: u64) -> Row {
    let index = |id: LogId| id.index.0;
    match answer {
        Err(error) => Row {
            endpoint: endpoint.0,
            reachable: false,
            error: Some(match error {
                kv::ClerkError::NotDone(cause) => cause.to_string(),
                error => error.to_string(),
            }),
            seen: None,
        },
        Ok(status) => Row {
            endpoint: endpoint.0,
            reachable: true,
            error: None,
            seen: Some(Seen {
                role: role(status.role),
                term: status.term.0,
                leader: status.leader.map(|NodeId(id)| id),
                commit: status.commit.0,
                applied: index(status.applied),
                last: index(status.last),
                durable: status.durable.0,
                lag: furthest.saturating_sub(index(status.applied)),
                keys: status.keys,
                sessions: status.sessions,
                digest: format!("{:016x}", status.digest),
                log_bytes: status.log_bytes,
                snapshot: status.snapshot.map(index),
            }),
        },
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Follower => "follower",
        Role::PreCandidate => "pre-candidate",
        Role::Candidate => "candidate",
        Role::Leader => "leader",
    }
}

const HEADS: [&str; 13] = [
    "endpoint", "role", "term", "leader", "commit", "applied", "last", "lag", "keys", "sessions",
    "digest", "log", "snapshot",
];

fn table(rows: &[Row]) -> String {
    let mut cells = vec![HEADS.map(str::to_owned).to_vec()];
    for row in rows {
        cells.push(match &row.seen {
            None => vec![row.endpoint.clone(), row.error.clone().unwrap_or_default()],
            Some(seen) => cells_of(&row.endpoint, seen),
        });
    }
    columns(cells)
}

fn cells_of(endpoint: &str, seen: &Seen) -> Vec<String> {
    let or_dash = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    vec![
        endpoint.to_owned(),
        seen.role.to_owned(),
        seen.term.to_string(),
        or_dash(seen.leader),
        seen.commit.to_string(),
        seen.applied.to_string(),
        seen.last.to_string(),
        seen.lag.to_string(),
        seen.keys.to_string(),
        seen.sessions.to_string(),
        seen.digest.clone(),
        size(seen.log_bytes),
        or_dash(seen.snapshot),
    ]
}
