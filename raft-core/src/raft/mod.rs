//! The consensus state machine.
use bytes::Bytes;

use crate::*;

/// The consensus state machine of one node in one group.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Raft;

#[allow(unused_variables)]
impl Raft {
    /// A node that resumes from what is durable (paper, figure 2). `initial` is the membership of a new
    /// group; it counts only while neither snapshot nor log has one.
    pub fn new(config: Config, persisted: Persisted, initial: &Membership) -> Self {
        todo!()
    }
    /// Time has passed.
    pub fn tick(&mut self) {}
    /// A message has arrived.
    pub fn step(&mut self, envelope: Envelope) {}
    /// Appends a command, on the leader.
    pub fn propose(&mut self, command: Bytes) -> Result<LogId, ProposeError> {
        todo!()
    }
    /// Begins a linearizable read, on the leader.
    pub fn read_index(&mut self) -> Result<ReadId, ReadError> {
        todo!()
    }
    /// Begins an election now (PreVote first).
    pub fn campaign(&mut self) {}
    /// The membership in effect at `index`, for a snapshot there; `None` when it is not known any more.
    pub fn snapshot_meta(&self, index: LogIndex) -> Option<SnapshotMeta> {
        todo!()
    }
    /// A snapshot taken by this node is durable in the store: the log before it may go.
    pub fn compact(&mut self, snapshot: SnapshotMeta) {}
    /// This write and all before it are durable.
    pub fn on_persisted(&mut self, seq: WriteSeq) {}
    /// Everything up to `index` is applied.
    pub fn on_applied(&mut self, index: LogIndex) {}
    /// All outstanding work.
    pub fn drain(&mut self, effects: &mut Effects) {}
    /// A look inside.
    pub fn status(&self) -> Status<'_> {
        todo!()
    }
}
