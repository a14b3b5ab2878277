//! `compacted <= snapshot <= applied <= commit <= last`, in what a node shows of itself; and nothing is durable
//! that is not in the log. Only between the arrival of a snapshot and its restoration is `applied` behind it.

use raft_core::LogIndex;

use super::Invariant;
use crate::watch::{At, Event, View};

pub(super) struct IndexesInOrder;

impl Invariant for IndexesInOrder {
    fn name(&self) -> &'static str {
        "indexes-in-order"
    }

    fn check(&mut self, at: &At<'_>, view: &View) -> Result<(), String> {
        let Event::Status(status) = &at.event else { return Ok(()) };
        let Some(node) = view.node(at.node) else { return Ok(()) };
        let snapshot = status.snapshot.map_or(LogIndex::ZERO, |id| id.index);
        // Given to the store and not restored yet, or not even given to the store.
        let arriving = node.restoring.is_some_and(|index| index >= snapshot)
            || snapshot > node.submitted.snapshot_index();
        let applied = if arriving { status.applied.max(snapshot) } else { status.applied };
        let steps = [
            ("compacted", status.compacted.index, "snapshot", snapshot),
            ("snapshot", snapshot, "applied", applied),
            ("applied", status.applied, "commit", status.commit),
            ("commit", status.commit, "last", status.last.index),
            ("durable", status.durable, "last", status.last.index),
        ];
        match steps.into_iter().find(|(_, low, _, high)| low > high) {
            Some((low, at_low, high, at_high)) => {
                Err(format!("{low} is {at_low:?}, beyond {high}, which is {at_high:?}"))
            }
            None => Ok(()),
        }
    }
}
