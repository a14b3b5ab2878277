//! What a store holds, against what it may hold.

use std::collections::{BTreeMap, BTreeSet};

use raft_core::{Entry, GroupId, LogId, LogIndex, Persisted};

use super::StorageProperty as Property;
use super::model::{Group, History, Model, Snapshot};
use super::subject::{Flaw, Found, flaw};

/// Which of the candidates a store holds when `done` steps of the history were acknowledged; the first of them is
/// what was acknowledged. If none, then the reason.
pub(super) fn judge(
    found: &Found,
    candidates: &[Model],
    history: &History,
    done: usize,
) -> Result<usize, Flaw> {
    let fits = |candidate: &Model| {
        let holds = |(group, (state, snapshot)): (&GroupId, &(Persisted, Option<Snapshot>))| {
            difference(state, snapshot.as_ref(), &[&candidate.group(*group)], None).is_none()
        };
        found.groups.iter().all(holds)
    };
    if let Some(which) = candidates.iter().position(fits) {
        return judge_list(found, candidates).map(|()| which);
    }
    // Each part by itself: is there something that no candidate has?
    for (group, (state, snapshot)) in &found.groups {
        let groups: Vec<Group> = candidates.iter().map(|model| model.group(*group)).collect();
        let groups: Vec<&Group> = groups.iter().collect();
        let ids = history.submitted(*group, done);
        if let Some(mut flaw) = difference(state, snapshot.as_ref(), &groups, Some(&ids)) {
            flaw.detail = format!("group {group}: {}", flaw.detail);
            return Err(flaw);
        }
    }
    let detail = "each part was submitted, but never all of them were there at once";
    Err(flaw(Property::OrderKept, detail))
}

fn judge_list(found: &Found, candidates: &[Model]) -> Result<(), Flaw> {
    let listed = &found.listed;
    let wrong = |what: String| Err(flaw(Property::GroupsListed, what));
    if !listed.is_sorted_by(|a, b| a < b) {
        return wrong(format!("{listed:?} is not in order"));
    }
    // In any candidate, and in all of them.
    let is_unknown = |group: &&GroupId| {
        let holds = |model: &Model| model.groups.contains_key(group);
        !candidates.iter().any(holds)
    };
    if let Some(group) = listed.iter().find(is_unknown) {
        return wrong(format!("group {group} was never written"));
    }
    let is_missing = |group: &&GroupId| {
        let written = |model: &Model| model.group(**group).is_written();
        candidates.iter().all(written) && !listed.contains(group)
    };
    match candidates[0].groups.keys().find(is_missing) {
        Some(group) => wrong(format!("group {group} is missing")),
        None => Ok(()),
    }
}

/// The first part of a group's state that none of the candidates has.
fn difference(
    state: &Persisted,
    snapshot: Option<&Snapshot>,
    candidates: &[&Group],
    submitted: Option<&BTreeSet<LogId>>,
) -> Option<Flaw> {
    hard_state(state, candidates)
        .or_else(|| snapshots(snapshot, candidates))
        .or_else(|| shape(state))
        .or_else(|| entries(state, candidates, submitted))
}

fn hard_state(state: &Persisted, candidates: &[&Group]) -> Option<Flaw> {
    let found = state.hard_state;
    if candidates.iter().any(|group| group.hard_state == found) {
        return None;
    }
    let acknowledged = candidates[0].hard_state;
    let older = found.term < acknowledged.term
        || (found.term == acknowledged.term && found.voted_for.is_none());
    let property = if older { Property::HardStateKept } else { Property::NothingInvented };
    Some(flaw(property, format!("{found:?}, where {acknowledged:?} was acknowledged")))
}

