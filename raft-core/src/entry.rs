//! Log entries.

use alloc::boxed::Box;

use bytes::Bytes;

use crate::{LogId, Membership};

/// One entry of the replicated log.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Entry {
    /// Where it stands and in which term it was proposed.
    pub id: LogId,
    /// What it says.
    pub payload: Payload,
}

/// What an entry says.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Payload {
    /// Nothing: the entry with which a leader begins its term, so that it may commit what is before it
    /// (paper, sections 5.4.2 and 8).
    Noop,
    /// A command of the state machine, opaque to Raft.
    Command(Bytes),
    /// A new membership of the group, in effect from the moment the entry is in the log (section 6).
    Membership(Box<Membership>),
}

impl Entry {
    /// What an entry costs besides its command, in bytes: counted in every limit, so that a flood of
    /// empty commands is bounded too.
    pub const OVERHEAD_BYTES: u64 = 64;

    /// What this entry counts for in limits: its command and [`Self::OVERHEAD_BYTES`].
    pub fn bytes(&self) -> u64 {
        Self::OVERHEAD_BYTES
            + match &self.payload {
                Payload::Noop => 0,
                Payload::Command(command) => command.len() as u64,
                Payload::Membership(membership) => membership.bytes(),
            }
    }
}
