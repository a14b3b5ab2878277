//! How much nodes keep.

use raft_core::StateMachine;

use super::Cluster;
use super::member::GROUP;

impl<S: StateMachine> Cluster<S> {
    /// Bytes of the entries in the log of a node that runs, as [`Entry::bytes`](raft_core::Entry::bytes) counts
    /// them: more than what they take on the disk, but without what the files have beyond it.
    pub fn log_bytes(&self, at: usize) -> Option<u64> {
        self.status(at).map(|status| status.log_bytes)
    }

    /// Bytes of a node's newest snapshot, as a file: what the state machine wrote, a prefix of
    /// [`SNAPSHOT_PREFIX_BYTES`](crate::watch::SNAPSHOT_PREFIX_BYTES), and the file's header, checksums and
    /// footer. `None` if there is no snapshot.
    pub fn snapshot_bytes(&self, at: usize) -> Option<u64> {
        let disk = self.disk(at);
        let prefix = format!("snapshot-{:016x}-", GROUP.0);
        // Of two, the one with the higher index is last.
        let names = disk.names().into_iter();
        let newest =
            names.filter(|name| name.starts_with(&prefix) && name.ends_with(".snap")).max();
        newest.and_then(|name| disk.contents(&name)).map(|contents| contents.len() as u64)
    }

    /// Bytes of all files of a node, with what was written ahead of use.
    pub fn disk_bytes(&self, at: usize) -> u64 {
        self.disk(at).disk_bytes()
    }
}
