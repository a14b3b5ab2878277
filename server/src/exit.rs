//! How a command ends: the exit codes, and a failure that says what to do next.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | refused: by the cluster (no such key, a mismatch, a limit), or by this node when it starts |
//! | 2 | usage: a flag, a setting or an input file that makes no sense |
//! | 3 | unreachable, or timed out, and certainly without effect |
//! | 4 | outcome unknown: the request was sent and not confirmed; it may or may not have had its effect |
//! | 5 | of `server`: the node was removed from its cluster; it stops, and its data is kept |

use std::fmt;
use std::process::ExitCode;

/// The kinds of failure that a script can tell apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Exit {
    /// 1
    Refused,
    /// 2
    Usage,
    /// 3
    Unreachable,
    /// 4
    Unknown,
    /// 5
    Removed,
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Refused => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Unknown => 4,
            Self::Removed => 5,
        }
    }
}

/// Why a command failed, for the person in front of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// What is wrong, and where.
    pub(crate) cause: String,
    /// What to do next; may be empty.
    pub(crate) remedy: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, cause: impl Into<String>) -> Self {
        Self { exit, cause: cause.into(), remedy: String::new() }
    }

    pub(crate) fn refused(cause: impl Into<String>) -> Self {
        Self::new(Exit::Refused, cause)
    }

    pub(crate) fn usage(cause: impl Into<String>) -> Self {
        Self::new(Exit::Usage, cause)
    }

    /// The same, with what to do next.
    pub(crate) fn hint(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)?;
        match self.remedy.is_empty() {
            true => Ok(()),
            false => write!(f, "\n  hint: {}", self.remedy),
        }
    }
}

/// What every command returns.
pub(crate) type Done = Result<(), Failure>;

/// Reports a failure on stderr; its exit code.
pub(crate) fn report(done: Done) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(failure.exit.code())
        }
    }
}
