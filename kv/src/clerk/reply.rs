//! What the calls of a [`Clerk`] return, and how it is taken from a server's answer.

use bytes::Bytes;
use raft_core::LogIndex;
use serde::de::DeserializeOwned;

use super::Clerk;
use super::calls::{Protocol, Reading};
use super::error::{Cause, ClerkError};
use crate::command::SessionId;
use crate::limits::Refusal;
use crate::op::{OpOutcome, Outcome, Reply};
use crate::status::NodeStatus;
use crate::store::{Page, SESSION_WINDOW, Scan};
use crate::wire::{self, Answer, Found, Kind, Listed};

/// A value that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Versioned {
    /// The value. A part of the reply it came in: copy it to keep a small part of a large page.
    pub value: Bytes,
    /// The log index of the write that made it so.
    pub version: LogIndex,
}

/// An append that was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// The index at which it took effect.
    pub index: LogIndex,
    /// The value's new length in bytes.
    pub length: u64,
}

/// A delete that was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deleted {
    /// The index at which it took effect.
    pub index: LogIndex,
    /// Whether the key was there.
    pub existed: bool,
}

/// A compare-and-set that was tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Swap {
    /// The index at which it was decided.
    pub index: LogIndex,
    /// How.
    pub outcome: SwapOutcome,
}

/// How a compare-and-set was decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SwapOutcome {
    /// The key was as expected, and was changed.
    Swapped,
    /// It was not, and was left as it was.
    Mismatch {
        /// The key's version, or `None` when there is no such key.
        current: Option<LogIndex>,
    },
}

/// A batch that was tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batched {
    /// The index at which it was decided.
    pub index: LogIndex,
    /// How.
    pub outcome: BatchOutcome,
}

/// How a batch was decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BatchOutcome {
    /// Every operation was done: one outcome for each.
    Applied(Box<[OpOutcome]>),
    /// An expectation did not hold: nothing was done.
    Mismatch {
        /// Which operation, counted from zero.
        op: u32,
        /// Its key's version, or `None` when there is no such key.
        current: Option<LogIndex>,
    },
}

/// The pages of a scan.
pub struct Pages {
    clerk: Clerk,
    scan: Scan,
    ended: bool,
}

impl Pages {
    pub(super) fn new(clerk: Clerk, scan: Scan) -> Self {
        Self { clerk, scan, ended: false }
    }

    /// The next page, or `None` after the last. After an error it may be asked for again.
    pub async fn next(&mut self) -> Option<Result<Page<Bytes>, ClerkError>> {
        if self.ended {
            return None;
        }
        let page = self.clerk.scan(&self.scan).await;
        if let Ok(page) = &page {
            self.ended = page.next.is_none();
            self.scan.after = page.next.as_ref().map(|cursor| cursor.to_vec());
        }
        Some(page)
    }
}

/// The answer is of another kind than the question, though the state machine gave it: what was done is
/// not known.
fn confused<T, R>() -> Result<T, ClerkError<R>> {
    Err(ClerkError::Unknown(Cause::Protocol))
}

/// The answer to a put.
///
/// # Errors
///
/// When the reply is to another question.
pub fn put<R>(Reply { index, outcome }: Reply) -> Result<LogIndex, ClerkError<R>> {
    match outcome {
        Outcome::One(OpOutcome::Put) => Ok(index),
        _ => confused(),
    }
}

/// The answer to an append.
///
/// # Errors
///
/// When the reply is to another question.
pub fn append<R>(Reply { index, outcome }: Reply) -> Result<Appended, ClerkError<R>> {
    match outcome {
        Outcome::One(OpOutcome::Append { length }) => Ok(Appended { index, length }),
        _ => confused(),
    }
}

/// The answer to a delete.
///
/// # Errors
///
/// When the reply is to another question.
pub fn delete<R>(Reply { index, outcome }: Reply) -> Result<Deleted, ClerkError<R>> {
    match outcome {
        Outcome::One(OpOutcome::Delete { existed }) => Ok(Deleted { index, existed }),
        _ => confused(),
    }
}

/// The answer to a compare-and-set.
///
/// # Errors
///
/// When the reply is to another question.
pub fn swap<R>(Reply { index, outcome }: Reply) -> Result<Swap, ClerkError<R>> {
    let outcome = match outcome {
        Outcome::One(OpOutcome::Swapped) => SwapOutcome::Swapped,
        Outcome::One(OpOutcome::Mismatch { current }) => SwapOutcome::Mismatch { current },
        _ => return confused(),
    };
    Ok(Swap { index, outcome })
}

/// The answer to a batch.
///
/// # Errors
///
/// When the reply is to another question.
pub fn batch<R>(Reply { index, outcome }: Reply) -> Result<Batched, ClerkError<R>> {
    let outcome = match outcome {
        Outcome::Batch(outcomes) => BatchOutcome::Applied(outcomes),
        Outcome::BatchMismatch { op, current } => BatchOutcome::Mismatch { op, current },
        _ => return confused(),
    };
    Ok(Batched { index, outcome })
}

/// What the state machine replied to a write.
pub fn written<R>(answer: Answer<'_, R>, _: &Bytes) -> Option<Reply> {
    match answer {
        Answer::Written(reply) => Some(reply),
        _ => None,
    }
}

/// The service, for the calls that its clerk is made of.
pub(super) struct Kv;

impl Protocol for Kv {
    type Refusal = Refusal;
    const WINDOW: u16 = SESSION_WINDOW;

    fn open_session(&self) -> Vec<u8> {
        wire::request(Kind::OpenSession, 0)
    }

    fn opened(reply: &Bytes) -> Reading<SessionId, Refusal> {
        read(|answer, _| match answer {
            Answer::Written(Reply { index, outcome: Outcome::SessionOpened }) => {
                Some(SessionId(index))
            }
            _ => None,
        })(reply)
    }
}

/// Reads replies of which `accept` takes the answers.
pub fn read<T, R: DeserializeOwned>(
    accept: impl Fn(Answer<'_, R>, &Bytes) -> Option<T>,
) -> impl Fn(&Bytes) -> Reading<T, R> {
    move |reply| match wire::read_reply(reply) {
        Ok(Answer::Fault(fault)) => Reading::Fault(fault),
        Ok(answer) => accept(answer, reply).map_or(Reading::Nonsense, Reading::Answer),
        Err(_) => Reading::Nonsense,
    }
}

pub(super) fn status(answer: Answer<'_>, _: &Bytes) -> Option<NodeStatus> {
    match answer {
        Answer::Status(status) => Some(status.into()),
        _ => None,
    }
}

/// A value, which shares the reply's memory.
pub fn value<R>(answer: Answer<'_, R>, reply: &Bytes) -> Option<Option<Versioned>> {
    let own = |Found { value, version }| Versioned { value: reply.slice_ref(value), version };
    match answer {
        Answer::Value(found) => Some(found.map(own)),
        _ => None,
    }
}

/// A page; its keys and values share the reply's memory.
pub fn page<R>(answer: Answer<'_, R>, reply: &Bytes) -> Option<Page<Bytes>> {
    let own =
        |Listed { key, found }| (reply.slice_ref(key), reply.slice_ref(found.value), found.version);
    match answer {
        Answer::Page { entries, next } => Some(Page {
            entries: entries.into_iter().map(own).collect(),
            next: next.map(|cursor| reply.slice_ref(cursor)),
        }),
        _ => None,
    }
}
