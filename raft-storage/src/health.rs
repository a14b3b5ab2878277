//! One failure stops the store.

use std::sync::{Mutex, PoisonError};

use raft_core::StorageError;

/// Whether the store still works. After a failed write or sync nobody knows what is on the disk, and a second
/// sync may be called a success although the data is gone: so there is no second one.
#[derive(Default)]
pub(crate) struct Health(Mutex<Option<String>>);

impl Health {
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(reason) => Err(StorageError::Failed { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Notes the failure; the first one stays.
    pub(crate) fn fail(&self, reason: &dyn std::fmt::Display) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| reason.to_string());
    }
}
