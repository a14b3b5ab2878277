//! Conformance kits: whether somebody's [`Storage`](raft_core::Storage) or
//! [`Transport`](raft_core::Transport) keeps what a node relies on.
//!
//! A kit is given a way to open the thing, drives it through everything that the trait's contract speaks of, and
//! returns what it did, or the first [`Violation`]: which property does not hold, in which step, under which
//! seed. The same seed does the same again.

use std::fmt;

mod clock;
mod storage;
mod transport;

pub use clock::Clock;
pub use storage::{StorageKit, StorageProperty, StorageReport, storage};
pub use transport::{
    Endpoints, LinkControl, LinkState, TransportKit, TransportProperty, TransportReport, transport,
};

/// A property that does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation<P> {
    /// The property.
    pub property: P,
    /// What was being done.
    pub step: String,
    /// The seed of the run.
    pub seed: u64,
    /// What was found, and what should have been.
    pub detail: String,
}

impl<P: fmt::Display> fmt::Display for Violation<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { property, step, seed, detail } = self;
        write!(f, "{property}\n  step: {step}\n  seed: {seed}\n  found: {detail}")
    }
}

impl<P: fmt::Display + fmt::Debug> std::error::Error for Violation<P> {}
