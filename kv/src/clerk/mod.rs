//! [`Clerk`]: the client. Cheap to clone; any number of calls at once.
//!
//! All clones share one session, opened when the first write needs it. A write has a number in the
//! session and keeps it through every attempt, so that it is applied once; reads need no session. Calls
//! follow the servers' hints at the leader, try other endpoints when one fails, pause longer after each
//! failure, and end at their deadline with a [`ClerkError`] that says what is certain.
//!
//! [`ClerkError::NotDone`] rests on what a [`Caller`] promises, that a request arrives at most once: a server's
//! "not the leader" then proves that this attempt has no effect, now or later.
//!
//! A call whose future is dropped gives up: it may still be applied, once.

mod attempts;
mod config;
mod error;
mod line;
mod reply;
mod route;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use raft_core::{Address, Caller};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

pub use config::ClerkConfig;
pub use error::{Cause, ClerkError};
pub use reply::{Appended, BatchOutcome, Batched, Deleted, Pages, Swap, SwapOutcome, Versioned};

use crate::codec;
use crate::command::{self, SessionId, Ticket};
use crate::limits::Limits;
use crate::op::{Expect, Op, Outcome, Reply, Write};
use crate::status::NodeStatus;
use crate::store::{Page, Scan};
use crate::wire::{self, Answer, Kind, Read};
use raft_core::LogIndex;

use attempts::{Attempts, Failure, Request};
use line::Line;
use route::Route;

/// A client of one group. Clones share the session, the route and the bound on calls in flight.
#[derive(Clone)]
pub struct Clerk {
    inner: Arc<Inner>,
    deadline: Duration,
}

struct Inner {
    caller: Arc<dyn Caller>,
    config: ClerkConfig,
    slots: Semaphore,
    state: Mutex<State>,
    /// Held by the call that opens a session, so that the others wait for it.
    opening: tokio::sync::Mutex<()>,
    /// The session's window has room again.
    room: Notify,
}

struct State {
    line: Option<Line>,
    route: Route,
}

/// A request's number. Dropping it tells the session that nobody waits for the reply any more.
struct Turn<'a> {
    inner: &'a Inner,
    ticket: Ticket,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.inner.state();
        let line = state.line.as_mut().filter(|line| line.session() == self.ticket.session);
        if line.is_some_and(|line| line.end(self.ticket.seq)) {
            self.inner.room.notify_waiters();
        }
    }
}

impl Clerk {
    /// A clerk for the group whose nodes are at `endpoints`, any of them, in any order.
    pub fn new(
        caller: Arc<dyn Caller>,
        endpoints: impl IntoIterator<Item = Address>,
        config: ClerkConfig,
    ) -> Self {
        let route = Route::new(endpoints, config.seed);
        let inner = Inner {
            caller,
            slots: Semaphore::new(config.in_flight_max.clamp(1, Semaphore::MAX_PERMITS)),
            state: Mutex::new(State { line: None, route }),
            opening: tokio::sync::Mutex::new(()),
            room: Notify::new(),
            config,
        };
        Self { deadline: inner.config.deadline, inner: Arc::new(inner) }
    }

