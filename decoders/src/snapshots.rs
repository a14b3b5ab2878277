//! What must hold of the snapshot of any state machine.

use bytes::Bytes;
use raft_core::{Restore, RestoreError, StateMachine};

/// All of a snapshot.
pub fn taken<M: StateMachine>(machine: &M) -> Bytes {
    let mut source = machine.snapshot();
    let mut bytes = Vec::new();
    while let Some(piece) = source.next_chunk(1 << 16) {
        bytes.extend_from_slice(&piece);
    }
    bytes.into()
}

/// What a snapshot restores, pushed in pieces of `piece` bytes.
///
/// # Errors
///
/// When it is none.
pub fn restored<M: StateMachine>(empty: &M, bytes: &[u8], piece: usize) -> Result<M, RestoreError> {
    let mut restoring: Box<dyn Restore<M>> = empty.restore();
    for piece in bytes.chunks(piece) {
        restoring.push(piece)?;
    }
    restoring.finish()
}

/// A snapshot is the same however it is cut, and what it restores has a snapshot that restores the same. The
/// first byte says how long the pieces are.
pub fn check<M: StateMachine>(empty: &M, input: &[u8]) -> bool {
    let Some((piece, bytes)) = input.split_first() else { return false };
    let pieces = restored(empty, bytes, 1 + usize::from(*piece));
    match restored(empty, bytes, bytes.len().max(1)) {
        Ok(machine) => {
            let first = taken(&machine);
            let pieces = pieces.expect("it depends on the pieces");
            assert_eq!(taken(&pieces), first, "it depends on the pieces");
            let again = restored(empty, &first, 1 << 16).expect("it cannot be restored");
            assert_eq!(taken(&again), first, "it is written otherwise than it was read");
            true
        }
        Err(error) => {
            assert_eq!(pieces.err(), Some(error), "it depends on the pieces");
            false
        }
    }
}
