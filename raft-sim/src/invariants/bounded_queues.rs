//! Queues stay within their limits: the proposals that wait, and what a leader has appended in its term and not
//! applied.

use raft_core::node::GroupStatus;
use raft_core::{Entry, Role};

use super::Invariant;
use crate::watch::{At, Event, Limits, NodeView, View};

pub(super) struct BoundedQueues;

impl Invariant for BoundedQueues {
    fn name(&self) -> &'static str {
        "bounded-queues"
    }

    fn check(&mut self, at: &At<'_>, view: &View) -> Result<(), String> {
        let (Event::Status(status), Some(limits)) = (&at.event, view.limits) else { return Ok(()) };
        let Some(node) = view.node(at.node) else { return Ok(()) };
        // One proposal is always let in.
        let inbox_max = limits.inbox + limits.command + Entry::OVERHEAD_BYTES;
        if status.inbox_bytes > inbox_max {
            return Err(format!("{} bytes of proposals wait, of {inbox_max}", status.inbox_bytes));
        }
        match status.role {
            Role::Leader => in_flight(status, node, limits),
            _ => Ok(()),
        }
    }
}

fn in_flight(status: &GroupStatus, node: &NodeView, limits: Limits) -> Result<(), String> {
    let unapplied = node.submitted.entries.range(status.applied.next()..);
    let own = unapplied.filter(|(_, print)| print.term == status.term);
    let bytes: u64 = own.map(|(_, print)| u64::from(print.bytes)).sum();
    // The entry that begins the term is appended whatever there is.
    let bytes_max = limits.in_flight + Entry::OVERHEAD_BYTES;
    match bytes > bytes_max {
        true => Err(format!("a leader has {bytes} bytes in flight, of {bytes_max}")),
        false => Ok(()),
    }
}
