//! Requests for a group that is not here, and for none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use kv::rpc::{self, Fault, Hint};
use raft_core::GroupId;
use raft_transport::{Stray, group_address};

use super::book::AddressBook;
use crate::config::{Mode, PLAIN};

/// Sends whoever asks for a group that is not here to a node that has it, to each of them in turn; and refuses what a
/// client of a cluster of the other mode asks.
pub(super) fn stray(mode: Mode, book: Arc<AddressBook>) -> Stray {
    let turn = AtomicUsize::new(0);
    Box::new(move |named| {
        let group = match (mode, named) {
            (Mode::Plain, None) => Some(PLAIN),
            (Mode::Sharded, Some(group)) => Some(group),
            (Mode::Plain, Some(_)) | (Mode::Sharded, None) => None,
        };
        let fault = match group {
            None => Fault::Malformed,
            Some(group) => Fault::NotLeader(hint(&book, group, named, &turn)),
        };
        // A fault is written alike by all services.
        Bytes::from(rpc::reply::<shardkv::Refusal>(&rpc::Answer::Fault(fault), 0))
    })
}

fn hint(
    book: &AddressBook,
    group: GroupId,
    named: Option<GroupId>,
    turn: &AtomicUsize,
) -> Option<Hint> {
    let members = book.members(group);
    let turn = turn.fetch_add(1, Ordering::Relaxed);
    let (node, at) = members.get(turn % members.len().max(1))?;
    let at = named.map_or_else(|| at.clone(), |group| group_address(at, group));
    Some(Hint { node: node.0, address: Some(at.0) })
}
