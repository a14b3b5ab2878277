//! [`LogError`]: why a file is no history.

use super::HistoryError;

/// Why a text is no history.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct LogError {
    /// The line, counted from one.
    pub line: usize,
    /// What is wrong with it.
    pub problem: LogProblem,
}

/// What is wrong with a line of a log.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LogProblem {
    /// The line does not have the form of an event.
    #[error("expected {expected}")]
    Malformed {
        /// What should have been there.
        expected: &'static str,
    },
    /// A client's operation returns that was not called.
    #[error("client {0} returns from what it did not call")]
    NotCalled(u64),
    /// What returns is not what the client had called.
    #[error("client {0} returns from another operation than it had called")]
    OtherCall(u64),
    /// A client calls while its last operation is open, or of unknown outcome.
    #[error("client {0} calls while its last operation has not returned")]
    Overlap(u64),
    /// The lines are each in order, the whole is not.
    #[error(transparent)]
    History(#[from] HistoryError),
}
