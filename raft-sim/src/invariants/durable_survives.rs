//! What a store has said to be durable is there when the node starts again: after a crash it holds that, and of
//! the writes that were under way a prefix.

use super::Invariant;
use crate::watch::{At, DiskModel, Event, ModelOp, NodeView, View};

pub(super) struct DurableSurvives;

impl Invariant for DurableSurvives {
    fn name(&self) -> &'static str {
        "durable-survives"
    }

    fn check(&mut self, at: &At<'_>, view: &View) -> Result<(), String> {
        let (Event::Loaded(persisted), Some(before)) = (&at.event, &view.step.before) else {
            return Ok(());
        };
        let found = DiskModel::from(*persisted);
        // Nothing was seen of the node: the disk has a history of its own.
        if before.durable == DiskModel::default() && before.pending.is_empty() {
            return Ok(());
        }
        explained(before, &found)
    }
}

fn explained(before: &NodeView, found: &DiskModel) -> Result<(), String> {
    let mut expected = before.durable.clone();
    let acknowledged = compare(&expected, found);
    let mut outcome = acknowledged.clone();
    for op in &before.pending {
        if outcome.is_ok() {
            break;
        }
        // A snapshot may be there before the log says so.
        if let ModelOp::Install(meta, _) = op {
            expected.take_snapshot(meta);
            outcome = compare(&expected, found);
        }
        if outcome.is_err() {
            expected.write(op);
            outcome = compare(&expected, found);
        }
    }
    match outcome {
        Ok(()) => Ok(()),
        Err(_) => acknowledged.map_err(|what| {
            let count = before.pending.len();
            format!("{what}; nor is it what any prefix of the {count} writes under way explains")
        }),
    }
}

/// Whether a disk that holds `expected` may be read as `found`. Of snapshots `found` may have a newer one,
/// and of the log it may keep more before the snapshot.
fn compare(expected: &DiskModel, found: &DiskModel) -> Result<(), String> {
    if found.hard_state != expected.hard_state {
        return Err(format!(
            "{:?} was durable, and {:?} is found",
            expected.hard_state, found.hard_state
        ));
    }
    if found.snapshot_index() < expected.snapshot_index() {
        let (old, new) = (expected.snapshot_index(), found.snapshot_index());
        return Err(format!("a snapshot of {old:?} was durable, and one of {new:?} is found"));
    }
    if found.compacted.index > found.snapshot_index() {
        return Err(format!(
            "the log begins after {:?}, and no snapshot has that",
            found.compacted
        ));
    }
    let from = found.compacted.index.next();
    for (index, print) in expected.entries.range(from..) {
        match found.entries.get(index) {
            Some(there) if there == print => {}
            Some(_) => return Err(format!("{index:?} is not the entry that was durable")),
            None => return Err(format!("{index:?} was durable, and is not found")),
        }
    }
    match found.entries.range(expected.last().index.next()..).next() {
        Some((index, _)) => Err(format!("{index:?} is found, and was never to be durable")),
        None => Ok(()),
    }
}
