//! [`KvModel`]: a key/value store with get, put, append, delete and compare-and-set.
//!
//! Stores tell their clients more or less: the log index at which a write took effect, the version of what
//! is read (the index of the write that made it so), the new length after an append. Everything that the
//! model can use is optional, and what is given is checked:
//!
//! - indexes grow in the order in which the operations take effect;
//! - a version is the index of the last write, and a new one for every write;
//! - lengths, and whether a key was there, are as they must be.
//!
//! The more there is of it, the shorter the search. One thing is not checked: that a compare-and-set by a
//! version that no client was ever told, answered with a mismatch that does not say the version, was right
//! about it.

mod describe;
mod state;

use bytes::Bytes;

use crate::checker::{Model, Rank, RankRole};

pub use state::KvState;

/// A key/value store, empty at first. Each key is a part of its own.
///
/// A batch over several keys is recorded as one operation for each, by clients of their own: that they
/// happen at once is not checked. So is a scan.
#[derive(Clone, Copy, Debug, Default)]
pub struct KvModel;

/// What a client asks of a [`KvModel`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct KvInput {
    /// Which key.
    pub key: Bytes,
    /// What to do with it.
    pub op: KvOp,
}

/// What to do with a key.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum KvOp {
    /// Its value.
    Get,
    /// Set it.
    Put(Bytes),
    /// Append to its value; a missing key counts as empty.
    Append(Bytes),
    /// Remove it.
    Delete,
    /// Change it if it is as expected.
    CompareAndSet {
        /// How it must be.
        expect: Expect,
        /// Its new value; `None` removes it.
        then: Option<Bytes>,
    },
}

/// How a [`KvOp::CompareAndSet`] expects its key to be.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Expect {
    /// There is no such key.
    Absent,
    /// It has this value.
    Value(Bytes),
    /// Its last write took effect at this index.
    Version(u64),
}

/// What a client of a [`KvModel`] is told.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum KvOutput {
    /// To a get.
    Got(Got),
    /// To a put, and to a compare-and-set whose key was as expected: it was done.
    Done {
        /// The log index at which it was, if the client was told.
        index: Option<u64>,
    },
    /// To an append: it was done.
    Appended {
        /// The log index at which it was, if the client was told.
        index: Option<u64>,
        /// The value's new length in bytes, if the client was told.
        length: Option<u64>,
    },
    /// To a delete: the key is gone.
    Deleted {
        /// The log index at which it was, if the client was told.
        index: Option<u64>,
        /// Whether it was there, if the client was told.
        existed: Option<bool>,
    },
    /// To a compare-and-set: the key was not as expected, and was left as it was.
    Mismatch {
        /// The log index at which that was decided, if the client was told.
        index: Option<u64>,
        /// How it is.
        current: Current,
    },
}

/// What a get saw.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Got {
    /// There is no such key.
    Missing,
    /// There is no such key, or its value is empty: the store does not tell the one from the other.
    MissingOrEmpty,
    /// A value.
    Found {
        /// The value.
        value: Bytes,
        /// Its version, if the client was told.
        version: Option<u64>,
    },
}

/// How a key is that was not as expected.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Current {
    /// The client was not told.
    Untold,
    /// There is no such key.
    Absent,
    /// It has this version.
    Version(u64),
}

impl Model for KvModel {
    type Input = KvInput;
    type Output = KvOutput;
    type Part = Bytes;
    type State = KvState;

    fn part(&self, input: &KvInput) -> Bytes {
        input.key.clone()
    }

    fn init(&self) -> KvState {
        KvState::default()
    }

    fn step(&self, state: &KvState, input: &KvInput, output: Option<&KvOutput>) -> Option<KvState> {
        match (&input.op, output) {
            (KvOp::Get, Some(KvOutput::Got(got))) => state.get(got),
            (KvOp::Put(value), Some(KvOutput::Done { index })) => state.put(*index, value),
            (KvOp::Put(value), None) => state.put(None, value),
            (KvOp::Append(value), Some(KvOutput::Appended { index, length })) => {
                let fits = length.is_none_or(|length| length == state.len() + value.len() as u64);
                state.append(*index, value).filter(|_| fits)
            }
            (KvOp::Append(value), None) => state.append(None, value),
            (KvOp::Delete, Some(KvOutput::Deleted { index, existed })) => {
                let fits = existed.is_none_or(|existed| existed == state.exists());
                state.remove(*index).filter(|_| fits)
            }
            (KvOp::Delete, None) => state.remove(None),
            (KvOp::CompareAndSet { expect, then }, output) => {
                state.compare_and_set(expect, then.as_ref(), output)
            }
            _ => None,
        }
    }

    fn observes(&self, input: &KvInput, output: Option<&KvOutput>) -> bool {
        input.op == KvOp::Get || matches!(output, Some(KvOutput::Mismatch { .. }))
    }

    /// A mismatch has an index and no rank: what it saw may be seen after it as well.
    fn rank(&self, _: &KvInput, output: &KvOutput) -> Option<Rank> {
        let (version, role) = match output {
            KvOutput::Got(Got::Found { version, .. }) => (*version, RankRole::Read),
            KvOutput::Got(Got::Missing | Got::MissingOrEmpty) | KvOutput::Mismatch { .. } => {
                return None;
            }
            KvOutput::Done { index }
            | KvOutput::Appended { index, .. }
            | KvOutput::Deleted { index, .. } => (*index, RankRole::Write),
        };
        version.map(|version| Rank { version, role })
    }

    fn notices(&self, state: &KvState, input: &KvInput, output: Option<&KvOutput>) -> bool {
        match (&input.op, output) {
            (KvOp::Get, Some(KvOutput::Got(got))) => state.is_start_of(got),
            (KvOp::Append(value), Some(KvOutput::Appended { length, .. })) => {
                length.is_none_or(|length| state.len() + value.len() as u64 <= length)
            }
            (KvOp::Delete, Some(KvOutput::Deleted { existed, .. })) => existed.is_some(),
            (KvOp::CompareAndSet { expect, .. }, output) => state.may_meet(expect, output),
            // They overwrite, or are of unknown outcome themselves.
            _ => false,
        }
    }

    fn state_bytes(&self, state: &KvState) -> usize {
        state.bytes()
    }

    fn describe_part(&self, key: &Bytes) -> String {
        format!("key {}", describe::text(key))
    }

    fn describe_op(&self, input: &KvInput, output: Option<&KvOutput>) -> String {
        format!("{} -> {}", describe::input(input), output.map_or("?".into(), describe::output))
    }

    fn describe_state(&self, state: &KvState) -> String {
        state.describe()
    }
}
