//! A state machine, seen.

use bytes::Bytes;
use raft_core::{
    Command, GroupId, LogId, LogIndex, NodeId, Restore, RestoreError, SnapshotSource, StateMachine,
    Term,
};

use super::{At, Chain, Content, Event, Watch};
use crate::world::Fate;

/// What a snapshot of a watched machine begins with: the last command's term and index, and the chain.
pub const SNAPSHOT_PREFIX_BYTES: usize = 24;

/// A [`StateMachine`] that is seen being given commands, and whose snapshots tell what they are of.
pub struct WatchedMachine<S> {
    seen: Seen,
    last: LogId,
    chain: Chain,
    machine: S,
}

#[derive(Clone)]
struct Seen {
    watch: Watch,
    node: NodeId,
    group: GroupId,
    fate: Fate,
}

impl Seen {
    fn event(&self, event: Event<'_>) {
        if self.fate.is_alive() {
            self.watch.event(self.group, &At { node: self.node, event });
        }
    }
}

impl<S: StateMachine> WatchedMachine<S> {
    pub(super) fn new(watch: Watch, node: NodeId, group: GroupId, fate: Fate, machine: S) -> Self {
        let seen = Seen { watch, node, group, fate };
        Self { seen, last: LogId::ZERO, chain: Chain::default(), machine }
    }

    /// The state machine itself.
    pub fn inner(&self) -> &S {
        &self.machine
    }

    /// The hash of all commands it was given.
    pub fn chain(&self) -> Chain {
        self.chain
    }
}

impl<S> AsRef<S> for WatchedMachine<S> {
    fn as_ref(&self) -> &S {
        &self.machine
    }
}

impl<S: StateMachine> StateMachine for WatchedMachine<S> {
    type Output = S::Output;

    fn apply(&mut self, commands: &[Command]) -> Vec<S::Output> {
        for command in commands {
            self.seen.event(Event::Applied(command));
            self.chain = self.chain.then(command.id, &command.data);
            self.last = command.id;
        }
        self.machine.apply(commands)
    }

    fn snapshot(&self) -> Box<dyn SnapshotSource> {
        let mut prefix = [0; SNAPSHOT_PREFIX_BYTES];
        let numbers = [self.last.term.0, self.last.index.0, self.chain.0];
        for (to, number) in prefix.chunks_mut(8).zip(numbers) {
            to.copy_from_slice(&number.to_le_bytes());
        }
        let prefix = Bytes::copy_from_slice(&prefix);
        let (seen, rest) = (self.seen.clone(), self.machine.snapshot());
        let (last, chain) = (self.last, self.chain);
        Box::new(Source {
            seen,
            prefix,
            rest,
            last,
            chain,
            all: crc32fast::Hasher::new(),
            bytes: 0,
        })
    }

    fn restore(&self) -> Box<dyn Restore<Self>> {
        let (seen, rest) = (self.seen.clone(), self.machine.restore());
        let (prefix, all) = (Vec::new(), crc32fast::Hasher::new());
        Box::new(Restoring { seen, prefix, rest, all, bytes: 0 })
    }
}

struct Source {
    seen: Seen,
    prefix: Bytes,
    rest: Box<dyn SnapshotSource>,
    last: LogId,
    chain: Chain,
    /// Of all bytes so far.
    all: crc32fast::Hasher,
    bytes: u64,
}

impl SnapshotSource for Source {
    fn next_chunk(&mut self, max: usize) -> Option<Bytes> {
        let chunk = match self.prefix.is_empty() {
            true => self.rest.next_chunk(max),
            false => Some(self.prefix.split_to(max.clamp(1, self.prefix.len()))),
        };
        match &chunk {
            Some(data) => {
                self.all.update(data);
                self.bytes += data.len() as u64;
            }
            None => {
                let (checksum, bytes) = (self.all.clone().finalize(), self.bytes);
                let content = Content { last: self.last, chain: self.chain, bytes, checksum };
                self.seen.event(Event::SnapshotMade(content));
            }
        }
        chunk
    }
}

struct Restoring<S> {
    seen: Seen,
    prefix: Vec<u8>,
    rest: Box<dyn Restore<S>>,
    /// Of all bytes so far.
    all: crc32fast::Hasher,
    bytes: u64,
}

impl<S: StateMachine> Restore<WatchedMachine<S>> for Restoring<S> {
    fn push(&mut self, data: &[u8]) -> Result<(), RestoreError> {
        self.all.update(data);
        self.bytes += data.len() as u64;
        let (prefix, rest) =
            data.split_at(data.len().min(SNAPSHOT_PREFIX_BYTES - self.prefix.len()));
        self.prefix.extend_from_slice(prefix);
        if rest.is_empty() { Ok(()) } else { self.rest.push(rest) }
    }

    fn finish(self: Box<Self>) -> Result<WatchedMachine<S>, RestoreError> {
        let mut numbers = self
            .prefix
            .chunks_exact(8)
            .map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()));
        let short = || RestoreError { reason: "it ends within the prefix".to_owned() };
        let mut number = || numbers.next().ok_or_else(short);
        let last = LogId::new(Term(number()?), LogIndex(number()?));
        let chain = Chain(number()?);
        let machine = self.rest.finish()?;
        let (checksum, bytes) = (self.all.finalize(), self.bytes);
        self.seen.event(Event::Restored(Content { last, chain, bytes, checksum }));
        Ok(WatchedMachine { seen: self.seen, last, chain, machine })
    }
}
