//! What happens on a disk, as a hook sees it.

use std::fmt;
use std::sync::Arc;

/// The kinds of operations.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum OpKind {
    /// The directory is listed.
    List,
    /// A file that exists is opened.
    Open,
    /// A file is created, or emptied.
    Create,
    /// A file's size is asked for.
    Size,
    /// Data are read.
    Read,
    /// Data are written.
    Write,
    /// A file is synced, on its own or after a write.
    Sync,
    /// A file's length is set.
    SetLen,
    /// A file is renamed.
    Rename,
    /// A file is removed.
    Remove,
    /// The directory is synced.
    SyncDir,
    /// The lock is taken.
    Lock,
}

impl OpKind {
    /// All kinds, in their order.
    pub const ALL: [Self; 12] = [
        Self::List,
        Self::Open,
        Self::Create,
        Self::Size,
        Self::Read,
        Self::Write,
        Self::Sync,
        Self::SetLen,
        Self::Rename,
        Self::Remove,
        Self::SyncDir,
        Self::Lock,
    ];

    /// Whether such an operation changes what a later one, or a restart, finds.
    pub fn is_change(self) -> bool {
        !matches!(self, Self::List | Self::Open | Self::Size | Self::Read | Self::Lock)
    }

    /// Its name in errors and traces.
    pub fn name(self) -> &'static str {
        match self {
            Self::List => "list directory",
            Self::Open => "open",
            Self::Create => "create",
            Self::Size => "stat",
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::SetLen => "set length of",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::SyncDir => "sync directory",
            Self::Lock => "lock",
        }
    }
}

impl fmt::Display for OpKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A moment just before or just after an operation takes effect.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DiskEvent {
    /// The number of the operation, counted from 1 over all operations of the disk. The same before and
    /// after.
    pub sequence: u64,
    /// Before or after.
    pub phase: Phase,
    /// What is done.
    pub kind: OpKind,
    /// To which file; `.` for the directory.
    pub file: Arc<str>,
    /// Where in the file a read or a write begins; the new length for [`OpKind::SetLen`].
    pub offset: u64,
    /// How many bytes are written, or read at most.
    pub len: u64,
}

/// The side of the effect on which an event lies.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// It has not happened: a process that is killed now has not done it.
    Before,
    /// It has happened, or failed, and the process has not been told yet.
    After(Outcome),
}

/// How an operation went.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// It reported success, which a lying disk does too.
    Done,
    /// It failed: injected, or because of what was asked.
    Failed,
}

impl fmt::Display for DiskEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match self.phase {
            Phase::Before => "before",
            Phase::After(Outcome::Done) => "after",
            Phase::After(Outcome::Failed) => "after failed",
        };
        write!(f, "{phase} {} {} (operation {}", self.kind, self.file, self.sequence)?;
        if matches!(self.kind, OpKind::Read | OpKind::Write) {
            write!(f, ", {} bytes at {}", self.len, self.offset)?;
        }
        f.write_str(")")
    }
}

/// Called before and after every operation's effect, in the order of the effects. No lock is held: it may
/// call the disk, for example [`SimDisk::unmount`](super::SimDisk::unmount) to kill the process exactly there.
pub type DiskHook = Arc<dyn Fn(&DiskEvent) + Send + Sync>;