    /// The same clerk with another deadline for its calls.
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { inner: self.inner.clone(), deadline }
    }

    /// The key's value and version, or `None`. Linearizable.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Versioned>, ClerkError> {
        self.limits().check_key(key)?;
        self.read(&Read::Get { key }, reply::value).await
    }

    /// A page of a scan: the entries as they are at one moment, linearizable. See
    /// [`pages`](Self::pages) for all of them.
    pub async fn scan(&self, scan: &Scan) -> Result<Page<Bytes>, ClerkError> {
        let read = Read::Scan {
            start: &scan.start,
            end: scan.end.as_deref(),
            after: scan.after.as_deref(),
            entries_max: scan.entries_max,
            bytes_max: scan.bytes_max,
        };
        self.read(&read, reply::page).await
    }

    /// All pages of a scan, one by one. Each is of its own moment: what is written between two of them
    /// shows, or not, by where its key is.
    pub fn pages(&self, scan: Scan) -> Pages {
        Pages::new(self.clone(), scan)
    }

    /// Sets the key. Returns the index at which it took effect, which is the value's version.
    pub async fn put(&self, key: &[u8], value: &[u8]) -> Result<LogIndex, ClerkError> {
        let reply = self.one(Op::Put { key, value }).await?;
        reply::put(reply)
    }

    /// Appends to the key's value; a missing key counts as empty.
    pub async fn append(&self, key: &[u8], value: &[u8]) -> Result<Appended, ClerkError> {
        let reply = self.one(Op::Append { key, value }).await?;
        reply::append(reply)
    }

    /// Removes the key.
    pub async fn delete(&self, key: &[u8]) -> Result<Deleted, ClerkError> {
        let reply = self.one(Op::Delete { key }).await?;
        reply::delete(reply)
    }

    /// Sets the key (`then`), or removes it (`None`), if it is as expected.
    pub async fn compare_and_set(
        &self,
        key: &[u8],
        expect: Expect<'_>,
        then: Option<&[u8]>,
    ) -> Result<Swap, ClerkError> {
        let reply = self.one(Op::CompareAndSet { key, expect, then }).await?;
        reply::swap(reply)
    }

    /// Does all the operations, in order and at one moment, or none of them.
    pub async fn batch(&self, ops: &[Op<'_>]) -> Result<Batched, ClerkError> {
        self.limits().check_batch(ops)?;
        let reply = self.write(&Write::Batch(ops.to_vec())).await?;
        reply::batch(reply)
    }

    /// What the node at `endpoint` says of itself, leader or not, quorum or not. One attempt.
    pub async fn status(&self, endpoint: &Address) -> Result<NodeStatus, ClerkError> {
        let request = wire::request(Kind::Status, 0);
        let call = self.inner.caller.call(endpoint, request.into());
        let answer = timeout(self.deadline, call).await;
        let reply = match answer {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) => return Err(ClerkError::NotDone(Cause::Unreachable)),
            Err(_) => return Err(ClerkError::NotDone(Cause::NoReply)),
        };
        match wire::read_reply(&reply) {
            Ok(Answer::Status(status)) => Ok(status.into()),
            Ok(_) | Err(_) => Err(ClerkError::NotDone(Cause::Protocol)),
        }
    }

    fn limits(&self) -> &Limits {
        &self.inner.config.limits
    }

    fn deadline(&self) -> Instant {
        let now = Instant::now();
        // A deadline beyond what the clock can say is as good as one in a century.
        now.checked_add(self.deadline).unwrap_or_else(|| now + Duration::from_secs(3 << 30))
    }

    async fn read<T>(
        &self,
        read: &Read<'_>,
        accept: impl Fn(Answer<'_>, &Bytes) -> Option<T>,
    ) -> Result<T, ClerkError> {
        let deadline = self.deadline();
        let _slot = self.inner.slot(deadline).await?;
        let bytes = codec::encode(wire::request(Kind::Read, 32), read);
        let request = Request { bytes, ticket: None };
        let result = self.inner.attempt(request, &mut Attempts::new(deadline), accept).await;
        result.map_err(|failure| match failure {
            // A read has no effect, so there is nothing to be in doubt about.
            Failure::Final(ClerkError::Unknown(cause)) => ClerkError::NotDone(cause),
            Failure::Final(error) => error,
            Failure::SessionExpired => ClerkError::NotDone(Cause::Protocol),
        })
    }

    async fn one(&self, op: Op<'_>) -> Result<Reply, ClerkError> {
        let write = Write::One(op);
        self.limits().check_write(&write)?;
        self.write(&write).await
    }

    /// Writes once, in a session. A session that had expired before any attempt could be applied is
    /// replaced by a new one.
    async fn write(&self, write: &Write<'_>) -> Result<Reply, ClerkError> {
        let inner = &*self.inner;
        let deadline = self.deadline();
        let _slot = inner.slot(deadline).await?;
        let mut attempts = Attempts::new(deadline);
        loop {
            let turn = inner.turn(deadline).await?;
            let head = wire::request(Kind::Write, 64 + write.bytes());
            let bytes = command::write_body(head, turn.ticket, write);
            let request = Request { bytes, ticket: Some(turn.ticket) };
            match inner.attempt(request, &mut attempts, reply::written).await {
                Ok(Reply { outcome: Outcome::Refused(refusal), .. }) => return Err(refusal.into()),
                Ok(reply) => return Ok(reply),
                Err(Failure::Final(error)) => {
                    if error == ClerkError::Unknown(Cause::SessionExpired) {
                        inner.forget(turn.ticket.session);
                    }
                    return Err(error);
                }
                Err(Failure::SessionExpired) => {
                    inner.forget(turn.ticket.session);
                    drop(turn);
                    // Sessions that end as soon as they are opened must not make a busy loop.
                    inner.pause(&mut attempts).await;
                    if Instant::now() >= deadline {
                        return Err(ClerkError::NotDone(Cause::SessionExpired));
                    }
                }
            }
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn slot(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, ClerkError> {
        match timeout_at(deadline, self.slots.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(ClerkError::NotDone(Cause::InFlight)),
        }
    }

    /// A number in the session, which is opened if there is none.
    async fn turn(&self, deadline: Instant) -> Result<Turn<'_>, ClerkError> {
        loop {
            // Made before the look: it hears every notice from now on.
            let room = self.room.notified();
            let looked = self.state().line.as_mut().map(Line::begin);
            match looked {
                Some(Some(ticket)) => return Ok(Turn { inner: self, ticket }),
                Some(None) => {
                    let waited = timeout_at(deadline, room).await;
                    waited.map_err(|_| ClerkError::NotDone(Cause::InFlight))?;
                }
                None => self.open(deadline).await?,
            }
        }
    }

    /// Opens a session, or waits for the call that does. A session whose reply is lost is left to expire.
    async fn open(&self, deadline: Instant) -> Result<(), ClerkError> {
        let opening = timeout_at(deadline, self.opening.lock()).await;
        let _opening = opening.map_err(|_| ClerkError::NotDone(Cause::NoReply))?;
        if self.state().line.is_some() {
            return Ok(());
        }
        let request = Request { bytes: wire::request(Kind::OpenSession, 0), ticket: None };
        let opened = self.attempt(request, &mut Attempts::new(deadline), reply::opened).await;
        match opened {
            Ok(session) => {
                self.state().line = Some(Line::new(session));
                Ok(())
            }
            // Whatever became of the session: the write that wanted it was not sent.
            Err(Failure::Final(ClerkError::Unknown(cause))) => Err(ClerkError::NotDone(cause)),
            Err(Failure::Final(error)) => Err(error),
            Err(Failure::SessionExpired) => Err(ClerkError::NotDone(Cause::Protocol)),
        }
    }

    /// The session is gone: the next write opens another.
    fn forget(&self, session: SessionId) {
        let mut state = self.state();
        if state.line.as_ref().is_some_and(|line| line.session() == session) {
            state.line = None;
        }
        drop(state);
        self.room.notify_waiters();
    }
}
