//! One operation on the table.

use raft_core::LogIndex;

use super::table::{Item, Table};
use crate::blob::Blob;
use crate::limits::{Limits, Refusal};
use crate::op::{Expect, Op, OpOutcome};

/// Does one operation, and tells `changed` what was there before.
pub(super) fn apply<'a>(
    limits: &Limits,
    table: &mut Table,

    version: LogIndex,
    op: &Op<'a>,
    changed: &mut dyn FnMut(&'a [u8], Option<Item>),
) -> Result<OpOutcome, Refusal> {
    match *op {
        Op::Put { key, value } => {
            changed(key, table.put(key, Item { value: value.into(), version }));
            Ok(OpOutcome::Put)
        }
        Op::Append { key, value } => {
            let old = table.get(key).map_or(&[][..], |item| item.value.as_slice());
            let length = old.len() as u64 + value.len() as u64;
            limits.check_value_bytes(length)?;
            let value = table.get(key).map_or(value.into(), |item| item.value.concat(value));
            changed(key, table.put(key, Item { value, version }));
            Ok(OpOutcome::Append { length })
        }
        Op::Delete { key } => {
            let old = table.remove(key);
            let existed = old.is_some();
            changed(key, old);
            Ok(OpOutcome::Delete { existed })
        }
        Op::CompareAndSet { key, expect, then } => {
            let current = table.get(key);
            if !is_met(expect, current) {
                return Ok(OpOutcome::Mismatch { current: current.map(|item| item.version) });
            }
            let old = match then {
                Some(value) => table.put(key, Item { value: Blob::from(value), version }),
                None => table.remove(key),
            };
            changed(key, old);
            Ok(OpOutcome::Swapped)
        }
    }
}

fn is_met(expect: Expect<'_>, current: Option<&Item>) -> bool {
    match (expect, current) {
        (Expect::Absent, current) => current.is_none(),
        (Expect::Value(value), Some(item)) => item.value.as_slice() == value,
        (Expect::Version(version), Some(item)) => item.version == version,
        (Expect::Value(_) | Expect::Version(_), None) => false,
    }
}
