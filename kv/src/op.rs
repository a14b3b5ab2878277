//! The operations that write, and what each of them answers.
//!
//! The order of the variants and of their fields is the wire format (see [`crate::codec`]): append new
//! variants, change none.

use raft_core::LogIndex;
use serde::{Deserialize, Serialize};

use crate::codec::{index, optional_index, optional_slice, slice};
use crate::limits::Refusal;

/// One change of one key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Op<'a> {
    /// Sets the key's value.
    Put {
        /// The key.
        #[serde(borrow, with = "slice")]
        key: &'a [u8],
        /// Its new value.
        #[serde(borrow, with = "slice")]
        value: &'a [u8],
    },
    /// Appends to the key's value; a missing key counts as empty.
    Append {
        /// The key.
        #[serde(borrow, with = "slice")]
        key: &'a [u8],
        /// What to append.
        #[serde(borrow, with = "slice")]
        value: &'a [u8],
    },
    /// Removes the key.
    Delete {
        /// The key.
        #[serde(borrow, with = "slice")]
        key: &'a [u8],
    },
    /// Changes the key if it is as expected.
    CompareAndSet {
        /// The key.
        #[serde(borrow, with = "slice")]
        key: &'a [u8],
        /// How the key must be.
        #[serde(borrow)]
        expect: Expect<'a>,
        /// Its new value; `None` removes it.
        #[serde(borrow, with = "optional_slice")]
        then: Option<&'a [u8]>,
    },
}

/// How a [`CompareAndSet`](Op::CompareAndSet) expects its key to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Expect<'a> {
    /// There is no such key.
    Absent,
    /// It has this value.
    Value(#[serde(borrow, with = "slice")] &'a [u8]),
    /// Its last write took effect at this index. Unlike a value, a version never comes back.
    Version(#[serde(with = "index")] LogIndex),
}

impl<'a> Op<'a> {
    /// The key.
    pub fn key(&self) -> &'a [u8] {
        match *self {
            Self::Put { key, .. }
            | Self::Append { key, .. }
            | Self::Delete { key }
            | Self::CompareAndSet { key, .. } => key,
        }
    }

    /// Every value that stands in the operation.
    pub(crate) fn values(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (first, second) = match *self {
            Self::Put { value, .. } | Self::Append { value, .. } => (Some(value), None),
            Self::Delete { .. } => (None, None),
            Self::CompareAndSet { expect: Expect::Value(value), then, .. } => (Some(value), then),
            Self::CompareAndSet { then, .. } => (None, then),
        };
        first.into_iter().chain(second)
    }
}

/// What a write request asks for. Batches do not nest, so that no bytes from outside can recurse.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Write<'a> {
    /// One operation.
    One(#[serde(borrow)] Op<'a>),
    /// All of them, or none.
    Batch(#[serde(borrow)] Vec<Op<'a>>),
}

impl<'a> Write<'a> {
    /// What it does, in order.
    pub fn ops(&self) -> &[Op<'a>] {
        match self {
            Self::One(op) => std::slice::from_ref(op),
            Self::Batch(ops) => ops,
        }
    }

    /// Bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        let sizes = self
            .ops()
            .iter()
            .map(|op| op.key().len() + op.values().map(<[u8]>::len).sum::<usize>());
        sizes.sum()
    }
}

/// What one operation did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum OpOutcome {
    /// The value was set.
    Put,
    /// The value was appended to.
    Append {
        /// Its new length in bytes.
        length: u64,
    },
    /// The key is gone.
    Delete {
        /// Whether it was there.
        existed: bool,
    },
    /// The key was as expected, and was changed.
    Swapped,
    /// The key was not as expected, and was left as it was.
    Mismatch {
        /// The key's version, or `None` when there is no such key.
        #[serde(with = "optional_index")]
        current: Option<LogIndex>,
    },
}

/// What a command did. This is what is kept for a retry, so it holds no values.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// The session was opened; its id is the reply's index.
    SessionOpened,
    /// The operation was done.
    One(OpOutcome),
    /// Every operation of the batch was done: one outcome for each.
    Batch(Box<[OpOutcome]>),
    /// An expectation in the batch did not hold: nothing was done.
    BatchMismatch {
        /// Which operation, counted from zero.
        op: u32,
        /// Its key's version, or `None` when there is no such key.
        #[serde(with = "optional_index")]
        current: Option<LogIndex>,
    },
    /// The state does not allow it: nothing was done.
    Refused(Refusal),
}

/// The answer to a command that took its turn, the first time and every time that it is repeated.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// The log index at which the command took effect.
    #[serde(with = "index")]
    pub index: LogIndex,
    /// What it did.
    pub outcome: Outcome,
}

/// Why a command had no turn. Nothing was done now; only [`StaleSequence`](Self::StaleSequence) says that
/// it may have been done before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
pub enum CommandError {
    /// The bytes are no command of a version that is known here.
    #[error("malformed or unknown command")]
    Malformed,
    /// There is no such session: it has expired, or never was.
    #[error("the session has expired")]
    SessionExpired,
    /// The client has said already that it has the reply to this request.
    #[error("the sequence number was acknowledged before")]
    StaleSequence,
    /// More requests of the session are unacknowledged than may be.
    #[error("more than {window} requests of one session are unacknowledged")]
    SessionWindow {
        /// The limit, [`SESSION_WINDOW`](crate::SESSION_WINDOW).
        window: u16,
    },
}

/// What the [`Store`](crate::Store) answers to a command.
pub type Output = Result<Reply, CommandError>;
