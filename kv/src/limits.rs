//! What a request may be at the most, and the typed refusal of what is more.
//!
//! The same checks run three times: in the clerk (nothing is sent), in the server (nothing enters the
//! log), and when a command is applied (so that no version of a client or of a server can break the
//! bounds that the rest of the crate relies on).

use serde::{Deserialize, Serialize};

use crate::op::{Op, Write};

/// The largest limits that can be configured: what the snapshot's reader is prepared for.
pub(crate) const BYTES_MAX: u32 = 64 << 20;

/// The sizes that are allowed. They are part of the replicated state's definition: **every node of a group
/// must have the same**. A key may be empty, and is any bytes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a key. Default 64 KiB.
    pub key_bytes_max: u32,
    /// Bytes of a value, however it came to be so large. Default 1 MiB.
    pub value_bytes_max: u32,
    /// Operations in a batch. Default 128.
    pub batch_ops_max: u32,
    /// Bytes of all keys and values in a batch. Default 2 MiB; below the core's `command_bytes_max`.
    pub batch_bytes_max: u32,
    /// Entries in a page of a scan; a larger wish gets pages of this size. Default 4,096.
    pub scan_entries_max: u32,
    /// Bytes of keys and values in a page of a scan, which has at least one entry. Default 1 MiB.
    pub scan_bytes_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            key_bytes_max: 64 << 10,
            value_bytes_max: 1 << 20,
            batch_ops_max: 128,
            batch_bytes_max: 2 << 20,
            scan_entries_max: 4096,
            scan_bytes_max: 1 << 20,
        }
    }
}

/// Why an operation can never be done as it is. It had no effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The key is too long.
    #[error("the key has {bytes} bytes and may have {bytes_max}")]
    KeyTooLarge {
        /// The key's size.
        bytes: u64,
        /// The limit.
        bytes_max: u32,
    },
    /// The value is too long, or would become so.
    #[error("the value would have {bytes} bytes and may have {bytes_max}")]
    ValueTooLarge {
        /// The value's size.
        bytes: u64,
        /// The limit.
        bytes_max: u32,
    },
    /// The batch has too many operations.
    #[error("the batch has {ops} operations and may have {ops_max}")]
    BatchTooLong {
        /// The number of operations.
        ops: u64,
        /// The limit.
        ops_max: u32,
    },
    /// The batch's keys and values are too long together.
    #[error("the batch has {bytes} bytes of keys and values and may have {bytes_max}")]
    BatchTooLarge {
        /// Their size.
        bytes: u64,
        /// The limit.
        bytes_max: u32,
    },
    /// The command is larger than the group's log takes: its limit is below this crate's.
    #[error("the command has {bytes} bytes and may have {bytes_max}")]
    CommandTooLarge {
        /// The command's size.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
}

impl Limits {
    /// Whether there may be such a key.
    ///
    /// # Errors
    ///
    /// [`Refusal`].
    pub fn check_key(&self, key: &[u8]) -> Result<(), Refusal> {
        let bytes = key.len() as u64;
        match bytes <= u64::from(self.key_bytes_max) {
            true => Ok(()),
            false => Err(Refusal::KeyTooLarge { bytes, bytes_max: self.key_bytes_max }),
        }
    }

    pub(crate) fn check_value_bytes(&self, bytes: u64) -> Result<(), Refusal> {
        match bytes <= u64::from(self.value_bytes_max) {
            true => Ok(()),
            false => Err(Refusal::ValueTooLarge { bytes, bytes_max: self.value_bytes_max }),
        }
    }

    fn check_op(&self, op: &Op<'_>) -> Result<(), Refusal> {
        self.check_key(op.key())?;
        op.values().try_for_each(|value| self.check_value_bytes(value.len() as u64))
    }

    pub(crate) fn check_batch(&self, ops: &[Op<'_>]) -> Result<(), Refusal> {
        let count = ops.len() as u64;
        if count > u64::from(self.batch_ops_max) {
            return Err(Refusal::BatchTooLong { ops: count, ops_max: self.batch_ops_max });
        }
        ops.iter().try_for_each(|op| self.check_op(op))?;
        let sizes =
            ops.iter().map(|op| op.key().len() + op.values().map(<[u8]>::len).sum::<usize>());
        let bytes = sizes.sum::<usize>() as u64;
        match bytes <= u64::from(self.batch_bytes_max) {
            true => Ok(()),
            false => Err(Refusal::BatchTooLarge { bytes, bytes_max: self.batch_bytes_max }),
        }
    }

    /// Whether there may be such a write.
    ///
    /// # Errors
    ///
    /// [`Refusal`].
    pub fn check_write(&self, write: &Write<'_>) -> Result<(), Refusal> {
        match write {
            Write::One(op) => self.check_op(op),
            Write::Batch(ops) => self.check_batch(ops),
        }
    }

    pub(crate) fn are_sane(&self) -> bool {
        let bytes =
            [self.key_bytes_max, self.value_bytes_max, self.batch_bytes_max, self.scan_bytes_max];
        bytes.iter().all(|bytes| *bytes <= BYTES_MAX) && self.batch_ops_max <= 1 << 16
    }
}
