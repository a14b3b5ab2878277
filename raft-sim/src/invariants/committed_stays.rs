//! A committed entry is never removed from a log that has it, but by compaction; and a snapshot is of committed
//! entries only (paper, sections 5.3 and 7).

use raft_core::{LogId, SnapshotMeta, WriteOp};

use super::Invariant;
use crate::watch::{At, Event, View};

pub(super) struct CommittedStays;

impl Invariant for CommittedStays {
    fn name(&self) -> &'static str {
        "committed-stays"
    }

    fn check(&mut self, at: &At<'_>, view: &View) -> Result<(), String> {
        match &at.event {
            Event::SnapshotTaken(meta) => committed(meta, view)?,
            Event::Submitted(WriteOp::Receive { meta, .. }) => committed(meta, view)?,
            _ => {}
        }
        let Some(node) = view.node(at.node) else { return Ok(()) };
        let lost = view.step.removed.iter().find(|(index, print)| {
            view.committed.get(index) == Some(print)
                && node.submitted.entries.get(index) != Some(print)
        });
        match lost {
            Some((index, print)) => {
                let id = LogId::new(print.term, *index);
                Err(format!("{:?} removed {id:?}, which is committed", at.node))
            }
            None => Ok(()),
        }
    }
}

fn committed(meta: &SnapshotMeta, view: &View) -> Result<(), String> {
    let claimed = view.step.claim.map_or(view.commit, |claim| claim.index);
    if meta.last.index > claimed {
        return Err(format!("the snapshot of {:?} is of entries nobody has committed", meta.last));
    }
    match view.committed.get(&meta.last.index) {
        Some(print) if print.term != meta.last.term => Err(format!(
            "the snapshot ends with {:?}, and the entry that is committed there is of {:?}",
            meta.last, print.term
        )),
        _ => Ok(()),
    }
}
