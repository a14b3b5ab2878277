//! [`ClerkError`]: the fate of a call that has no answer.

use crate::limits::Refusal;

/// Why a call has no answer. The three cases are different things for a caller to do, and never confused:
/// change the request, try again, or find out. `R` is why the service can refuse a request for ever.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ClerkError<R = Refusal> {
    /// It can never be done as it is. It had no effect.
    #[error("refused: {0}")]
    Refused(R),
    /// It had no effect, and will have none. It may be tried again.
    #[error("not done before its deadline: {0}")]
    NotDone(Cause),
    /// A write that may have been applied, or may yet be, but at most once.
    #[error("unknown whether it was applied: {0}")]
    Unknown(Cause),
}

impl<R> From<R> for ClerkError<R> {
    fn from(refusal: R) -> Self {
        Self::Refused(refusal)
    }
}

/// What stood in the way last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The deadline left no time for an attempt.
    #[error("there was no time for an attempt")]
    NoTime,
    /// The clerk has no endpoint to ask.
    #[error("no endpoint is configured")]
    NoEndpoint,
    /// The clerk has as many calls in flight as it may.
    #[error("too many calls are in flight")]
    InFlight,
    /// A node could not be reached.
    #[error("an endpoint cannot be reached")]
    Unreachable,
    /// A node did not answer in time, or the connection broke.
    #[error("an endpoint did not answer")]
    NoReply,
    /// The nodes know of no leader, or lost it meanwhile.
    #[error("no leader was found")]
    NoLeader,
    /// The node has too much to do.
    #[error("the server is overloaded")]
    Overloaded,
    /// The nodes that were asked do not serve the key, or not yet.
    #[error("the group that serves it was not found")]
    WrongGroup,
    /// The node stops.
    #[error("the server is stopping")]
    Stopped,
    /// The session ended, unused for too long or crowded out, while the call was in flight.
    #[error("the session has expired")]
    SessionExpired,
    /// The server refused the call's place in the session; another program uses the same session.
    #[error("the session's sequence numbers are in disorder")]
    Sequence,
    /// One side does not understand the other: their versions differ too much.
    #[error("the request or the reply was not understood")]
    Protocol,
}
