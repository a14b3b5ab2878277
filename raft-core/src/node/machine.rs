//! The state machine of a group, and how far it is.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use crate::{
    Command, GroupId, LogId, Restore, RestoreError, SnapshotReader, StateMachine, Storage,
    StorageError,
};

/// The state machine with the last entry that is applied to it.
pub(super) struct Machine<S> {
    pub(super) state: S,
    /// The last entry whose effect is in `state`.
    pub(super) applied: LogId,
    /// Whether `state` may be looked at.
    pub(super) health: Health,
}

/// Whether a state is what its log says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Health {
    Whole,
    /// A batch is being applied. Seen under the lock only when `apply` has panicked.
    Torn,
}

impl<S: StateMachine> Machine<S> {
    pub(super) fn new(state: S, applied: LogId) -> Self {
        Self { state, applied, health: Health::Whole }
    }

    /// Applies `commands`, whose effects, and those of entries without any, reach up to `last`.
    ///
    /// # Panics
    ///
    /// When the state machine does, or does not give one output for each command: then there is no telling
    /// which output is whose. The node stops.
    pub(super) fn apply(&mut self, commands: &[Command], last: LogId) -> Vec<S::Output> {
        debug_assert!(self.applied.index < last.index);
        let outputs = if commands.is_empty() {
            Vec::new()
        } else {
            self.health = Health::Torn;
            let outputs = self.state.apply(commands);
            assert_eq!(outputs.len(), commands.len(), "one output for each command");
            self.health = Health::Whole;
            outputs
        };
        self.applied = last;
        outputs
    }

    /// Puts a restored state in the place of this one.
    pub(super) fn replace(&mut self, state: S, last: LogId) {
        *self = Self::new(state, last);
    }
}

/// Why a snapshot was not restored.
pub(super) enum LoadError {
    Storage(StorageError),
    Restore(RestoreError),
}

/// Bytes of a snapshot in memory at once while it is restored.
const RESTORE_PIECE_BYTES: usize = 256 << 10;

/// The state of the newest durable snapshot of `group`, and its last entry; `None` when there is none.
/// `restore` makes what builds the state.
pub(super) async fn load_snapshot<S: StateMachine>(
    storage: &dyn Storage,
    group: GroupId,
    restore: impl FnOnce() -> Box<dyn Restore<S>>,
) -> Result<Option<(S, LogId)>, LoadError> {
    let Some(mut reader) = storage.open_snapshot(group).await.map_err(LoadError::Storage)? else {
        return Ok(None);
    };
    let last = reader.meta().last;
    let mut restore = restore();
    let mut offset = 0;
    while offset < reader.total() {
        let piece = read_piece(&mut *reader, offset).await?;
        offset += piece.len() as u64;
        restore.push(&piece).map_err(LoadError::Restore)?;
        tokio::task::yield_now().await;
    }
    let state = restore.finish().map_err(LoadError::Restore)?;
    Ok(Some((state, last)))
}

/// The next bytes; never none, or a store that gives too little would be asked for ever.
async fn read_piece(
    reader: &mut dyn SnapshotReader,
    offset: u64,
) -> Result<bytes::Bytes, LoadError> {
    let piece = reader.read(offset, RESTORE_PIECE_BYTES).await.map_err(LoadError::Storage)?;
    if piece.is_empty() {
        let reason = format!("the snapshot ends at {offset} of {} bytes", reader.total());
        return Err(LoadError::Restore(RestoreError { reason }));
    }
    Ok(piece)
}
