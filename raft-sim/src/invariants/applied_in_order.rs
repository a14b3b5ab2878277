//! Commands are applied in the order of the log, without a gap and without a repetition, across snapshots and
//! restarts.

use raft_core::LogIndex;

use super::Invariant;
use crate::watch::{At, Carries, Event, NodeView, View};

pub(super) struct AppliedInOrder;

impl Invariant for AppliedInOrder {
    fn name(&self) -> &'static str {
        "applied-in-order"
    }

    fn check(&mut self, at: &At<'_>, view: &View) -> Result<(), String> {
        let Some(node) = view.node(at.node) else { return Ok(()) };
        let last = node.applied.0;
        match &at.event {
            Event::Applied(command) if command.id.index <= last.index => {
                Err(format!("{:?} is applied after {last:?}", command.id))
            }
            Event::Applied(command) => match skipped(node, view, command.id.index) {
                Some(index) => {
                    Err(format!("{:?} is applied after {last:?}, without {index:?}", command.id))
                }
                None => Ok(()),
            },
            Event::Restored(content) if content.last.index < last.index => {
                Err(format!("a snapshot of {:?} is restored after {last:?}", content.last))
            }
            _ => Ok(()),
        }
    }
}

/// A command between the last that the node has applied and the one before `index`.
fn skipped(node: &NodeView, view: &View, index: LogIndex) -> Option<LogIndex> {
    let after = node.applied.0.index.next();
    if after >= index {
        return None;
    }
    let committed = view.committed.range(after..index);
    // When nobody has shown them to be committed yet, they are in the log that they are applied from.
    let own =
        node.submitted.entries.range(after.max(view.commit.next())..index.max(view.commit.next()));
    let mut all = committed.chain(own);
    all.find(|(_, print)| print.carries == Carries::Command).map(|(index, _)| *index)
}
