//! What entries and states are known by: small values that are equal when the things are.

use raft_core::{Entry, LogId, Payload, Term};

use crate::world::digest;

/// What an entry is: its term, what it carries, and a hash of that.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Print {
    /// Its term.
    pub term: Term,
    /// What it carries.
    pub carries: Carries,
    /// What it counts for in limits.
    pub bytes: u32,
    /// A hash of what it carries.
    pub digest: u64,
}

/// What an entry carries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Carries {
    /// Nothing.
    Nothing,
    /// A command of the state machine.
    Command,
    /// A membership.
    Membership,
}

impl Print {
    /// Of an entry.
    pub fn of(entry: &Entry) -> Self {
        let (carries, digest) = match &entry.payload {
            Payload::Noop => (Carries::Nothing, 0),
            Payload::Command(command) => (Carries::Command, digest(command)),
            Payload::Membership(membership) => {
                (Carries::Membership, digest(format!("{membership:?}").as_bytes()))
            }
        };
        let bytes = u32::try_from(entry.bytes()).unwrap_or(u32::MAX);
        Self { term: entry.id.term, carries, bytes, digest }
    }

    /// Of a command that stands in the log at `id`.
    pub fn of_command(id: LogId, data: &[u8]) -> Self {
        let bytes = Entry::OVERHEAD_BYTES + data.len() as u64;
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        Self { term: id.term, carries: Carries::Command, bytes, digest: digest(data) }
    }
}

/// A hash over all commands up to one, in order: two state machines with equal chains were given the same.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Chain(pub u64);

impl Chain {
    /// With one more command.
    pub fn then(self, id: LogId, data: &[u8]) -> Self {
        self.then_digest(id, digest(data))
    }

    /// With one more command, of which the hash is known.
    pub(super) fn then_digest(self, id: LogId, digest_of_data: u64) -> Self {
        let mut bytes = [0; 32];
        let numbers = [self.0, id.index.0, id.term.0, digest_of_data];
        for (to, from) in bytes.chunks_mut(8).zip(numbers) {
            to.copy_from_slice(&from.to_le_bytes());
        }
        Self(digest(&bytes))
    }
}

/// What a snapshot of a watched machine is: as it was made, or as it was restored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Content {
    /// The last command in it.
    pub last: LogId,
    /// The commands up to that.
    pub chain: Chain,
    /// Its size.
    pub bytes: u64,
    /// CRC-32 of all its bytes.
    pub checksum: u32,
}
