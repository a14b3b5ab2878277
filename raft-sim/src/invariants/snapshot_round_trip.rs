//! A state machine is restored from exactly the bytes that some state machine of the group made: neither its own
//! disk nor the way from another node has changed, cut or mixed them.

use std::collections::BTreeSet;

use raft_core::LogIndex;

use super::Invariant;
use crate::watch::{At, Content, Event, View};

#[derive(Default)]
pub(super) struct SnapshotRoundTrip {
    made: BTreeSet<Content>,
    /// Snapshots up to here may be older than anything that was seen.
    inherited: LogIndex,
}

impl SnapshotRoundTrip {
    /// Forgets those that are older than any snapshot there is.
    fn forget(&mut self, view: &View) {
        let Some((oldest, _)) = view.chains.first_key_value() else { return };
        while self.made.first().is_some_and(|first| first.last.index < *oldest) {
            self.made.pop_first();
        }
    }
}

impl Invariant for SnapshotRoundTrip {
    fn name(&self) -> &'static str {
        "snapshot-round-trip"
    }

    fn check(&mut self, at: &At<'_>, view: &View) -> Result<(), String> {
        match &at.event {
            Event::SnapshotMade(content) => {
                self.made.insert(*content);
                if view.floor > LogIndex::ZERO {
                    self.forget(view);
                }
                Ok(())
            }
            Event::Loaded(persisted) => {
                let found = persisted.snapshot.as_ref().map_or(LogIndex::ZERO, |m| m.last.index);
                if found > view.commit {
                    self.inherited = self.inherited.max(found);
                }
                Ok(())
            }
            Event::Restored(content)
                if content.last.index > self.inherited && !self.made.contains(content) =>
            {
                Err(format!("{:?} restored {content:?}, which nobody has made", at.node))
            }
            _ => Ok(()),
        }
    }
}
