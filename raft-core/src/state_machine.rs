//! The [`StateMachine`] trait: what is replicated.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::Command;

/// A deterministic state machine: equal commands in equal order make equal states and equal outputs.
/// It reads no clock, draws no randomness, and iterates over nothing whose order is random.
///
/// The group's applier owns it and calls `apply` and `restore`; nothing else runs on it meanwhile, except
/// that readers look at it between two batches.
pub trait StateMachine: Send + Sync + Sized + 'static {
    /// What a command answers to its proposer.
    type Output: Send + 'static;

    /// Applies committed commands, in order, each exactly once since the last [`restore`](Self::restore),
    /// and returns one output for each. A command that makes no sense is answered, never a panic.
    fn apply(&mut self, commands: &[Command]) -> Vec<Self::Output>;

    /// An immutable view of the state as it is now. Returns at once (copy on write); the view is written
    /// out elsewhere while commands go on being applied.
    fn snapshot(&self) -> Box<dyn SnapshotSource>;

    /// Something that builds a new state from a snapshot's bytes. The new state replaces the old one when
    /// it is whole, so that nobody sees a part of it.
    fn restore(&self) -> Box<dyn Restore<Self>>;
}

/// The bytes of a view, piece by piece.
pub trait SnapshotSource: Send {
    /// The next bytes, about `max` of them at the most; `None` at the end. Should return within about a
    /// millisecond: other work goes on between two calls.
    fn next_chunk(&mut self, max: usize) -> Option<Bytes>;
}

/// Builds a state from a snapshot's bytes, which arrive split anywhere.
pub trait Restore<S>: Send {
    /// Takes the next bytes.
    fn push(&mut self, data: &[u8]) -> Result<(), RestoreError>;

    /// All bytes were pushed: the state.
    fn finish(self: Box<Self>) -> Result<S, RestoreError>;
}

/// The bytes are not a snapshot of this state machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RestoreError {
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a snapshot of this state machine: {}", self.reason)
    }
}

impl core::error::Error for RestoreError {}

/// A snapshot that fits in memory: for state machines that are small.
pub struct Whole(Option<Bytes>);

impl Whole {
    /// A snapshot of these bytes.
    pub fn source(data: impl Into<Bytes>) -> Box<dyn SnapshotSource> {
        Box::new(Self(Some(data.into())))
    }

    /// Collects a snapshot's bytes and gives them to `build`.
    pub fn restore<S, F>(build: F) -> Box<dyn Restore<S>>
    where
        F: FnOnce(Vec<u8>) -> Result<S, RestoreError> + Send + 'static,
    {
        Box::new(Collect { data: Vec::new(), build })
    }
}

impl SnapshotSource for Whole {
    fn next_chunk(&mut self, max: usize) -> Option<Bytes> {
        let rest = self.0.as_mut().filter(|rest| !rest.is_empty())?;
        Some(rest.split_to(max.min(rest.len())))
    }
}

struct Collect<F> {
    data: Vec<u8>,
    build: F,
}

impl<S, F> Restore<S> for Collect<F>
where
    F: FnOnce(Vec<u8>) -> Result<S, RestoreError> + Send + 'static,
{
    fn push(&mut self, data: &[u8]) -> Result<(), RestoreError> {
        self.data.extend_from_slice(data);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<S, RestoreError> {
        (self.build)(self.data)
    }
}
