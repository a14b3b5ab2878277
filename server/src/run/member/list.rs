//! `shardkv member list`.

use serde::Serialize;

use super::{Cluster, named};
use crate::cli::Which;
use crate::exit::Done;
use crate::node::{Copying, Member, Members, Progress, Standing};
use crate::run::print;
use crate::run::status::{size, table};

#[derive(Serialize)]
struct Told {
    /// None of a plain cluster.
    group: Option<u64>,
    leader: u64,
    term: u64,
    since: u64,
    settled: bool,
    members: Vec<ToldMember>,
}

#[derive(Serialize)]
struct ToldMember {
    node: u64,
    address: Option<String>,
    standing: &'static str,
    matched: Option<u64>,
    pending_entries: Option<u64>,
    pending_bytes: Option<u64>,
    copying: &'static str,
    caught_up: Option<bool>,
}

pub(super) async fn list(which: &Which) -> Done {
    let cluster = Cluster::find(&which.connect).await?;
    let mut all = Vec::new();
    for group in cluster.groups(which)? {
        all.push((group, cluster.members(group).await?));
    }
    let out = match which.json {
        true => {
            let told: Vec<Told> =
                all.iter().map(|(group, members)| told(*group, members)).collect();
            serde_json::to_string(&told).unwrap_or_default() + "\n"
        }
        false => {
            let shown: Vec<_> = all.iter().map(|(group, members)| text(*group, members)).collect();
            shown.join("\n")
        }
    };
    print(out.as_bytes())
}

fn told(group: u64, members: &Members) -> Told {
    let member = |member: &Member| {
        let progress = member.progress.as_ref();
        ToldMember {
            node: member.node,
            address: member.address.clone(),
            standing: standing(member.standing),
            matched: progress.map(|it| it.matched),
            pending_entries: progress.map(|it| it.pending_entries),
            pending_bytes: progress.map(|it| it.pending_bytes),
            copying: progress.map_or("leader", |it| copying(it.copying)),
            caught_up: progress.and_then(|it| it.rounds).map(|(_, is_done)| is_done),
        }
    };
    Told {
        group: Some(group).filter(|group| *group != crate::config::PLAIN.0),
        leader: members.leader,
        term: members.term,
        since: members.since,
        settled: members.is_settled,
        members: members.members.iter().map(member).collect(),
    }
}

fn text(group: u64, members: &Members) -> String {
    let change = if members.is_settled { "" } else { ", and a change is under way" };
    let mut out = format!(
        "{}: node {} leads in term {}; members since index {}{change}\n",
        named(group),
        members.leader,
        members.term,
        members.since
    );
    let heads = ["node", "address", "standing", "matched", "behind", "copying"];
    let mut cells = vec![heads.map(str::to_owned).to_vec()];
    for member in &members.members {
        let (matched, behind, how) = match &member.progress {
            None => ("-".to_owned(), "-".to_owned(), "leader".to_owned()),
            Some(progress) => (progress.matched.to_string(), behind(progress), how(progress)),
        };
        cells.push(vec![
            member.node.to_string(),
            member.address.clone().unwrap_or("unknown".to_owned()),
            standing(member.standing).to_owned(),
            matched,
            behind,
            how,
        ]);
    }
    out.push_str(&table(cells));
    out
}

/// What a member lacks.
pub(super) fn behind(progress: &Progress) -> String {
    match progress.pending_entries {
        0 => "nothing".to_owned(),
        entries => format!("{entries} entries, {}", size(progress.pending_bytes)),
    }
}

fn how(progress: &Progress) -> String {
    match progress.copying {
        Copying::Snapshot { offset } => format!("snapshot, {} so far", size(offset)),
        other => copying(other).to_owned(),
    }
}

fn copying(copying: Copying) -> &'static str {
    match copying {
        Copying::Probe => "probe",
        Copying::Replicate => "replicate",
        Copying::Snapshot { .. } => "snapshot",
    }
}

pub(super) fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Voter => "voter",
        Standing::Learner => "learner",
        Standing::Coming => "coming",
        Standing::Leaving => "leaving",
    }
}
