//! Memberships: of two that follow each other every quorum of one meets every quorum of the other, and at most
//! one is not committed (paper, section 6; thesis, section 4.1); and the one in effect is what a replay of the
//! log gives, also after a restart, a truncation, or a snapshot.

use raft_core::{LogIndex, Membership, NodeId, SnapshotMeta, WriteOp};

use super::Invariant;
use crate::watch::{At, Event, NodeView, View, quorums_intersect};

pub(super) struct MembershipSafety;

impl Invariant for MembershipSafety {
    fn name(&self) -> &'static str {
        "membership-safety"
    }

    fn check(&mut self, at: &At<'_>, view: &View) -> Result<(), String> {
        let Some(node) = view.node(at.node) else { return Ok(()) };
        match &at.event {
            Event::Submitted(WriteOp::Append(entries)) => {
                let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
                    return Ok(());
                };
                changes(node, view, first.id.index, last.id.index)
            }
            Event::SnapshotTaken(meta) => of_snapshot(meta, view),
            Event::Submitted(WriteOp::Receive { meta, .. }) => of_snapshot(meta, view),
            // A log that ends alike is the same log, as far as the core has handed it out.
            Event::Status(status) if status.last == node.submitted.last() => {
                in_effect(at.node, &status.membership, node, view)
            }
            _ => Ok(()),
        }
    }
}

fn changes(node: &NodeView, view: &View, first: LogIndex, last: LogIndex) -> Result<(), String> {
    let log = &node.submitted;
    let mut before = match log.memberships.range(..first).next_back() {
        Some((_, membership)) => membership,
        None => log.snapshot.as_ref().map_or(&view.initial, |meta| &meta.membership),
    };
    for (index, membership) in log.memberships.range(first..=last) {
        if quorums_intersect(before, membership) == Some(false) {
            return Err(format!(
                "quorums of {before:?} and of {membership:?} at {index:?} need not meet"
            ));
        }
        before = membership;
    }
    let uncommitted = log.memberships.range(view.commit.next()..).count();
    match log.memberships.range(first..=last).count() > 0 && uncommitted > 1 {
        true => Err(format!("{uncommitted} memberships are not committed")),
        false => Ok(()),
    }
}

fn of_snapshot(meta: &SnapshotMeta, view: &View) -> Result<(), String> {
    let expected = view.membership_upto(meta.last.index);
    match meta.membership == *expected {
        true => Ok(()),
        false => Err(format!(
            "the snapshot of {:?} has {:?}, and the log {expected:?}",
            meta.last, meta.membership
        )),
    }
}

fn in_effect(id: NodeId, shown: &Membership, node: &NodeView, view: &View) -> Result<(), String> {
    let replayed = node.submitted.membership(&view.initial);
    match shown == replayed {
        true => Ok(()),
        false => Err(format!("{id:?} acts on {shown:?}, and its log says {replayed:?}")),
    }
}