fn snapshots(found: Option<&Snapshot>, candidates: &[&Group]) -> Option<Flaw> {
    let group = candidates
        .iter()
        .find(|group| group.snapshot.as_ref().map(|(meta, _)| meta) == found.map(|(meta, _)| meta));
    let last = found.map_or(LogId::ZERO, |(meta, _)| meta.last);
    let acknowledged = candidates[0].snapshot_last();
    let Some(group) = group else {
        let lost = last.index < acknowledged.index;
        let property = if lost { Property::SnapshotsKept } else { Property::NothingInvented };
        let detail = format!("the snapshot {found:?}, where {acknowledged} was acknowledged");
        return Some(flaw(property, shortened(detail)));
    };
    let wanted = group.snapshot.as_ref().map(|(_, data)| data);
    let data = found.map(|(_, data)| data);
    (wanted != data).then(|| {
        let len = |data: Option<&bytes::Bytes>| data.map_or(0, |data| data.len());
        let detail = format!(
            "the snapshot at {last} has {} bytes that are not the {} that were written",
            len(data),
            len(wanted)
        );
        flaw(Property::SnapshotsIntact, detail)
    })
}

fn shortened(mut text: String) -> String {
    if let Some((at, _)) = text.char_indices().nth(400) {
        text.truncate(at);
        text.push('…');
    }
    text
}

/// Whether the log begins where it says and has no gaps.
fn shape(state: &Persisted) -> Option<Flaw> {
    let snapshot = state.snapshot.as_ref().map_or(LogId::ZERO, |meta| meta.last);
    let compacted = state.compacted;
    if compacted.index > snapshot.index
        || (compacted.index == snapshot.index && compacted != snapshot)
    {
        let detail = format!("the log begins after {compacted}, and the snapshot is of {snapshot}");
        return Some(flaw(Property::CompactionsCovered, detail));
    }
    let due = (1..).map(|more| LogIndex(compacted.index.0 + more));
    let gap = state.log.iter().zip(due).find(|(entry, due)| entry.id.index != *due);
    if let Some((entry, due)) = gap {
        let detail = format!("entry {} stands in the log where {due} is due", entry.id);
        return Some(flaw(Property::EntriesKept, detail));
    }
    None
}

fn entries(
    state: &Persisted,
    candidates: &[&Group],
    submitted: Option<&BTreeSet<LogId>>,
) -> Option<Flaw> {
    let snapshot = state.snapshot.as_ref().map_or(LogId::ZERO, |meta| meta.last);
    let found: BTreeMap<LogIndex, &Entry> =
        state.log.iter().map(|entry| (entry.id.index, entry)).collect();
    for (index, entry) in &found {
        if !candidates.iter().any(|group| group.log.get(index) == Some(entry)) {
            return Some(unwanted(entry, candidates, submitted));
        }
    }
    // What the snapshot does not cover must be there, unless some candidate has it not.
    let missing = candidates[0].log.range(snapshot.index.next()..).find(|(index, _)| {
        !found.contains_key(index) && candidates.iter().all(|group| group.log.contains_key(index))
    });
    if let Some((_, entry)) = missing {
        return Some(flaw(Property::EntriesKept, format!("entry {} is not there", entry.id)));
    }
    let compacted = state.compacted;
    let before = compacted == snapshot
        || candidates.iter().any(|group| {
            let entry = group.log.get(&compacted.index).map(|entry| entry.id);
            compacted == group.base || entry == Some(compacted)
        });
    (!before).then(|| {
        let detail = format!("the log begins after {}, which was never there", compacted);
        flaw(Property::NothingInvented, detail)
    })
}

/// An entry that no candidate has: altered, or back from the dead, or from nowhere.
fn unwanted(entry: &Entry, candidates: &[&Group], submitted: Option<&BTreeSet<LogId>>) -> Flaw {
    let same_id =
        |group: &&Group| group.log.get(&entry.id.index).is_some_and(|wanted| wanted.id == entry.id);
    if candidates.iter().any(same_id) {
        return flaw(Property::EntriesKept, format!("entry {} is altered", entry.id));
    }
    match submitted.is_some_and(|ids| ids.contains(&entry.id)) {
        true => flaw(Property::TruncationsKept, format!("entry {} is there again", entry.id)),
        false => flaw(Property::NothingInvented, format!("entry {} is there", entry.id)),
    }
}
