//! Operations and what they answer, as a store writes them and as a history does.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use kv::{Expect, Op, OpOutcome};
use raft_core::LogIndex;

use crate::checker::models::{self, Current, KvInput, KvOp, KvOutput};

pub(super) fn input_of(op: &Op<'_>) -> KvInput {
    let copy = Bytes::copy_from_slice;
    let key = copy(op.key());
    let op = match *op {
        Op::Put { value, .. } => KvOp::Put(copy(value)),
        Op::Append { value, .. } => KvOp::Append(copy(value)),
        Op::Delete { .. } => KvOp::Delete,
        Op::CompareAndSet { expect, then, .. } => KvOp::CompareAndSet {
            expect: match expect {
                Expect::Absent => models::Expect::Absent,
                Expect::Value(value) => models::Expect::Value(copy(value)),
                Expect::Version(version) => models::Expect::Version(version.0),
            },
            then: then.map(copy),
        },
    };
    KvInput { key, op }
}

pub(super) fn output_of(index: LogIndex, outcome: OpOutcome) -> KvOutput {
    let index = Some(index.0);
    match outcome {
        OpOutcome::Put | OpOutcome::Swapped => KvOutput::Done { index },
        OpOutcome::Append { length } => KvOutput::Appended { index, length: Some(length) },
        OpOutcome::Delete { existed } => KvOutput::Deleted { index, existed: Some(existed) },
        OpOutcome::Mismatch { current } => {
            let current = current.map_or(Current::Absent, |version| Current::Version(version.0));
            KvOutput::Mismatch { index, current }
        }
    }
}

/// Where an operation was decided, if it was one that writes.
pub(super) fn index_of(output: &KvOutput) -> Option<LogIndex> {
    match output {
        KvOutput::Got(_) => None,
        KvOutput::Done { index }
        | KvOutput::Appended { index, .. }
        | KvOutput::Deleted { index, .. }
        | KvOutput::Mismatch { index, .. } => index.map(LogIndex),
    }
}

/// Whether an operation that was answered so has changed something.
pub(super) fn changed(output: &KvOutput) -> bool {
    match output {
        KvOutput::Got(_) | KvOutput::Mismatch { .. } => false,
        KvOutput::Done { .. } | KvOutput::Appended { .. } => true,
        KvOutput::Deleted { existed, .. } => *existed == Some(true),
    }
}

/// To find equal inputs by.
pub(super) fn hash_of(input: &KvInput) -> u64 {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    hasher.finish()
}
